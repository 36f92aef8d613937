"""What /verify shows when no code is waited for: the way on after a flow that is over, or why there is none (semantics J1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.flows.accounts.sessions import find_session
from countersign.flows.sign_in.finished import find_finished_flow
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import keep_session
from countersign.web.pages.shared.destinations import again, page_of, with_origin
from countersign.web.pages.shared.word_pages import HOME, show_no_flow, show_word

if TYPE_CHECKING:
    from countersign.domain.accounts.login_flow import FlowOrigin
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

_SIGNED_IN: Final = frozenset({LoginFlowKind.SIGN_UP, LoginFlowKind.SIGN_IN, LoginFlowKind.STEP_UP})


async def show_over(web: WebContext, req: Request, resp: Response) -> None:
    """Lead on from a flow that is over, in this tab or in another one.

    A browser whose button was pressed twice gets its session here: the answer to the first press is lost when the second one is sent
    (semantics J4).
    """
    browser = web.browser(req)
    finished = await find_finished_flow(web.accounts, browser)
    if finished is not None and finished.signed_in is not None:
        keep_session(resp, finished.signed_in)
        resp.redirect(page_of(finished.origin.interrupted))
        return
    is_signed_in = await find_session(web.accounts, browser) is not None
    if finished is not None and finished.was_completed:
        _show_done(web, req, resp, finished.origin, is_signed_in=is_signed_in)
    elif finished is not None:
        _show_too_late(web, req, resp, finished.origin)
    elif is_signed_in:
        language = language_of(req)
        title, sentence = language.say("Done"), language.say("You are signed in. Nothing is waiting for a code.")
        show_word(web, req, resp, "good", title, sentence, (HOME, language.say("Continue")))
    else:
        show_no_flow(web, req, resp)


def _show_done(web: WebContext, req: Request, resp: Response, origin: FlowOrigin, *, is_signed_in: bool) -> None:
    """Say that the flow was completed, and lead to where it was meant to lead."""
    language, way_on = language_of(req), page_of(origin.interrupted)
    label = language.say("Continue")
    if is_signed_in:
        sentence = language.say("You are signed in. Nothing is waiting for a code.")
        if origin.kind not in _SIGNED_IN:
            way_on = again(origin.kind, origin.interrupted)
    else:
        sentence = language.say("This was completed already. Sign in to go on.")
        way_on, label = with_origin("/sign-in", way_on), language.say("Sign in")
    show_word(web, req, resp, "good", language.say("Done"), sentence, (way_on, label))


def _show_too_late(web: WebContext, req: Request, resp: Response, origin: FlowOrigin) -> None:
    """Say that the flow has ended without its proof, and lead to where it begins again, for the same thing."""
    language = language_of(req)
    resp.status = falcon.HTTP_404
    show_word(
        web,
        req,
        resp,
        "warn",
        language.say("This is not waiting any more"),
        language.say("It was canceled, or half an hour has passed. Nothing was changed. Start again to go on with it."),
        (again(origin.kind, origin.interrupted), language.say("Start again")),
    )
