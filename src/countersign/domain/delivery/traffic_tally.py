"""Tally: the counts of a traffic key in the windows that the rules of SMS pumping look at. Times are in ms."""

from __future__ import annotations

import msgspec

from countersign.domain.delivery.sms_traffic import CONVERSION_DELAY, DAY, HOUR, RETENTION, SLOT, TrafficHistory


class TrafficTally(msgspec.Struct):
    """The counts of a traffic key in this clock hour (`budgeted`, `spent`), the last hour, the last day and the week before.

    `budgeted` and `spent` include notices, of which there are `notices` in the last day and `past_notices` before it. All other counts are
    those of codes. Hour and day start no earlier than the end of the latest hold, except for notices.

    `old` messages have had enough time for their code to be entered. `yesterday` is the mean of the two hours around this time a day ago.
    `days` are the days that `past` covers.
    """

    budgeted: int = 0
    spent: int = 0
    hour: int = 0
    hour_old: int = 0
    hour_converted: int = 0
    day: int = 0
    day_old: int = 0
    day_old_converted: int = 0
    day_converted: int = 0
    latest: int = 0
    yesterday: int = 0
    past: int = 0
    past_converted: int = 0
    days: int = 0
    notices: int = 0
    past_notices: int = 0


def tally_of(history: TrafficHistory, now: int) -> TrafficTally:  # noqa: C901 - one pass, since this is most of what judging costs
    """Return the counts of a history."""
    past = history.past
    tally = TrafficTally(past=past.sent, past_converted=past.converted, past_notices=past.notices)
    since = counted_since(history)
    clock_hour, day, hour, waits = now - now % HOUR, now - DAY, now - HOUR, now - CONVERSION_DELAY - SLOT
    first = history.past.at or now
    for slot in history.slots:
        at, sent = slot.at, slot.sent
        if at < first:  # noqa: PLR1730 - a call of min is half of what this loop costs
            first = at
        if day - HOUR <= at < day + HOUR:
            tally.yesterday += sent
        if at < day:
            if at >= now - RETENTION:
                tally.past += sent
                tally.past_converted += slot.converted
                tally.past_notices += slot.notices
            continue
        tally.notices += slot.notices
        if at >= clock_hour:
            tally.budgeted += sent + slot.notices
            tally.spent += slot.spent
        if at < since:
            continue
        if sent and at > tally.latest:
            tally.latest = at
        tally.day += sent
        tally.day_converted += slot.converted
        if at >= hour:
            tally.hour += sent
        if at <= waits:
            tally.day_old += sent
            tally.day_old_converted += slot.converted
            if at >= hour:
                tally.hour_old += sent
                tally.hour_converted += slot.converted
    tally.yesterday //= 2
    tally.days = max(0, -((first - day) // DAY))
    return tally


def counted_since(history: TrafficHistory) -> int:
    """Return the slot (ms) from which counts apply: the one in which the latest hold ended.

    Earlier messages count neither for nor against it.

    A hold that was lifted within its first slot also leaves that slot behind.
    """
    hold = history.hold
    if hold is None:
        return 0
    begin = hold.ends_at - hold.ends_at % SLOT
    return begin if begin > hold.since else begin + SLOT
