"""The rules of a history: what must hold of all that clients were told, of what the database holds at the end, and of what was sent.

A history is data, so the rules are tried on histories that are wrong on purpose as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GUESSES: Final = 5
"""How often a code is compared, at most."""

PER_DAY: Final = 20
"""How often codes for one contact are compared wrongly in a day, before it is paused."""

Kind: TypeAlias = Literal["begin", "wrong", "right", "cancel", "resend", "read"]
RANK: Final = {"pending": 0, "approved": 1, "canceled": 1, "exhausted": 1, "expired": 1}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its answer, as its client knows them. Times are in seconds of one clock.

    `status` is the HTTP status, or 0 if no answer came. `unknown` is True if nobody can tell whether it was carried out. `compared` is
    True if the answer says that a code was compared. `key` is the idempotency key, empty without one.
    """

    kind: Kind
    began: float
    ended: float
    status: int
    challenge: str = ""
    key: str = ""
    to: str = ""
    unknown: bool = False
    compared: bool = False
    state: str = ""
    guesses_left: int | None = None
    sends_left: int | None = None


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge as the database holds it at the end, what the event log has counted of it, and whether its first message was sent."""

    state: str
    guesses: int
    sends: int
    compared_events: int
    approved_events: int
    sent: bool
    to: str = ""


class History(msgspec.Struct):
    """What clients were told, and what is stored in the end. `log_findings` is what the verification of the event log found."""

    told: list[Told] = []
    stored: dict[str, Stored] = {}
    log_findings: list[str] = []


class Violation(msgspec.Struct, frozen=True):
    """A rule that does not hold, and where."""

    rule: str
    what: str


def violations(history: History) -> list[Violation]:
    """Return every violation of every rule."""
    by_challenge: dict[str, list[Told]] = defaultdict(list)
    for told in history.told:
        if told.challenge:
            by_challenge[told.challenge].append(told)
    found = [Violation("the log is sound", what) for what in history.log_findings]
    found += _one_key_one_challenge(history.told)
    found += _contacts_are_paused(history)
    for id_, all_told in sorted(by_challenge.items()):
        stored = history.stored.get(id_)
        acknowledged = [told for told in all_told if told.status in {200, 201, 409}]
        if stored is None:
            if acknowledged:
                found.append(Violation("nothing acknowledged is lost", f"{id_} is not stored"))
            continue
        found += _nothing_is_lost(id_, acknowledged, stored)
        found += _one_approval(id_, acknowledged, stored)
        found += _guesses_are_counted(id_, all_told, stored)
        found += _ends_exclude_each_other(id_, acknowledged)
        found += _nothing_goes_back(id_, acknowledged)
    return found


def _one_key_one_challenge(told: Sequence[Told]) -> Iterator[Violation]:
    begun: dict[str, set[str]] = defaultdict(set)
    for one in told:
        if one.kind == "begin" and one.key and one.challenge:
            begun[one.key].add(one.challenge)
    for key, challenges in sorted(begun.items()):
        if len(challenges) > 1:
            yield Violation("one idempotency key, one challenge", f"{key}: {sorted(challenges)}")


def _contacts_are_paused(history: History) -> Iterator[Violation]:
    wrong: Counter[str] = Counter()
    for stored in history.stored.values():
        wrong[stored.to] += stored.guesses - (stored.state == "approved")
    for to, times in sorted(wrong.items()):
        if to and times > PER_DAY:
            yield Violation("a contact is paused after 20 wrong codes a day", f"{to}: {times}")


def _nothing_is_lost(id_: str, acknowledged: Sequence[Told], stored: Stored) -> Iterator[Violation]:
    for told in acknowledged:
        if RANK.get(told.state, 0) > RANK[stored.state] or (RANK.get(told.state, 0) and told.state != stored.state):
            yield Violation("nothing acknowledged is lost", f"{id_} was {told.state}, and is {stored.state}")
        if told.guesses_left is not None and GUESSES - told.guesses_left > stored.guesses:
            yield Violation("nothing acknowledged is lost", f"{id_} had {told.guesses_left} guesses left")
    if any(told.kind == "begin" for told in acknowledged) and not stored.sent and stored.state == "pending":
        yield Violation("each promised message arrives", id_)


def _one_approval(id_: str, acknowledged: Sequence[Told], stored: Stored) -> Iterator[Violation]:
    keys = [
        told.key or str(n)
        for n, told in enumerate(acknowledged)
        if told.kind == "right" and told.status == 200 and told.state == "approved"
    ]
    if len(set(keys)) > 1 or stored.approved_events > 1:
        yield Violation(
            "one approval a challenge", f"{id_}: {len(set(keys))} told, {stored.approved_events} in the log"
        )
    if keys and not stored.approved_events:
        yield Violation("nothing acknowledged is lost", f"{id_}: the log has no approval")


def _guesses_are_counted(id_: str, all_told: Sequence[Told], stored: Stored) -> Iterator[Violation]:
    compared = {told.key or str(n): told for n, told in enumerate(all_told) if told.compared}
    lost = sum(1 for told in all_told if told.kind in {"wrong", "right"} and (told.status == 0 or told.unknown))
    if stored.guesses > GUESSES:
        yield Violation("five comparisons at most", f"{id_}: {stored.guesses}")
    shown = Counter(told.guesses_left for told in compared.values() if told.kind == "wrong")
    for left, times in sorted(shown.items(), key=str):
        if times > 1:
            yield Violation("each count of guesses is used once", f"{id_}: {left} left, {times} times")
    if stored.guesses < len(compared):
        yield Violation("no guess is given back", f"{id_}: {len(compared)} compared, {stored.guesses} stored")
    if stored.guesses > len(compared) + lost:
        what = f"{id_}: {stored.guesses} stored, {len(compared)} compared, {lost} unknown"
        yield Violation("what was not done is not done", what)
    if stored.compared_events != stored.guesses:
        yield Violation("the log has every guess", f"{id_}: {stored.compared_events} of {stored.guesses}")


def _ends_exclude_each_other(id_: str, acknowledged: Sequence[Told]) -> Iterator[Violation]:
    ends = {told.state for told in acknowledged if RANK.get(told.state, 0)}
    if len(ends) > 1:
        yield Violation("an end is final", f"{id_}: {sorted(ends)}")


def _nothing_goes_back(id_: str, acknowledged: Sequence[Told]) -> Iterator[Violation]:
    """Compare answers of which one ended before the other began: in real time, over all nodes."""
    for what, measure in (("guesses", _guesses), ("sends", _sends), ("state", _rank)):
        highest, passed = -1, 0
        ended = sorted((told for told in acknowledged if measure(told) >= 0), key=lambda told: told.ended)
        for later in sorted(ended, key=lambda told: told.began):
            while passed < len(ended) and ended[passed].ended < later.began:
                highest, passed = max(highest, measure(ended[passed])), passed + 1
            # An answer to a repeated request is the first one, kept: it shows an earlier state rightly.
            if measure(later) < highest and not later.key:
                yield Violation("nothing goes back in real time", f"{id_}: {what} {measure(later)} after {highest}")


def _guesses(told: Told) -> int:
    return -1 if told.guesses_left is None else GUESSES - told.guesses_left


def _sends(told: Told) -> int:
    return -1 if told.sends_left is None else GUESSES - told.sends_left


def _rank(told: Told) -> int:
    return RANK.get(told.state, -1)
