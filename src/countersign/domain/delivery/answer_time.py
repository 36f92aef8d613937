"""Answer time: how long after a message people enter its code. A message counts as unanswered only as far as they have had that time.

It is learned for each country and channel. Where little is known, it is what people usually take. Times are in ms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from countersign.domain.delivery.latency import BUCKET_GROWTH, FIRST_BUCKET, ProviderKey, ProviderStats
from countersign.domain.shared.contact import Channel

STEP: Final = 5_000
"""The width of a step of the curve."""

HORIZON: Final = 900_000
"""After this time, nobody is waited for."""

COUNTED_WITHIN: Final = 2_000
"""Time in which a code that was entered is counted. Before anything is held, whoever judges counts what was entered until then."""

MEDIAN: Final = 60_000
FASTEST_MEDIAN: Final = 15_000
SLOWEST_MEDIAN: Final = 150_000
"""The usual median, and the bounds of what is learned. Whoever answers messages of his own, at once or late, teaches no more."""

WEIGHT: Final = 20
"""Answers that must be known before they weigh as much as what was assumed."""

MOST: Final = 0.9
"""The part of answers that is waited for."""

PHONE: Final = (Channel.SMS, Channel.VOICE, Channel.WHATSAPP)


class AnswerTime(msgspec.Struct, frozen=True):
    """Of the codes that are entered at all, the part that was entered and counted within each number of steps; later, all were."""

    parts: tuple[float, ...]


class AnswerTimes(msgspec.Struct, frozen=True):
    """The answer time of a destination (`own`), and that of all new prefixes together, which lie in many countries (`wide`)."""

    own: AnswerTime
    wide: AnswerTime

    @property
    def waits(self) -> int:
        """Return the time (ms) within which nine of ten answers have come."""
        return next((step * STEP for step, part in enumerate(self.own.parts) if part >= MOST), HORIZON)


def log_normal(median: int) -> AnswerTime:
    """Return the curve of a log-normal time with this median (ms) and a deviation of 1."""
    return AnswerTime(
        tuple(
            0.5 * (1 + math.erf(math.log((at - COUNTED_WITHIN) / median) / math.sqrt(2)))
            if at > COUNTED_WITHIN
            else 0.0
            for at in range(0, HORIZON, STEP)
        )
    )


USUAL: Final = log_normal(MEDIAN)
USUAL_TIMES: Final = AnswerTimes(USUAL, USUAL)

_FASTEST: Final = log_normal(FASTEST_MEDIAN)
_SLOWEST: Final = log_normal(SLOWEST_MEDIAN)


def learned(entries: Mapping[int, int], assumed: AnswerTime) -> AnswerTime:
    """Return the curve of the times at which codes were entered (by bucket of `latency.bucket`), mixed with what was assumed."""
    total = sum(entries.values())
    if not total:
        return assumed
    counted = [0] * len(assumed.parts)
    for bucket, count in entries.items():
        # A time lies anywhere below the bound of its bucket. It counts at the bound, so as to hold nobody too soon.
        step = -(-(round(FIRST_BUCKET * BUCKET_GROWTH**bucket) + COUNTED_WITHIN) // STEP)
        if step < len(counted):
            counted[step] += count
    parts: list[float] = []
    so_far = 0
    for step, part in enumerate(assumed.parts):
        so_far += counted[step]
        mixed = (so_far + WEIGHT * part) / (total + WEIGHT)
        parts.append(min(max(mixed, _SLOWEST.parts[step]), _FASTEST.parts[step]))
    return AnswerTime(tuple(parts))


class LearnedTimes:
    """The answer times of an installation, by country, from the statistics of its providers."""

    def __init__(self, stats: Mapping[ProviderKey, ProviderStats]) -> None:
        self._entries: dict[tuple[Channel, str], dict[int, int]] = {}
        for key, one in stats.items():
            if key.channel in PHONE and one.entries:
                for country in {key.country, ""}:
                    known = self._entries.setdefault((key.channel, country), {})
                    for bucket, count in one.entries.items():
                        known[bucket] = known.get(bucket, 0) + count
        self._times: dict[str, AnswerTimes] = {}

    def of(self, country: str) -> AnswerTimes:
        """Return the answer times of a country (ISO 3166): those of its slowest channel, since all are counted together."""
        found = self._times.get(country)
        if found is None:
            found = self._times[country] = self._of(country)
        return found

    def _of(self, country: str) -> AnswerTimes:
        own: list[AnswerTime] = []
        for channel in PHONE:
            everywhere = self._entries.get((channel, ""))
            if everywhere:
                assumed = learned(everywhere, USUAL)
                own.append(learned(self._entries.get((channel, country), {}), assumed) if country else assumed)
        slowest = slower(own) if own else USUAL
        return AnswerTimes(slowest, slower([slowest, USUAL]))


def slower(times: list[AnswerTime]) -> AnswerTime:
    """Return the curve that lies nowhere above any of these."""
    return AnswerTime(tuple(min(parts) for parts in zip(*(one.parts for one in times), strict=True)))
