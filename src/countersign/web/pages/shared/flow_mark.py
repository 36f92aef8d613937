"""The mark of a login flow in its forms: a code that is typed in one tab never answers another tab's question (semantics P6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.flows.accounts.login_flow import flow_mark, is_other_flow
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import flows_in
from countersign.web.pages.shared.word_pages import show_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

FIELD: Final = "flow"
"""The hidden field of every form of a flow."""


def mark_of(web: WebContext, req: Request) -> str:
    """Return the mark of this browser's flow; empty if it has none."""
    return flow_mark(web.accounts, web.browser(req))


def flow_query(web: WebContext, req: Request) -> str:
    """Return what the address of a page says besides, so that each tab stays with its flow; empty for the latest one."""
    flows, flow = flows_in(req), web.browser(req).flow
    return f"&{FIELD}={mark_of(web, req)}" if flows and flow != flows[0] else ""


def in_flow(web: WebContext, req: Request, page: str) -> str:
    """Return the address of a page that goes on with the flow of this request, whatever another tab has begun since."""
    query = flow_query(web, req)
    return f"{page}?{query.removeprefix('&')}" if query else page


def is_of_other_flow(web: WebContext, req: Request, fields: Mapping[str, str]) -> bool:
    """Return True if a form was made for a flow that this browser does not have. Otherwise the form's flow is that of the request."""
    req.flow_mark = fields.get(FIELD, "")
    return is_other_flow(web.accounts, web.browser(req), fields.get(FIELD))


def show_other_flow(web: WebContext, req: Request, resp: Response) -> None:
    """Say that the form belongs to another flow, and lead to the one that is under way. Nothing was used up."""
    language = language_of(req)
    resp.status = falcon.HTTP_409
    show_word(
        web,
        req,
        resp,
        "warn",
        language.say("This page is out of date"),
        language.say(
            "You started something else in this browser after you opened this page. We did not use what you"
            " entered. Check what needs a code now. If it is not what you want, start again."
        ),
        ("/verify", language.say("See what needs a code")),
    )
