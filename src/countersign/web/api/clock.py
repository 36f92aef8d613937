"""The clock: a test reads it, and has time pass; in development alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from countersign.domain.shared.application import ApplicationMode
from countersign.errors import InputError
from countersign.flows.maintenance.move_clock import move_clock
from countersign.web.http.authentication import caller
from countersign.web.http.body import decoded, json_if_any
from countersign.web.http.problems import ProblemError
from countersign.web.http.request import Reply
from countersign.web.http.templates import instant

if TYPE_CHECKING:
    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call

MS: Final = 1_000
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


class MoveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to come: so many seconds from now, or a moment."""

    advance: int | UnsetType = UNSET
    at: Annotated[str, Meta(max_length=40)] | UnsetType = UNSET


class ClockTold(msgspec.Struct, frozen=True):
    """The time, and the seconds that it is ahead of the machine's."""

    now: str
    ahead: int


_move: Final = msgspec.json.Decoder(MoveBody).decode
_encode: Final = msgspec.json.Encoder().encode


async def read(desk: Desk, call: Call) -> Reply:
    """GET /test/clock."""
    await _let_in(desk, call)
    return _told(desk)


async def move(desk: Desk, call: Call) -> Reply:
    """POST /test/clock: ahead only; a later time is written all over the database, and an earlier one would deny it."""
    await _let_in(desk, call)
    body = decoded(_move, await json_if_any(call))
    if body.advance is UNSET and body.at is UNSET:
        return _told(desk)
    if body.advance is not UNSET and body.at is not UNSET:
        raise InputError("at", "malformed", "Send `advance` or `at`, not both.")
    settings = desk.runtime.settings
    if not settings.sqlite or settings.workers > 1 or settings.no_worker:
        raise ProblemError("clock_shared")
    to = None if body.at is UNSET else _moment(body.at)
    by = None if body.advance is UNSET else body.advance * MS
    why_not = await move_clock(desk.runtime.clock, desk.core.database, by=by, to=to)
    if why_not is not None:
        raise ProblemError("clock_unmoved", reason=why_not.value)
    return _told(desk)


async def _let_in(desk: Desk, call: Call) -> None:
    """Raise ProblemError in production, where there is no such address, and for whoever brings no test key."""
    if not desk.runtime.settings.development:
        raise ProblemError("not_found")
    if (await caller(desk, call)).mode is not ApplicationMode.TEST:
        raise ProblemError(
            "unauthorized", remedy="Send `Authorization: Bearer csk_test_...`: a test key moves the clock."
        )


def _told(desk: Desk) -> Reply:
    clock = desk.runtime.clock
    return Reply(200, _encode(ClockTold(instant(clock()), clock.ahead // MS)))


def _moment(text: str) -> int:
    """Return a moment in RFC 3339 as milliseconds since the epoch; raises InputError."""
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is None:
            raise ValueError
        return (read - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise InputError("at", "malformed", "Expected a moment with its zone, such as 2026-11-26T10:00:00Z.") from None
