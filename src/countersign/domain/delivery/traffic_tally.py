"""Tally: the counts of a traffic key in the windows that the rules of SMS pumping look at. Times are in ms."""

from __future__ import annotations

import msgspec

from countersign.domain.delivery.answer_time import HORIZON, USUAL, AnswerTime
from countersign.domain.delivery.conversion_odds import Answered
from countersign.domain.delivery.sms_traffic import DAY, HOUR, RETENTION, SLOT, WIDE_SLOT, TrafficHistory


class TrafficTally(msgspec.Struct):
    """The counts of a traffic key in this clock hour (`budgeted`, `spent`), the last day and the week before.

    `budgeted` and `spent` include notices, of which there are `notices` in the last day and `past_notices` before it. All other counts are
    those of codes. The day starts no earlier than the end of the latest hold, except for notices.

    `due` are the day's messages, each as far as people have had the time to enter its code. Those that may still be answered are in
    `answered`, by slot. All others are in `in_hour`, or in `in_day` if they are older than that. `yesterday` is the mean of the two hours around this time a
    day ago. `days` are the days that `past` covers.
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
    in_hour: Answered = msgspec.field(default_factory=lambda: Answered(0, 0, 0))
    in_day: Answered = msgspec.field(default_factory=lambda: Answered(0, 0, 0))
    answered: list[Answered] = msgspec.field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Return how many messages of the day nobody can have been expected to answer yet."""
        return max(0, int(self.day - self.due))

    def settled(self, span: int) -> tuple[int, int]:
        """Return how many messages of the last `span` ms nobody answers any more, and how many of their codes were entered."""
        hour = self.in_hour if span >= HOUR else Answered(0, 0, 0)
        day = self.in_day if span >= DAY else Answered(0, 0, 0)
        return hour.sent + day.sent, hour.converted + day.converted

    def recent(self, since: int) -> list[Answered]:
        """Return the messages since then (ms) that may still be answered, the oldest first."""
        return sorted((one for one in self.answered if one.at >= since), key=lambda one: one.at)


def tally_of(history: TrafficHistory, now: int, answer_time: AnswerTime = USUAL) -> TrafficTally:  # noqa: C901 - one pass, since this is most of what judging costs
    """Return the counts of a history."""
    past = history.past
    tally = TrafficTally(past=past.sent, past_converted=past.converted, past_notices=past.notices)
    since = counted_since(history)
    clock_hour, day, hour, horizon = now - now % HOUR, now - DAY, now - HOUR, now - HORIZON
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
        if at >= horizon:
            part = answer_time.part_within(now - at - SLOT // 2)
            tally.due += sent * part
            tally.answered.append(Answered(at, sent, slot.converted, part))
            continue
        tally.due += sent
        whole = tally.in_hour if at >= hour else tally.in_day
        whole.sent += sent
        whole.converted += slot.converted
    tally.yesterday //= 2
    tally.days = max(0, -((first - day) // DAY))
    return tally


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
