"""What people read when a request cannot be answered: what happened, what it means, and a way on that fits them (semantics J5).

Nothing of the request stands on these pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign import links
from countersign.errors import UnavailableError
from countersign.flows.accounts.sessions import find_session
from countersign.messages.language.catalogue import Language, mark
from countersign.web.http.browser import language_of
from countersign.web.http.csrf import SAFE
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.waiting_time import try_again_in
from countersign.web.pages.shared.word_pages import HOME

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.problems import ProblemError
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

VERIFY: Final = "/verify"
SAME_PAGE: Final = ""
"""The link to the page's own address: it repeats nothing of what was asked for."""


class ErrorText(msgspec.Struct, frozen=True):
    """A page's heading, and the sentence below it. The sentence may use {site}, {address} and {reference}."""

    title: str
    sentence: str


UNREADABLE: Final = ErrorText(
    mark("We could not read what you sent"),
    mark("Nothing was changed. Go back, reload the page and try again."),
)
"""For whatever has no text of its own."""

BUSY: Final = ErrorText(
    mark("Sorry, we are not available right now"),
    mark("We’re very busy, or repairing something. Nothing you have done is lost."),
)

TEXTS: Final = {
    "not_found": ErrorText(
        mark("Page not found"),
        mark("If you typed the address, check that it is correct. If you followed a link, it may be out of date."),
    ),
    "missing": ErrorText(
        mark("Page not found"),
        mark("If you typed the address, check that it is correct. If you followed a link, it may be out of date."),
    ),
    "method_not_allowed": ErrorText(
        mark("You cannot open this page on its own"),
        mark("It is one step of a longer process. Continue from here instead."),
    ),
    "cross_origin": ErrorText(
        mark("This request came from another website"),
        mark("To protect you, we did not act on it. If you want to do it, continue here and do it on our own pages."),
    ),
    "misdirected": ErrorText(mark("This page has a different address"), mark("Open it at {address}.")),
    "too_large": ErrorText(
        mark("You sent more than we can take"),
        mark("Nothing was changed. Go back, shorten what you entered and try again."),
    ),
    "timed_out": ErrorText(
        mark("We did not receive everything"),
        mark("Nothing was changed. Check your connection, go back and try again."),
    ),
    "limited": ErrorText(mark("You need to wait a moment"), mark("There were too many tries in a short time.")),
    "internal": ErrorText(
        mark("Sorry, something went wrong"),
        mark(
            "The fault is ours, not yours. Try again in a moment. If it happens again, give {site} this reference: {reference}"
        ),
    ),
    "unavailable": BUSY,
    "too_many_streams": BUSY,
    "not_ready": BUSY,
}
"""What each problem says to a person, by its name."""


class ErrorPages:
    """Answers people with a page in place of a problem."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def show(self, req: Request, resp: Response, problem: ProblemError) -> None:
        """Show the page of a problem, with its status and its headers."""
        language, web = language_of(req), self._web
        text = TEXTS.get(problem.name, UNREADABLE)
        sentences = [
            language.say(
                text.sentence,
                site=language.isolated(web.settings.site),
                address=web.settings.public_url,
                reference=language.isolated(str(problem.more.get("reference", ""))),
            )
        ]
        resp.status = problem.status
        resp.set_headers(problem.headers)
        if problem.retry_after:
            resp.set_header("Retry-After", str(problem.retry_after))
            sentences.append(try_again_in(problem.retry_after, language))
        link, label = await self._way_on(req, problem, language)
        show(
            web,
            req,
            resp,
            "word.html",
            tone="warn",
            title=language.say(text.title),
            sentence=" ".join(sentences),
            link=link,
            label=label,
        )
        resp.append_header("Vary", "Accept")

    async def _way_on(self, req: Request, problem: ProblemError, language: Language) -> tuple[str, str]:
        """Return the link that fits a person: the step they are at, the account of whoever is signed in, or the sign-in."""
        web = self._web
        if problem.name == "misdirected":
            return web.settings.public_url, language.say("Continue")
        if problem.status >= 500 and req.method in SAFE:  # noqa: PLR2004
            return SAME_PAGE, language.say("Try again")
        browser = web.browser(req)
        if browser.flow and req.path.startswith(VERIFY):
            return VERIFY, language.say("See what needs a code")
        try:
            session = await find_session(web.accounts, browser)
        except UnavailableError:
            return "/", language.say("Continue")
        if session is None:
            return links.SIGN_IN, language.say("Sign in")
        return HOME, language.say("Go to your account")
