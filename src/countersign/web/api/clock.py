"""The test clock: tests read it and move it forward, in development only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from countersign.domain.shared.application import ApplicationMode
from countersign.errors import InputError
from countersign.flows.maintenance.move_clock import move_clock
from countersign.web.http.authentication import application_of
from countersign.web.http.json_body import decoded, json_if_any
from countersign.web.http.problems import ProblemError
from countersign.web.http.timestamps import instant

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

MS: Final = 1_000
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


class MoveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far to move: by seconds, or to a point in time."""

    advance: int | UnsetType = UNSET
    at: Annotated[str, Meta(max_length=40)] | UnsetType = UNSET


class ClockTold(msgspec.Struct, frozen=True):
    """The time, and the seconds that it is ahead of the machine's clock."""

    now: str
    ahead: int


_move: Final = msgspec.json.Decoder(MoveBody).decode
_encode: Final = msgspec.json.Encoder().encode


async def read(web: WebContext, req: Request, resp: Response) -> None:
    """GET /test/clock."""
    await _let_in(web, req)
    _tell(web, resp)


async def move(web: WebContext, req: Request, resp: Response) -> None:
    """POST /test/clock: forward only, because rows already bear the later times."""
    await _let_in(web, req)
    body = decoded(_move, await json_if_any(req))
    if body.advance is UNSET and body.at is UNSET:
        _tell(web, resp)
        return
    if body.advance is not UNSET and body.at is not UNSET:
        raise InputError("at", "malformed", "Send `advance` or `at`, not both.")
    settings = web.settings
    if not settings.sqlite or settings.workers > 1 or settings.no_worker:
        raise ProblemError("clock_shared")
    to = None if body.at is UNSET else _moment(body.at)
    by = None if body.advance is UNSET else body.advance * MS
    why_not = await move_clock(web.clock, web.database, by=by, to=to)
    if why_not is not None:
        raise ProblemError("clock_unmoved", reason=why_not.value)
    _tell(web, resp)


async def _let_in(web: WebContext, req: Request) -> None:
    """Raise ProblemError in production, where the endpoint does not exist, and for a caller without a test key."""
    if not web.settings.development:
        raise ProblemError("not_found")
    if (await application_of(web, req)).mode is not ApplicationMode.TEST:
        raise ProblemError(
            "unauthorized", remedy="Send `Authorization: Bearer csk_test_...`: a test key moves the clock."
        )


def _tell(web: WebContext, resp: Response) -> None:
    resp.json(_encode(ClockTold(instant(web.clock()), web.clock.ahead // MS)))


def _moment(text: str) -> int:
    """Return an RFC 3339 time as milliseconds since the epoch. Raises InputError."""
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is None:
            raise ValueError
        return (read - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise InputError("at", "malformed", "Expected a moment with its zone, such as 2026-11-26T10:00:00Z.") from None
