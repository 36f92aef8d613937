"""Redirect targets: where a browser goes next, and which addresses of applications it may be sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.flows.oidc.asking_client import find_asking_client
from countersign.store.tables import applications
from countersign.web.http.cookies import keep_flow
from countersign.web.pages.shared.word_pages import HOME

if TYPE_CHECKING:
    from countersign.flows.accounts.context import CodeRequested
    from countersign.web.http.context import WebContext
    from countersign.web.http.response import Response

MAX_RETURN: Final = 4_000


async def return_to(web: WebContext, wanted: str) -> str:
    """Return the target after a sign-in: a path of ours, a registered address of an application, or the account."""
    if not 0 < len(wanted) <= MAX_RETURN or not wanted.isascii() or not wanted.isprintable() or "\\" in wanted:
        return HOME
    if wanted.startswith("/") and not wanted.startswith("//"):
        return wanted
    known = await web.database.read(applications.list_all)
    return wanted if any(wanted in application.redirect_uris for application in known) else HOME


async def leads_to(web: WebContext, path: str) -> str:
    """Return the registered origin of the application that an authorization request leads to, or "" for another path of ours."""
    return (await find_asking_client(web.accounts, path)).origin


def to_verification(resp: Response, begun: CodeRequested) -> None:
    """Set the cookies of a login flow that has begun, and redirect to the verification screen."""
    keep_flow(resp, begun)
    resp.redirect("/verify")
