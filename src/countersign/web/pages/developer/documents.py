"""The way from the start page of development to the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

DOCUMENTS: Final = "https://github.com/countersign-otp/countersign/tree/main/docs"


class Documents:
    """GET /docs: lead to the documents."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, _: Request, resp: Response) -> None:
        """Lead there in development; elsewhere answer 404."""
        if not self._web.settings.development:
            raise ProblemError("not_found")
        resp.redirect(DOCUMENTS)
