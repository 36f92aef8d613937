"""Authentication of applications by the key in the Authorization header, and by nothing else (semantics I2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request


def bearer(req: Request) -> str:
    """Return the bearer token, or "" if the header is missing or has another scheme."""
    given = req.get_header("Authorization")
    if given is None or given[:7].lower() != "bearer ":
        return ""
    return given[7:].strip()


async def application_of(web: WebContext, req: Request) -> Application:
    """Return the application that sent a request. Raises the same ProblemError whatever is wrong with the key."""
    key = bearer(req)
    application = await web.applications.authenticate(key) if key else None
    if application is None:
        raise ProblemError("unauthorized")
    return application
