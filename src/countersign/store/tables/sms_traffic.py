"""Reads and writes the counts of SMS and voice messages by which SMS pumping is judged, and the places that are blocked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from countersign.domain.delivery.answer_time import HORIZON
from countersign.domain.delivery.sms_pumping import BUDGETS, HOLD_MEMORY, PumpingFinding
from countersign.domain.delivery.sms_traffic import (
    DAY,
    HOUR,
    RANGE_MARKER,
    RANGE_RETENTION,
    RETENTION,
    SLOT,
    WIDE_SLOT,
    Hold,
    TrafficHistory,
    TrafficSlot,
    difference,
)
from countersign.store.engine.database import Change, Rows, Sql, Upsert
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import BLOCKS, TRAFFIC

WIDEN_AFTER: Final = HORIZON
"""Age in ms from which the counts of seconds are rolled up into those of five minutes: nobody answers these messages any more."""

ROLL_UP_AFTER: Final = 3 * HOUR
"""Age in ms from which the counts of five minutes are rolled up into those of their hour; nothing is added to them any more."""

LOCK: Final = 0
"""The time (ms) of the row by which `roll_up` locks; no slot begins then."""

_AT_ONCE: Final = 500

Key: TypeAlias = tuple[str, str, int]
"""Application, place, and the beginning of a slot (ms)."""


class Block(msgspec.Struct, frozen=True):
    """A place that is or was blocked for an application, and why.

    `since`, `until` and `lifted_at` are in ms. `figures` is a sentence. `shadow` is True if the block was recorded without holding
    anything back.
    """

    application: str
    place: str
    since: int
    scope: str
    prefix: str
    country: str
    rule: str
    figures: str
    times: int
    shadow: bool
    until: int
    lifted_at: int | None = None

    @property
    def hold(self) -> Hold:
        """Return the block as the rules of the domain see it."""
        return Hold(self.since, self.until, self.times, self.lifted_at)


BLOCK_ROWS: Final = RowMapper(BLOCKS, Block)


async def find_histories(
    application: str, places: Sequence[str], now: int, *, shadow: bool = False
) -> dict[str, TrafficHistory]:
    """Return what is known of places of an application at `now` (ms), by place: with the blocks in force, or with shadow blocks alone."""
    slots: dict[str, list[TrafficSlot]] = {}
    holds: dict[str, Hold] = {}
    spent_until: dict[str, int] = {}
    past: dict[str, TrafficSlot] = {}
    since = now - DAY - HOUR
    names = sorted(set(places))
    for begin in range(0, len(names), _AT_ONCE):
        some = names[begin : begin + _AT_ONCE]
        marks = ", ".join(f"${n}" for n in range(3, len(some) + 3))
        rows = await Sql(
            "SELECT place, at, sent, spent, converted, notices FROM traffic WHERE application = $1 AND at >= $2"
            f" AND place IN ({marks})",
            (application, since, *some),
        )
        for place, *figures in rows:
            slots.setdefault(place, []).append(TrafficSlot(*figures))
        rows = await Sql(
            "SELECT place, min(at), CAST(sum(sent) AS bigint), CAST(sum(converted) AS bigint),"
            " CAST(sum(notices) AS bigint) FROM traffic"
            f" WHERE application = $1 AND at >= $2 AND at < {since} AND place IN ({marks}) GROUP BY place",
            (application, max(1, now - RETENTION), *some),
        )
        past.update(
            {place: TrafficSlot(first, sent, 0, converted, told) for place, first, sent, converted, told in rows}
        )
        rows = await Sql(
            f"SELECT {BLOCKS.names} FROM blocks WHERE application = $1 AND until > $2 AND place IN ({marks})"
            " ORDER BY since",
            (application, now - HOLD_MEMORY, *some),
        )
        for block in map(BLOCK_ROWS.from_row, rows):
            if block.shadow is not shadow:
                continue
            if block.rule in BUDGETS:
                spent_until[block.place] = block.hold.ends_at
            else:
                holds[block.place] = block.hold
    return {
        name: TrafficHistory(
            tuple(slots.get(name, ())), holds.get(name), spent_until.get(name, 0), past.get(name, TrafficSlot(0))
        )
        for name in names
    }


async def add_counts(counted: Mapping[Key, TrafficSlot]) -> None:
    """Add to the counts of slots; other transactions may add to the same slots at the same time."""
    await reserve_counts(counted)


async def reserve_counts(counted: Mapping[Key, TrafficSlot]) -> dict[Key, TrafficSlot]:
    """Add to the counts of slots, and return what was counted in each before.

    Whoever reserves at the same time has another slice of the counts: it begins where this one ends, or ends where this one begins. Run it
    as a transaction of its own, so that the slots are locked no longer than one statement takes.
    """
    before: dict[Key, TrafficSlot] = {}
    keys = sorted(counted)
    for begin in range(0, len(keys), _AT_ONCE):
        for application, place, at, *figures in await _add(keys[begin : begin + _AT_ONCE], counted):
            key = (application, place, at)
            before[key] = difference(TrafficSlot(at, *figures), counted[key])
    return before


async def _add(keys: Sequence[Key], counted: Mapping[Key, TrafficSlot]) -> Rows:
    """Add to the counts of slots, and return their rows."""
    marks = ", ".join(
        "({})".format(", ".join(f"${7 * n + column}" for column in range(1, 8))) for n in range(len(keys))
    )
    args: list[object] = []
    for key in keys:
        slot = counted[key]
        args += [*key, slot.sent, slot.spent, slot.converted, slot.notices]
    return await Sql(
        f"INSERT INTO traffic ({TRAFFIC.names}) VALUES {marks} ON CONFLICT (application, place, at) DO UPDATE SET"
        " sent = traffic.sent + excluded.sent, spent = traffic.spent + excluded.spent,"
        " converted = traffic.converted + excluded.converted, notices = traffic.notices + excluded.notices"
        f" RETURNING {', '.join(f'traffic.{name}' for name, _ in TRAFFIC.columns)}",
        tuple(args),
    )


def slot_start(at: int) -> int:
    """Return when the slot began in which a time lies (both in ms)."""
    return at - at % SLOT


def upsert_blocks(blocks: Sequence[Block]) -> tuple[Change, ...]:
    """Return the change that writes blocks."""
    rows = {(block.application, block.place, block.since): BLOCK_ROWS.to_row(block) for block in blocks}
    return (Upsert(BLOCKS, [rows[key] for key in sorted(rows)]),) if rows else ()


async def list_blocks(since: int) -> list[Block]:
    """Return the blocks that were in force at some time since `since` (ms), newest first."""
    rows = await Sql(f"SELECT {BLOCKS.names} FROM blocks WHERE until >= $1 ORDER BY since DESC, place", (since,))
    return [BLOCK_ROWS.from_row(row) for row in rows]


async def lift_blocks(where: str, application: str | None, now: int) -> list[Block]:
    """Lift the blocks in force at `now` (ms) of a place, or of the number ranges within a prefix; return them as they were.

    `application` limits this to one application; None lifts those of all.
    """
    rows: Rows = await Sql(
        f"SELECT {BLOCKS.names} FROM blocks WHERE until > $1 AND lifted_at IS NULL AND (place = $2 OR (prefix = $2 AND scope IN"
        " ('thousand', 'ten_thousand', 'hundred_thousand'))) ORDER BY application, place, since",
        (now, where),
    )
    found = [BLOCK_ROWS.from_row(row) for row in rows if application is None or row[0] == application]
    for block in found:
        await Sql(
            "UPDATE blocks SET lifted_at = $1 WHERE application = $2 AND place = $3 AND since = $4",
            (now, block.application, block.place, block.since),
        )
    return found


async def roll_up(now: int) -> None:
    """Roll up the counts of each five minutes, and of each hour, that are long over; what was not within a day stays as it is."""
    for width, after in ((WIDE_SLOT, WIDEN_AFTER), (HOUR, ROLL_UP_AFTER)):
        before = now - after
        before -= before % width
        span = (before - DAY, before)
        due = await Sql(f"SELECT 1 FROM traffic WHERE at >= $1 AND at < $2 AND at % {width} <> 0 LIMIT 1", span)
        if not due:
            continue
        await _add(
            [("", "", LOCK)], {("", "", LOCK): TrafficSlot(LOCK)}
        )  # two transactions that roll up at once would count twice
        await Sql(
            f"INSERT INTO traffic ({TRAFFIC.names})"
            f" SELECT application, place, at - at % {width}, CAST(sum(sent) AS bigint), CAST(sum(spent) AS bigint),"
            " CAST(sum(converted) AS bigint), CAST(sum(notices) AS bigint)"
            f" FROM traffic WHERE at >= $1 AND at < $2 AND at % {width} <> 0"
            f" GROUP BY application, place, at - at % {width}"
            " ON CONFLICT (application, place, at) DO UPDATE SET sent = traffic.sent + excluded.sent,"
            " spent = traffic.spent + excluded.spent, converted = traffic.converted + excluded.converted,"
            " notices = traffic.notices + excluded.notices",
            span,
        )
        await Sql(f"DELETE FROM traffic WHERE at >= $1 AND at < $2 AND at % {width} <> 0", span)


async def delete_old_counts(now: int, limit: int) -> int:
    """Delete at most `limit` counts that no rule looks at any more; return how many were deleted."""
    return await delete_rows(
        TRAFFIC,
        "at > 0 AND (at < $1 OR (at < $2 AND place LIKE $3))",
        (now - RETENTION - DAY, now - RANGE_RETENTION, f"{RANGE_MARKER}%"),
        order_by="at",
        limit=limit,
    )


async def delete_ended_blocks(before: int, limit: int) -> int:
    """Delete at most `limit` blocks that ended before `before` (ms) and lengthen no later block any more; return how many were deleted."""
    return await delete_rows(BLOCKS, "until < $1", (before - HOLD_MEMORY,), order_by="until", limit=limit)


def new_block(finding: PumpingFinding, hold: Hold, application: str, area: tuple[str, str], *, shadow: bool) -> Block:
    """Return the block that follows from a finding; `area` is the country and the prefix of the message that led to it."""
    country, prefix = area
    return Block(
        application,
        finding.key.name,
        hold.since,
        finding.key.scope.value,
        prefix,
        country,
        finding.rule.value,
        finding.sentence,
        hold.times,
        shadow,
        hold.until,
    )
