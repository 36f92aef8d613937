"""Tally: the counts of a traffic key in the windows that the rules of SMS pumping look at. Times are in ms."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.delivery.answer_time import HORIZON, STEP, USUAL, USUAL_TIMES, AnswerTime, AnswerTimes
from countersign.domain.delivery.conversion_odds import OpenSlot
from countersign.domain.delivery.sms_traffic import DAY, HOUR, MINUTE, RETENTION, SLOT, WIDE_SLOT, TrafficHistory

BURST: Final = 10 * MINUTE
"""The shortest window in which conversions are compared with what is usual. All of it may still be answered."""


class TrafficTally(msgspec.Struct):
    """The counts of a traffic key in this clock hour (`budgeted`, `spent`), the last day and the week before.

    `budgeted` and `spent` include notices, of which there are `notices` in the last day and `past_notices` before it. All other counts are
    those of codes. The day starts no earlier than the end of the latest hold, except for notices.

    `due` are the day's messages, each as far as people have had the time to enter its code. Those that may still be answered are in
    `open`, by slot; the last ones of them are `burst`. All others are in `in_hour`, or in `in_day` if they are older than that.

    `yesterday` is the mean of the two hours around this time a day ago. `days` are the days that `past` covers.
    """

    budgeted: int = 0
    spent: int = 0
    day: int = 0
    day_converted: int = 0
    due: float = 0.0
    latest: int = 0
    yesterday: int = 0
    past: int = 0
    past_converted: int = 0
    days: int = 0
    notices: int = 0
    past_notices: int = 0
    burst: int = 0
    in_hour: int = 0
    in_hour_converted: int = 0
    in_day: int = 0
    in_day_converted: int = 0
    open: list[OpenSlot] = msgspec.field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Return how many messages of the day nobody can have been expected to answer yet."""
        return max(0, int(self.day - self.due))

    def sent(self, span: int) -> int:
        """Return the messages of the last `span` ms: BURST, HOUR or DAY."""
        return self.burst if span < HOUR else self.day if span >= DAY else self.day - self.in_day

    def settled(self, span: int) -> tuple[int, int]:
        """Return how many messages of the last `span` ms nobody answers any more, and how many of their codes were entered."""
        if span < HOUR:
            return 0, 0
        if span < DAY:
            return self.in_hour, self.in_hour_converted
        return self.in_hour + self.in_day, self.in_hour_converted + self.in_day_converted

    def since(self, begin: int) -> list[OpenSlot]:
        """Return the slots since then (ms) whose messages may still be answered, the oldest first."""
        return sorted(slot for slot in self.open if slot[0] >= begin)


def tally_of(history: TrafficHistory, now: int, answer_time: AnswerTime = USUAL) -> TrafficTally:  # noqa: C901, PLR0912 - one pass over plain names, since this is most of what judging costs
    """Return the counts of a history."""
    past, past_converted, past_notices = history.past.sent, history.past.converted, history.past.notices
    budgeted = spent = today = converted = notices = latest = yesterday = 0
    burst = in_hour = in_hour_converted = in_day = in_day_converted = 0
    due = 0.0
    waiting: list[OpenSlot] = []
    since = counted_since(history)
    clock_hour, day, hour, horizon, newest = now - now % HOUR, now - DAY, now - HOUR, now - HORIZON, now - BURST
    first = history.past.at or now
    parts, middle, steps = answer_time.parts, now - SLOT // 2, len(answer_time.parts)
    for slot in history.slots:
        at, sent = slot.at, slot.sent
        if at < first:  # noqa: PLR1730 - a call of min is half of what this loop costs
            first = at
        if at < day + HOUR:
            if at >= day - HOUR:
                yesterday += sent
            if at < day:
                if at >= now - RETENTION:
                    past += sent
                    past_converted += slot.converted
                    past_notices += slot.notices
                continue
        notices += slot.notices
        if at >= clock_hour:
            budgeted += sent + slot.notices
            spent += slot.spent
        if at < since:
            continue
        if sent and at > latest:
            latest = at
        today += sent
        converted += slot.converted
        if at >= horizon:
            step = (middle - at) // STEP
            part = 0.0 if step < 0 else parts[step] if step < steps else 1.0
            due += sent * part
            waiting.append((at, sent, slot.converted, part))
            if at >= newest:
                burst += sent
        elif at >= hour:
            in_hour += sent
            in_hour_converted += slot.converted
        else:
            in_day += sent
            in_day_converted += slot.converted
    return TrafficTally(
        budgeted=budgeted,
        spent=spent,
        day=today,
        day_converted=converted,
        due=due + in_hour + in_day,
        latest=latest,
        yesterday=yesterday // 2,
        past=past,
        past_converted=past_converted,
        days=max(0, -((first - day) // DAY)),
        notices=notices,
        past_notices=past_notices,
        burst=burst,
        in_hour=in_hour,
        in_hour_converted=in_hour_converted,
        in_day=in_day,
        in_day_converted=in_day_converted,
        open=waiting,
    )


def counted_since(history: TrafficHistory) -> int:
    """Return the time (ms) from which counts apply: that of the wide slot in which the latest hold ended.

    Earlier messages count neither for nor against it.

    A hold that was lifted within its first slot also leaves that slot behind.
    """
    hold = history.hold
    if hold is None:
        return 0
    begin = hold.ends_at - hold.ends_at % WIDE_SLOT
    return begin if begin > hold.since else begin + WIDE_SLOT


class Surroundings(msgspec.Struct, frozen=True):
    """What is known beside a traffic key: how long people take to answer, and the history of all new prefixes."""

    times: AnswerTimes = USUAL_TIMES
    fresh: TrafficHistory = TrafficHistory()

    def waiting(self, now: int) -> int:
        """Return how many messages to new prefixes wait for an answer."""
        return tally_of(self.fresh, now, self.times.wide).waiting


NOTHING_KNOWN: Final = Surroundings()
