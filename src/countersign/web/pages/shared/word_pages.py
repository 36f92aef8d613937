"""Whole pages that say one thing and lead on, such as why nothing can be done now; single sentences are in `wordings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign import links
from countersign.domain.accounts.change import ChangeRefusal
from countersign.flows.verifications.results import Refused
from countersign.messages.language.catalogue import mark
from countersign.messages.language.datetimes import after
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import FLOW, SESSION, drop, secret_in
from countersign.web.http.problems import seconds
from countersign.web.pages.shared.flash import read_flash, redirect_with
from countersign.web.pages.shared.rendering import show

if TYPE_CHECKING:
    from countersign.flows.accounts.context import NoEligibleMethod
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

HOME: Final = links.ACCOUNT
OUTCOME: Final = "/outcome"
"""Where the outcome of a form is said that has no page of its own."""

REFUSALS: Final = {
    ChangeRefusal.UNKNOWN: mark("This no longer exists. It may have been changed in another window."),
    ChangeRefusal.LAST_CONTACT: mark(
        "These are your last contact details. Add others first, or you could not get back in."
    ),
    ChangeRefusal.ALREADY_YOURS: mark("Your account is already set up this way."),
    ChangeRefusal.ANOTHERS: mark("This email address or phone number belongs to another account. Use another one."),
    ChangeRefusal.TOO_MANY: mark("You have reached the limit. Remove one first."),
    ChangeRefusal.REDUCED: mark(
        "Your account was recovered a few days ago. To protect its owner, you cannot make this change until 7 days have passed."
    ),
    ChangeRefusal.NOT_PENDING: mark(
        "This change is no longer waiting. It was cancelled, it expired, or the browser that asked for it was signed out."
    ),
    ChangeRefusal.TOO_EARLY: mark("The waiting time is not over yet."),
    ChangeRefusal.CONTESTED: mark(
        "Other contact details come first, because they were used to report misuse or to take the account back."
        " Use those, or a recovery code. After 7 days, any of your contact details are enough."
    ),
    ChangeRefusal.OUTDATED: mark("Your account has changed since you started. Check it, then start again."),
    ChangeRefusal.NO_WAY_BACK: mark(
        "Without recovery codes, you could be locked out if you lost it. Save recovery codes first, then add it."
    ),
}
"""Why a change is not made, in words."""


def show_word(  # noqa: PLR0917 - a page has as many parts
    web: WebContext, req: Request, resp: Response, tone: str, title: str, sentence: str, link: tuple[str, str]
) -> None:
    """Answer with a page that says one thing.

    Args:
        web: knows the names of the site.
        req: the request.
        resp: gets the page.
        tone: `good`, `warn` or `bad`: the colour of its seal.
        title: its heading.
        sentence: what it says.
        link: where it leads, and the words of the link.
    """
    show(web, req, resp, "word.html", tone=tone, title=title, sentence=sentence, link=link[0], label=link[1])


def show_outcome(  # noqa: PLR0917 - as show_word
    web: WebContext, req: Request, resp: Response, tone: str, title: str, sentence: str, link: tuple[str, str]
) -> None:
    """Say the outcome of a form as `show_word` does, on a page of its own to which the answer redirects (semantics J2)."""
    show_word(web, req, resp, tone, title, sentence, link)
    said = {"tone": tone, "title": title, "sentence": sentence, "link": link[0], "label": link[1]}
    redirect_with(web, resp, OUTCOME, said)


async def get_outcome(web: WebContext, req: Request, resp: Response) -> None:
    """GET /outcome. It stays for a while, so that a reload says the same."""
    said = read_flash(web, req, OUTCOME)
    if said.keys() >= {"tone", "title", "sentence", "link", "label"}:
        show(web, req, resp, "word.html", **said)
    else:
        resp.redirect(HOME)


def show_refusal(web: WebContext, req: Request, resp: Response, refused: Refused | NoEligibleMethod) -> None:
    """Say why nobody can be asked for a code now, and when. The way on is the page that the person comes from."""
    language = language_of(req)
    if isinstance(refused, Refused):
        title = language.say("You need to wait a moment")
        sentence = too_many_codes(seconds(refused.retry_after) if refused.retry_after else 0, language)
        too_many_requests(resp, refused)
        if not req.path.startswith(HOME):
            page = next((page for page in _PAGES if req.path.startswith(page)), HOME)
            show_word(web, req, resp, "warn", title, sentence, (page, language.say("Back")))
            return
    else:
        title = language.say("You need a stronger way to confirm it’s you")
        sentence = language.say("None of your email addresses and phone numbers is strong enough for this.")
        resp.status = falcon.HTTP_403
    show_word(web, req, resp, "warn", title, sentence, home_link(req, language))


def home_link(req: Request, language: Language) -> tuple[str, str]:
    """Return the link to the account for a browser that has a session, and to the sign-in for any other."""
    if secret_in(req, SESSION):
        return HOME, language.say("Go to your account")
    return links.SIGN_IN, language.say("Sign in")


_PAGES: Final = ("/sign-in", "/sign-up", "/recover/lost", "/recover", "/verify")
"""The pages of people who are not signed in, which ask for a code by POST."""


def too_many_codes(wait: int, language: Language) -> str:
    """Return that too many codes were asked for, and when the next one can be: after `wait` seconds, 0 if that is not known."""
    if not wait:
        return language.say("Too many codes were requested. Try again in a few minutes.")
    when = after(wait, language.locale)
    return language.say("Too many codes were requested. You can try again {when}.", when=when)


def too_many_requests(resp: Response, refused: Refused) -> None:
    """Answer 429 (Too Many Requests), and say after how many seconds it may be tried again."""
    resp.status = falcon.HTTP_429
    resp.set_header("Retry-After", str(seconds(refused.retry_after)))


def show_change_refusal(web: WebContext, req: Request, resp: Response, refusal: ChangeRefusal) -> None:
    """Say why a change was not made."""
    language = language_of(req)
    resp.status = falcon.HTTP_409
    show_word(
        web,
        req,
        resp,
        "warn",
        language.say("Nothing was changed"),
        language.say(REFUSALS[refusal]),
        (HOME, language.say("Go to your account")),
    )


def show_no_flow(web: WebContext, req: Request, resp: Response) -> None:
    """Say that no login flow is under way in this browser."""
    language = language_of(req)
    resp.status = falcon.HTTP_404
    drop(resp, FLOW)
    show_word(
        web,
        req,
        resp,
        "warn",
        language.say("There is nothing to confirm here"),
        language.say(
            "You may have finished in another tab, or started in another browser. If this happens again, allow"
            " cookies for this site in your browser."
        ),
        ("/sign-in", language.say("Sign in")),
    )


def show_cookies_needed(web: WebContext, req: Request, resp: Response, path: str) -> None:
    """Say that the browser keeps no cookies, and that nothing was sent. `path` is the form to try again."""
    language = language_of(req)
    show_word(
        web,
        req,
        resp,
        "warn",
        language.say("Allow cookies to continue"),
        language.say(
            "Your browser did not keep this page’s cookie. Without it, we cannot tell that the code you enter is"
            " yours, so we sent none. Allow cookies for this site in your browser’s settings, then try again."
        ),
        (path, language.say("Try again")),
    )
