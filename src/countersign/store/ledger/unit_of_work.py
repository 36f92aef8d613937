"""The book: the rows that one batch of the ledger has in hand, each command reading what the one before it left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import msgspec

from countersign.domain.delivery.delivery import Delivery
from countersign.domain.shared.event import Event
from countersign.domain.verifications.challenge import Challenge
from countersign.domain.verifications.lockout import NO_FAILURES, FailedAttempts
from countersign.store.engine.database import Append, Change, Insert, Row, Seek, Table, Take, Update, Write
from countersign.store.tables import challenges, deliveries
from countersign.store.tables.schema import ANSWERS, CHALLENGES, DELIVERIES, LIMITS, STANDINGS

K = TypeVar("K")
V = TypeVar("V")
T_co = TypeVar("T_co", covariant=True)

AnswerKey: TypeAlias = tuple[str, bytes]
"""An application's id and the keyed hash of its idempotency key."""


class Reads(msgspec.Struct, frozen=True):
    """The rows a command must see: they are loaded and locked for it. A challenge brings its contact's standing along."""

    challenges: tuple[str, ...] = ()
    dedup_keys: tuple[bytes, ...] = ()
    standings: tuple[bytes, ...] = ()
    limits: tuple[bytes, ...] = ()
    answers: tuple[AnswerKey, ...] = ()


class StoredAnswer(msgspec.Struct, frozen=True):
    """The first answer to an idempotent request: the digest of that request, the outcome as bytes, and until when it is kept (ms)."""

    request: bytes
    outcome: bytes
    expires_at: int


class Decision(msgspec.Struct, Generic[T_co], frozen=True):
    """What a command decided: the outcome for its caller, and all that is to be written because of it."""

    outcome: T_co
    challenges: tuple[Challenge, ...] = ()
    standings: tuple[tuple[bytes, FailedAttempts], ...] = ()
    limits: tuple[tuple[bytes, int], ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    events: tuple[Event, ...] = ()
    answers: tuple[tuple[AnswerKey, StoredAnswer], ...] = ()


class Command(Protocol[T_co]):
    """Something asked of the ledger: the rows it needs, and a pure judgement of them."""

    @property
    def needs(self) -> Reads:
        """Return which rows it must see."""

    def judge(self, book: UnitOfWork, now: int) -> Decision[T_co]:
        """Decide, from what stands in the book; the outcome is what the caller gets. Raises only what is a bug or an outage."""


class TableCache(Generic[K, V]):
    """The rows of one table that a batch has in hand: which the database knows, and which changed."""

    def __init__(self, table: Table, new_row: Callable[[K, V], Row], changed_row: Callable[[K, V], Row]) -> None:
        self._table = table
        self._new_row = new_row
        self._changed_row = changed_row
        self._known: dict[K, V] = {}
        self._changed: dict[K, None] = {}
        self.values: dict[K, V] = {}

    def known(self, key: K, value: V) -> None:
        """Take in a row as the database has it."""
        self._known[key] = value
        self.values[key] = value

    def put(self, key: K, value: V) -> None:
        """Change a row, or add one."""
        self._changed[key] = None
        self.values[key] = value

    def updates(self) -> Iterable[Change]:
        """Return what to change of which rows, each change in the order of its keys; what stays is left alone, and so are its indexes."""
        width = len(self._table.key)
        rows: dict[tuple[int, ...], list[Row]] = {}
        for key in self._changed:
            if key in self._known:
                before, after = self._changed_row(key, self._known[key]), self._changed_row(key, self.values[key])
                places = tuple([n for n in range(width, len(after)) if after[n] != before[n]])
                rows.setdefault(places, []).append((*after[:width], *[after[n] for n in places]))
        return [
            Update(_narrowed(self._table, places), sorted(changed, key=_first))
            for places, changed in sorted(rows.items())
            if places
        ]

    def inserts(self) -> Iterable[Change]:
        """Return the rows to add, in the order of their keys."""
        rows = [self._new_row(key, self.values[key]) for key in self._changed if key not in self._known]
        return [Insert(self._table, sorted(rows, key=_first))] if rows else []

    def moved(self) -> Iterable[V]:
        """Return the values that the database knows otherwise."""
        return (self.values[key] for key in self._changed if key in self._known)

    def added(self) -> Iterable[V]:
        """Return the values that the database does not know."""
        return (self.values[key] for key in self._changed if key not in self._known)


class UnitOfWork:
    """Everything one batch has in hand."""

    def __init__(self) -> None:
        self._challenges = TableCache[str, Challenge](
            CHALLENGES,
            lambda _, challenge: challenges.to_row(challenge),
            lambda _, challenge: challenges.to_update_row(challenge),
        )
        self._standings = TableCache[bytes, FailedAttempts](STANDINGS, _standing_row, _standing_row)
        self._limits = TableCache[bytes, int](LIMITS, lambda key, tat: (key, tat), lambda key, tat: (key, tat))
        self._answers = TableCache[AnswerKey, StoredAnswer](ANSWERS, _answer_row, _answer_row)
        self._shelves: Final[tuple[TableCache[Any, Any], ...]] = (
            self._challenges,
            self._standings,
            self._limits,
            self._answers,
        )
        self._pending: dict[bytes, str] = {}
        self._messages: dict[str, Delivery] = {}
        self._deliveries: list[Delivery] = []
        self._events: list[Event] = []

    def challenge(self, challenge_id: str, application: str | None = None) -> Challenge | None:
        """Return a challenge, if it exists and (where one is named) belongs to the application."""
        found = self._challenges.values.get(challenge_id)
        return found if found is None or application in {None, found.application} else None

    def dedup_key(self, dedup_key: bytes) -> Challenge | None:
        """Return the challenge that is pending for the same subject, destination, purpose, action and lane."""
        found = self._pending.get(dedup_key)
        return None if found is None else self._challenges.values[found]

    def message(self, challenge: Challenge) -> Delivery | None:
        """Return the newest message of a challenge that was found as a twin."""
        return self._messages.get(challenge.id)

    def standing(self, key: bytes) -> FailedAttempts:
        """Return a contact's count of failures; one never seen is clean."""
        return self._standings.values.get(key, NO_FAILURES)

    def tat(self, key: bytes) -> int | None:
        """Return the timestamp of a limit, or None if it was never met."""
        return self._limits.values.get(key)

    def answered(self, key: AnswerKey) -> StoredAnswer | None:
        """Return the answer that was given to an idempotent request before."""
        return self._answers.values.get(key)

    async def load(self, needs: Sequence[Reads]) -> None:
        """Load and lock what the commands name: each table in the order of its keys, the tables always in the same order."""
        named = {id_ for need in needs for id_ in need.challenges}
        named.update(
            await self._load_duplicates(sorted({dedup_key for need in needs for dedup_key in need.dedup_keys}))
        )
        standings = {key for need in needs for key in need.standings}
        standings.update(await self._load_challenges(sorted(named)))
        if standings:
            for key, *moving in await Take(STANDINGS, [(key,) for key in sorted(standings)]):
                self._standings.known(bytes(key), FailedAttempts(*moving))
        limits = sorted({key for need in needs for key in need.limits})
        if limits:
            for key, tat in await Take(LIMITS, [(key,) for key in limits]):
                self._limits.known(bytes(key), tat)
        answers = sorted({key for need in needs for key in need.answers})
        if answers:
            for application, key, request, outcome, expires_at in await Take(ANSWERS, answers):
                self._answers.known((application, bytes(key)), StoredAnswer(bytes(request), bytes(outcome), expires_at))

    async def _load_duplicates(self, dedup_keys: Sequence[bytes]) -> list[str]:
        """Return the ids of challenges that are pending as twins, with the newest message of each in hand."""
        rows = (await Seek(CHALLENGES, "twin", dedup_keys, "state = 'pending'")) if dedup_keys else ()
        pending = sorted(row[0] for row in rows)
        if pending:
            for row in await Seek(DELIVERIES, "owner", pending):
                self._newest(deliveries.from_row(row))
        return pending

    async def _load_challenges(self, ids: Sequence[str]) -> list[bytes]:
        """Load and lock challenges; return whose standings come along."""
        if not ids:
            return []
        standings: list[bytes] = []
        for row in await Take(CHALLENGES, [(id_,) for id_ in ids]):
            challenge = challenges.from_row(row)
            self._challenges.known(challenge.id, challenge)
            self._note(challenge)
            standings.append(challenge.lockout_key)
        return standings

    def enter(self, verdict: Decision[Any]) -> None:
        """Take a verdict in: the next command sees what it changed."""
        for challenge in verdict.challenges:
            self._challenges.put(challenge.id, challenge)
            self._note(challenge)
        for key, standing in verdict.standings:
            self._standings.put(key, standing)
        for key, tat in verdict.limits:
            self._limits.put(key, tat)
        for answer_key, remembered in verdict.answers:
            self._answers.put(answer_key, remembered)
        self._deliveries.extend(verdict.deliveries)
        for delivery in verdict.deliveries:
            self._newest(delivery)
        self._events.extend(verdict.events)

    async def save(self) -> None:
        """Write all that the verdicts changed, and append the events."""
        updates = [change for shelf in self._shelves for change in shelf.updates()]
        inserts = [change for shelf in self._shelves for change in shelf.inserts()]
        if self._deliveries:
            inserts.append(Insert(DELIVERIES, [deliveries.to_row(delivery) for delivery in self._deliveries]))
        if self._events:
            await Append(self._events)
        if self._duplicate_makes_way:
            # An old twin must have ended before the new one begins, or the index of pending twins refuses it.
            await Write(tuple(updates))
            updates = []
        if everything := (*updates, *inserts):
            await Write(everything, last=True)

    @property
    def owes(self) -> bool:
        """Say whether a message is owed because of this batch."""
        return bool(self._deliveries)

    def _newest(self, delivery: Delivery) -> None:
        known = self._messages.get(delivery.owner)
        if known is None or known.number < delivery.number:
            self._messages[delivery.owner] = delivery

    @property
    def _duplicate_makes_way(self) -> bool:
        """Say whether a challenge begins whose twin ends in the same batch: all others may be written in any order."""
        ended = {challenge.dedup_key for challenge in self._challenges.moved() if challenge.ended_at is not None}
        return bool(ended) and not ended.isdisjoint(challenge.dedup_key for challenge in self._challenges.added())

    def _note(self, challenge: Challenge) -> None:
        if challenge.ended_at is None:
            self._pending[challenge.dedup_key] = challenge.id
        elif self._pending.get(challenge.dedup_key) == challenge.id:
            del self._pending[challenge.dedup_key]


@lru_cache(maxsize=256)
def _narrowed(table: Table, places: tuple[int, ...]) -> Table:
    return table.only([name for name, _ in [table.moving[place - len(table.key)] for place in places]])


def _first(row: Row) -> Any:  # noqa: ANN401 - a column of any kind
    return row[0]


def _standing_row(key: bytes, standing: FailedAttempts) -> Row:
    return (key, standing.in_a_row, standing.day_began_at, standing.in_day)


def _answer_row(key: AnswerKey, remembered: StoredAnswer) -> Row:
    return (*key, remembered.request, remembered.outcome, remembered.expires_at)
