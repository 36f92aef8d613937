"""The front door: what stands at `/`, to which every message and page sends people by the site's name alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign import links
from countersign.flows.accounts.sessions import find_session
from countersign.web.pages.developer.demonstration import Demonstration

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


class FrontDoor:
    """Leads to the account or to the sign-in. In development the start page for developers is here."""

    def __init__(self, web: WebContext) -> None:
        self._web = web
        self._demonstration = Demonstration(web)

    async def get(self, req: Request, resp: Response) -> None:
        """Lead on."""
        if self._demonstration.is_shown:
            await self._demonstration.get(req, resp)
            return
        session = await find_session(self._web.accounts, self._web.browser(req))
        resp.redirect(links.SIGN_IN if session is None else links.ACCOUNT)
