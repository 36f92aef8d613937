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
from countersign.web.http.cookies import FLOW, drop
from countersign.web.http.problems import seconds
from countersign.web.pages.shared.rendering import show

if TYPE_CHECKING:
    from countersign.errors import UnavailableError
    from countersign.flows.accounts.context import NoEligibleMethod
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

HOME: Final = links.ACCOUNT

REFUSALS: Final = {
    ChangeRefusal.UNKNOWN: mark("It is not there any more. Perhaps it was changed in another window."),
    ChangeRefusal.LAST_CONTACT: mark(
        "This is your last contact. Without one you could not get back in: add another first."
    ),
    ChangeRefusal.ALREADY_YOURS: mark("It is so already."),
    ChangeRefusal.ANOTHERS: mark("This address or number belongs to another account. Use another one."),
    ChangeRefusal.TOO_MANY: mark("You have as many as there may be. Remove one first."),
    ChangeRefusal.REDUCED: mark(
        "Your account was recovered a few days ago. Until seven days are over, nothing can be taken away that its owner would miss."
    ),
    ChangeRefusal.NOT_PENDING: mark(
        "This change is not waiting any more: it was canceled, it ran out, or the session that asked for it has ended."
    ),
    ChangeRefusal.TOO_EARLY: mark("The waiting time is not over yet."),
    ChangeRefusal.CONTESTED: mark(
        "Another contact goes first, because it has reported a misuse or has taken the account back. Use that contact, or a recovery"
        " code. After 7 days every contact is enough."
    ),
    ChangeRefusal.OUTDATED: mark("Your account was changed in the meantime. Look at it again, then start over."),
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


def show_refusal(web: WebContext, req: Request, resp: Response, refused: Refused | NoEligibleMethod) -> None:
    """Say why nobody can be asked for a code now, and when. The way on is the page that the person comes from."""
    language = language_of(req)
    if isinstance(refused, Refused):
        title = language.say("Please wait a moment")
        sentence = too_many_codes(refused, language)
        too_many_requests(resp, refused)
        if not req.path.startswith(HOME):
            page = next((page for page in _PAGES if req.path.startswith(page)), HOME)
            show_word(web, req, resp, "warn", title, sentence, (page, language.say("Back")))
            return
    else:
        title = language.say("This needs a stronger proof")
        sentence = language.say("None of your contacts is strong enough for what you want to do.")
        resp.status = falcon.HTTP_403
    show_word(web, req, resp, "warn", title, sentence, (HOME, language.say("To your account")))


_PAGES: Final = ("/sign-in", "/sign-up", "/recover/lost", "/recover", "/verify")
"""The pages of people who are not signed in, which ask for a code by POST."""


def too_many_codes(refused: Refused, language: Language) -> str:
    """Return that too many codes were asked for, and when the next one can be."""
    if not refused.retry_after:
        return language.say("Too many codes were asked for. Try again in a few minutes.")
    when = after(seconds(refused.retry_after), language.locale)
    return language.say("Too many codes were asked for. You can try again {when}.", when=when)


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
        (HOME, language.say("To your account")),
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
        language.say("Nothing is waiting for a code here"),
        language.say(
            "It may have been finished already, in another tab, or half an hour has passed. Start again, in one browser."
        ),
        ("/sign-in", language.say("Sign in")),
    )


async def show_unavailable(web: WebContext, req: Request, resp: Response, error: UnavailableError) -> None:
    """Say that something is down or full, and when to come again (semantics H1)."""
    language = language_of(req)
    resp.status = falcon.HTTP_503
    resp.set_header("Retry-After", str(error.retry_after))
    show_word(
        web,
        req,
        resp,
        "warn",
        language.say("Not available just now"),
        language.say("Too much is going on, or something is being mended. Try again in a moment."),
        (req.path if req.method == "GET" else HOME, language.say("Try again")),
    )
