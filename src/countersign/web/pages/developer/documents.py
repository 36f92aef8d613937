"""The way from the start page of development to the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

DOCUMENTS: Final = "https://github.com/countersign-otp/countersign/tree/main/docs"


async def documents(_: Request, resp: Response) -> None:
    """GET /docs: lead to the documents."""
    resp.redirect(DOCUMENTS)
