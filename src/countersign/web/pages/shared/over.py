"""What is answered when no code is waited for: the way on from a flow that is over, or why there is none (semantics J1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon

from countersign.domain.accounts.login_flow import NOTHING_INTERRUPTED
from countersign.flows.accounts.sessions import find_session
from countersign.flows.sign_in.finished import find_finished
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import keep_session
from countersign.web.pages.shared.destinations import again, page_of
from countersign.web.pages.shared.flow_mark import flow_query
from countersign.web.pages.shared.origin import find_origin
from countersign.web.pages.shared.word_pages import show_no_flow, show_word

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


async def answer_over(web: WebContext, req: Request, resp: Response, path: str = "/verify") -> None:
    """Answer a form whose flow is over: lead to the page at `path`, which leads on."""
    browser = web.browser(req)
    if await _handed_over(web, req, resp):
        return
    if not browser.flow and not browser.session:
        show_no_flow(web, req, resp)
    else:
        query = flow_query(web, req)
        resp.redirect(f"{path}?{query.removeprefix('&')}" if query else path)


async def show_over(web: WebContext, req: Request, resp: Response) -> None:
    """Lead on from a flow that is over, in this tab or in another one."""
    if await _handed_over(web, req, resp):
        return
    language, origin = language_of(req), find_origin(web, req)
    if await find_session(web.accounts, web.browser(req)) is not None:
        way_on = page_of(origin.interrupted if origin is not None else NOTHING_INTERRUPTED)
        title, sentence = language.say("Done"), language.say("You’re signed in. You do not need to enter a code.")
        show_word(web, req, resp, "good", title, sentence, (way_on, language.say("Continue")))
    elif origin is None:
        show_no_flow(web, req, resp)
    else:
        resp.status = falcon.HTTP_404
        show_word(
            web,
            req,
            resp,
            "warn",
            language.say("You cannot continue from here"),
            language.say(
                "This was finished or cancelled, or half an hour has passed. Start again if you still want to do it."
            ),
            (again(origin.kind, origin.interrupted), language.say("Start again")),
        )


async def _handed_over(web: WebContext, req: Request, resp: Response) -> bool:
    """Give a browser whose button was pressed twice the session that the first press began, and lead on (semantics J4)."""
    browser = web.browser(req)
    finished = await find_finished(web.accounts, browser)
    if finished is None:
        return False
    origin = find_origin(web, req)
    keep_session(req, resp, finished, browser.flow)
    resp.redirect(page_of(origin.interrupted if origin is not None else NOTHING_INTERRUPTED))
    return True
