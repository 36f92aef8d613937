"""The form at /sign-in/cancel: back to the application, or to the page of the account, from which the person came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from countersign import links
from countersign.domain.accounts.login_flow import LoginFlowKind
from countersign.flows.accounts.sessions import find_session
from countersign.flows.oidc.authorize import deny_authorization
from countersign.flows.sign_in.cancel import cancel_flow
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.destinations import page_of, return_to
from countersign.web.pages.shared.flow_mark import is_of_other_flow, show_other_flow
from countersign.web.pages.shared.leave import leave_for
from countersign.web.pages.shared.origin import find_origin
from countersign.web.pages.shared.word_pages import HOME

if TYPE_CHECKING:
    from countersign.domain.accounts.login_flow import LoginFlow
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.origin import FlowOrigin

_OF_A_FORM: Final = frozenset({LoginFlowKind.STEP_UP, LoginFlowKind.BIND_CONTACT})


class CancelForm:
    """POST ends the flow that is under way, if there is one, and leads back. GET leads to the page of the button."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Do nothing: a link or a reload cancels nothing."""
        resp.redirect(req.path.rpartition("/")[0])

    async def post(self, req: Request, resp: Response) -> None:
        """Cancel. An application hears `access_denied` at its registered address; nobody is redirected anywhere else."""
        fields = await fields_of(req)
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
            return
        wanted = await return_to(self._web, fields.get("return_to", ""))
        canceled = await cancel_flow(self._web.accounts, self._web.browser(req)) if fields.get("flow") else None
        path = canceled.interrupted.path if canceled is not None else wanted
        where = urlsplit(path)
        if where.path == links.AUTHORIZE and not where.netloc:
            denied = await deny_authorization(self._web.accounts, dict(parse_qsl(where.query, keep_blank_values=True)))
            if denied is not None:
                leave_for(self._web, req, resp, denied.location)
                return
        # A second press finds no flow, and leads where the first one did (semantics J4).
        ended = canceled or (find_origin(self._web, req) if fields.get("flow") else None)
        resp.redirect(await self._page(req, ended))

    async def _page(self, req: Request, canceled: LoginFlow | FlowOrigin | None) -> str:
        """Return the page of ours to go back to. A page that asked for the proof itself would only ask for it again."""
        if await find_session(self._web.accounts, self._web.browser(req)) is None:
            return "/sign-in"
        if canceled is not None and canceled.kind in _OF_A_FORM and canceled.interrupted.method == "POST":
            return page_of(canceled.interrupted)
        return HOME
