"""Statistics of one provider in one country: response times, receipt times and conversion. They set its timeouts."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from countersign.domain.shared.contact import Channel

FIRST_BUCKET: Final = 100
"""Milliseconds. Shorter times count as this."""
BUCKET_GROWTH: Final = 1.25
"""Each bucket is wider than the one before by this factor. A learned time is at most a quarter too long."""
MAX_TIME: Final = 900_000

MIN_SAMPLES: Final = 20
"""Times that are needed before any conclusion is drawn."""
MAX_SAMPLES: Final = 2_000
"""Times (and ended messages) above which all counts are halved, so that recent ones prevail."""

USUAL: Final = 0.95
"""The part of receipts that must have come within a time for a later one to count as missing."""
MIN_RECEIPT_TIMEOUT: Final = 5_000
MAX_RECEIPT_TIMEOUT: Final = 180_000
"""Milliseconds. A learned receipt timeout lies between these two."""

MIN_ANSWER_TIMEOUT: Final = 2_500
"""Milliseconds that a provider has to respond while another could send the message, until its own times are known."""
MAX_ANSWER_TIMEOUT: Final = 10_000
TIMEOUT_FACTOR: Final = 3
"""The multiple of its usual time that a provider has to respond while another could send the message."""


class ProviderStats(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts of messages by outcome, and of times by bucket.

    The provider accepted `taken` messages. Its receipts reported `delivered` and `undelivered` ones, and `overdue` receipts were late or
    never came. The challenges of `ended` codes are over, and `converted` of these codes were entered. `answers`, `receipts` and `entries`
    count times: until the provider responded, until its receipt came, and from a message until its code was entered.
    """

    taken: int = 0
    delivered: int = 0
    undelivered: int = 0
    overdue: int = 0
    ended: int = 0
    converted: int = 0
    answers: dict[int, int] = {}
    receipts: dict[int, int] = {}
    entries: dict[int, int] = {}

    @property
    def conversion(self) -> float | None:
        """Return the part of ended codes that were entered, or None before there are enough."""
        return self.converted / self.ended if self.ended >= MIN_SAMPLES else None


class ProviderKey(msgspec.Struct, frozen=True, order=True):
    """A provider, its channel, and the country of the recipient ("" for mail)."""

    provider: str
    channel: Channel
    country: str = ""


def bucket(milliseconds: int) -> int:
    """Return the bucket of a time in ms. Its upper bound is FIRST_BUCKET * BUCKET_GROWTH ** bucket."""
    bounded = min(max(milliseconds, FIRST_BUCKET), MAX_TIME)
    return math.ceil(math.log(bounded / FIRST_BUCKET) / math.log(BUCKET_GROWTH) - 1e-9)


def merged(one: ProviderStats, other: ProviderStats) -> ProviderStats:
    """Return the sum of both, halved above MAX_SAMPLES."""
    ended, converted = one.ended + other.ended, one.converted + other.converted
    if ended > MAX_SAMPLES:
        ended, converted = ended // 2, converted // 2
    return ProviderStats(
        one.taken + other.taken,
        one.delivered + other.delivered,
        one.undelivered + other.undelivered,
        one.overdue + other.overdue,
        ended,
        converted,
        _together(one.answers, other.answers),
        _together(one.receipts, other.receipts),
        _together(one.entries, other.entries),
    )


def quantile(times: dict[int, int], part: float) -> int | None:
    """Return the ms within which `part` of the times lie, rounded up to the bound of a bucket. None before there are enough."""
    total = sum(times.values())
    if total < MIN_SAMPLES:
        return None
    seen = 0
    for number in sorted(times):
        seen += times[number]
        if seen >= part * total:
            return round(FIRST_BUCKET * BUCKET_GROWTH**number)
    return MAX_TIME


def receipt_timeout(stats: ProviderStats | None, promised: int | None, *, last: bool) -> int | None:
    """Return the ms after which a receipt is missing: the time within which 95 of 100 came. None if none is promised.

    The last provider of a route has at least the time it promised, as no other could take over.
    """
    if promised is None or stats is None:
        return promised
    learned = quantile(stats.receipts, USUAL)
    if learned is None:
        return promised
    bounded = min(max(learned, MIN_RECEIPT_TIMEOUT), MAX_RECEIPT_TIMEOUT)
    return max(bounded, promised) if last else bounded


def answer_timeout(stats: ProviderStats | None) -> int:
    """Return the ms that a provider has to respond while another could send the message."""
    usual = None if stats is None else quantile(stats.answers, USUAL)
    return (
        MIN_ANSWER_TIMEOUT
        if usual is None
        else min(max(TIMEOUT_FACTOR * usual, MIN_ANSWER_TIMEOUT), MAX_ANSWER_TIMEOUT)
    )


def _together(one: dict[int, int], other: dict[int, int]) -> dict[int, int]:
    if not other:
        return one
    found = dict(one)
    for number, count in other.items():
        found[number] = found.get(number, 0) + count
    if sum(found.values()) > MAX_SAMPLES:
        found = {number: half for number, count in found.items() if (half := count // 2)}
    return found
