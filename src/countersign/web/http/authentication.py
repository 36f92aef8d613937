"""Callers: which application a call comes from, by the key in its Authorization header and nothing else (semantics I2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call


def bearer(call: Call) -> str:
    """Return what stands behind `Bearer`; "" if the header is missing or holds something else."""
    given = call.header(b"authorization")
    if given is None or given[:7].lower() != b"bearer ":
        return ""
    return given[7:].strip().decode("latin-1")


async def caller(desk: Desk, call: Call) -> Application:
    """Return the application that calls; raises ProblemError, the same one whatever is wrong with the key."""
    key = bearer(call)
    application = await desk.doorkeeper.authenticate(key) if key else None
    if application is None:
        raise ProblemError("unauthorized")
    return application
