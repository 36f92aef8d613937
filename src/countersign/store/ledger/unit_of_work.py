"""Holds the rows that one batch of the ledger works on: an identity map, in which each command sees what the one before it changed.

There is one value for each row, however many commands read it. Nothing is written before `save`, which writes only what has changed.
"""

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
"""The id of an application, and the keyed hash of its idempotency key."""


class Reads(msgspec.Struct, frozen=True):
    """The rows that a command reads, by their keys. They are loaded and locked before it decides.

    With each challenge come the failed attempts of its contact. A key of `dedup_keys` stands for the pending challenge that has it.
    """

    challenges: tuple[str, ...] = ()
    dedup_keys: tuple[bytes, ...] = ()
    failed_attempts: tuple[bytes, ...] = ()
    limits: tuple[bytes, ...] = ()
    answers: tuple[AnswerKey, ...] = ()


class StoredAnswer(msgspec.Struct, frozen=True):
    """The first answer to an idempotent request: the digest of the request, the encoded outcome, and until when it is kept (ms)."""

    request: bytes
    outcome: bytes
    expires_at: int


class Decision(msgspec.Struct, Generic[T_co], frozen=True):
    """What a command decided: the outcome for its caller, and everything that is written because of it.

    `limits` are keys with the new time (ms) of each rate limit.
    """

    outcome: T_co
    challenges: tuple[Challenge, ...] = ()
    failed_attempts: tuple[tuple[bytes, FailedAttempts], ...] = ()
    limits: tuple[tuple[bytes, int], ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    events: tuple[Event, ...] = ()
    answers: tuple[tuple[AnswerKey, StoredAnswer], ...] = ()


class Command(Protocol[T_co]):
    """A command to the ledger: the rows that it reads, and a pure decision on them."""

    @property
    def reads(self) -> Reads:
        """Return which rows the command reads."""

    def decide(self, work: UnitOfWork, now: int) -> Decision[T_co]:
        """Decide at `now` (ms), from the rows in `work`. Raises only for a bug or an outage; a refusal is an outcome."""


class TableCache(Generic[K, V]):
    """The rows of one table in a unit of work: as the database has them, and as they are now.

    `to_row` and `to_update_row` make the rows of an Insert and an Update from a key and its value.
    """

    def __init__(self, table: Table, to_row: Callable[[K, V], Row], to_update_row: Callable[[K, V], Row]) -> None:
        self._table = table
        self._to_row = to_row
        self._to_update_row = to_update_row
        self._loaded: dict[K, V] = {}
        self._changed: dict[K, None] = {}
        self.values: dict[K, V] = {}

    def load(self, key: K, value: V) -> None:
        """Add a value as the database has it."""
        self._loaded[key] = value
        self.values[key] = value

    def put(self, key: K, value: V) -> None:
        """Replace a value, or add one that the database does not have."""
        self._changed[key] = None
        self.values[key] = value

    def updates(self) -> Iterable[Change]:
        """Return the updates of values that were loaded, each in the order of its keys.

        An update sets only the columns that have changed, so indexes of the others are left alone.
        """
        width = len(self._table.key)
        rows: dict[tuple[int, ...], list[Row]] = {}
        for key in self._changed:
            if key in self._loaded:
                before, after = self._to_update_row(key, self._loaded[key]), self._to_update_row(key, self.values[key])
                changed = tuple([n for n in range(width, len(after)) if after[n] != before[n]])
                rows.setdefault(changed, []).append((*after[:width], *[after[n] for n in changed]))
        return [
            Update(_narrowed(self._table, changed), sorted(some, key=_first))
            for changed, some in sorted(rows.items())
            if changed
        ]

    def inserts(self) -> Iterable[Change]:
        """Return the insert of values that the database does not have, in the order of their keys."""
        rows = [self._to_row(key, self.values[key]) for key in self._changed if key not in self._loaded]
        return [Insert(self._table, sorted(rows, key=_first))] if rows else []

    def changed_values(self) -> Iterable[V]:
        """Return the values that the database has, but not as they are now."""
        return (self.values[key] for key in self._changed if key in self._loaded)

    def added_values(self) -> Iterable[V]:
        """Return the values that the database does not have."""
        return (self.values[key] for key in self._changed if key not in self._loaded)


class UnitOfWork:
    """The rows that one batch works on."""

    def __init__(self) -> None:
        self._challenges = TableCache[str, Challenge](
            CHALLENGES,
            lambda _, challenge: challenges.to_row(challenge),
            lambda _, challenge: challenges.to_update_row(challenge),
        )
        self._failed_attempts = TableCache[bytes, FailedAttempts](STANDINGS, _failed_attempts_row, _failed_attempts_row)
        self._limits = TableCache[bytes, int](LIMITS, lambda key, tat: (key, tat), lambda key, tat: (key, tat))
        self._answers = TableCache[AnswerKey, StoredAnswer](ANSWERS, _answer_row, _answer_row)
        self._caches: Final[tuple[TableCache[Any, Any], ...]] = (
            self._challenges,
            self._failed_attempts,
            self._limits,
            self._answers,
        )
        self._pending: dict[bytes, str] = {}
        self._newest_deliveries: dict[str, Delivery] = {}
        self._deliveries: list[Delivery] = []
        self._events: list[Event] = []

    def challenge(self, challenge_id: str, application: str | None = None) -> Challenge | None:
        """Return a challenge, or None if there is none, or if it belongs to another application than the one given."""
        found = self._challenges.values.get(challenge_id)
        return found if found is None or application in {None, found.application} else None

    def pending_challenge(self, dedup_key: bytes) -> Challenge | None:
        """Return the pending challenge with this deduplication key, or None."""
        found = self._pending.get(dedup_key)
        return None if found is None else self._challenges.values[found]

    def newest_delivery(self, challenge: Challenge) -> Delivery | None:
        """Return the newest delivery of a challenge that was found by its deduplication key, or None."""
        return self._newest_deliveries.get(challenge.id)

    def failed_attempts(self, key: bytes) -> FailedAttempts:
        """Return the failed attempts of a contact; a contact without any has NO_FAILURES."""
        return self._failed_attempts.values.get(key, NO_FAILURES)

    def tat(self, key: bytes) -> int | None:
        """Return the theoretical arrival time of a rate limit (ms), or None if it was never used."""
        return self._limits.values.get(key)

    def stored_answer(self, key: AnswerKey) -> StoredAnswer | None:
        """Return the answer that an idempotent request got before, or None."""
        return self._answers.values.get(key)

    async def load(self, reads: Sequence[Reads]) -> None:
        """Load and lock the rows that commands read.

        Tables are locked always in the same order, and the rows of each in the order of its keys, so that two batches cannot deadlock.
        """
        ids = {id_ for read in reads for id_ in read.challenges}
        ids.update(await self._load_pending(sorted({dedup_key for read in reads for dedup_key in read.dedup_keys})))
        contacts = {key for read in reads for key in read.failed_attempts}
        contacts.update(await self._load_challenges(sorted(ids)))
        if contacts:
            for key, *counts in await Take(STANDINGS, [(key,) for key in sorted(contacts)]):
                self._failed_attempts.load(key, FailedAttempts(*counts))
        limits = sorted({key for read in reads for key in read.limits})
        if limits:
            for key, tat in await Take(LIMITS, [(key,) for key in limits]):
                self._limits.load(key, tat)
        answers = sorted({key for read in reads for key in read.answers})
        if answers:
            for application, key, request, outcome, expires_at in await Take(ANSWERS, answers):
                self._answers.load((application, key), StoredAnswer(request, outcome, expires_at))

    async def _load_pending(self, dedup_keys: Sequence[bytes]) -> list[str]:
        """Return the ids of the pending challenges with these deduplication keys, and load the newest delivery of each."""
        rows = (await Seek(CHALLENGES, "twin", dedup_keys, "state = 'pending'")) if dedup_keys else ()
        pending = sorted(row[0] for row in rows)
        if pending:
            for row in await Seek(DELIVERIES, "owner", pending):
                self._keep_newest(deliveries.from_row(row))
        return pending

    async def _load_challenges(self, ids: Sequence[str]) -> list[bytes]:
        """Load and lock challenges; return the keys of their failed attempts."""
        if not ids:
            return []
        keys: list[bytes] = []
        for row in await Take(CHALLENGES, [(id_,) for id_ in ids]):
            challenge = challenges.from_row(row)
            self._challenges.load(challenge.id, challenge)
            self._index_pending(challenge)
            keys.append(challenge.lockout_key)
        return keys

    def apply(self, decision: Decision[Any]) -> None:
        """Apply a decision, so that the next command sees what it changed."""
        for challenge in decision.challenges:
            self._challenges.put(challenge.id, challenge)
            self._index_pending(challenge)
        for key, failed_attempts in decision.failed_attempts:
            self._failed_attempts.put(key, failed_attempts)
        for key, tat in decision.limits:
            self._limits.put(key, tat)
        for answer_key, answer in decision.answers:
            self._answers.put(answer_key, answer)
        self._deliveries.extend(decision.deliveries)
        for delivery in decision.deliveries:
            self._keep_newest(delivery)
        self._events.extend(decision.events)

    async def save(self) -> None:
        """Write everything that the decisions changed, and append their events."""
        updates = [change for cache in self._caches for change in cache.updates()]
        inserts = [change for cache in self._caches for change in cache.inserts()]
        inserts.extend(deliveries.insert(self._deliveries))
        if self._events:
            await Append(self._events)
        if self._duplicate_makes_way:
            # The old challenge must have ended before the new one is inserted, or the unique index of pending ones refuses it.
            await Write(tuple(updates))
            updates = []
        if changes := (*updates, *inserts):
            await Write(changes, last=True)

    @property
    def has_deliveries(self) -> bool:
        """Say whether the decisions have new deliveries."""
        return bool(self._deliveries)

    def _keep_newest(self, delivery: Delivery) -> None:
        known = self._newest_deliveries.get(delivery.owner)
        if known is None or known.number < delivery.number:
            self._newest_deliveries[delivery.owner] = delivery

    @property
    def _duplicate_makes_way(self) -> bool:
        """Say whether a challenge begins whose duplicate ends in the same batch; all other rows can be written in any order."""
        ended = {
            challenge.dedup_key for challenge in self._challenges.changed_values() if challenge.ended_at is not None
        }
        return bool(ended) and not ended.isdisjoint(
            challenge.dedup_key for challenge in self._challenges.added_values()
        )

    def _index_pending(self, challenge: Challenge) -> None:
        if challenge.ended_at is None:
            self._pending[challenge.dedup_key] = challenge.id
        elif self._pending.get(challenge.dedup_key) == challenge.id:
            del self._pending[challenge.dedup_key]


@lru_cache(maxsize=256)
def _narrowed(table: Table, positions: tuple[int, ...]) -> Table:
    """Return the table with the moving columns alone that stand at these positions of an Update's row."""
    columns = table.key + table.moving
    return table.only([columns[position][0] for position in positions])


def _first(row: Row) -> Any:  # noqa: ANN401 - a column of any kind
    return row[0]


def _failed_attempts_row(key: bytes, failed_attempts: FailedAttempts) -> Row:
    return (key, *msgspec.structs.astuple(failed_attempts))


def _answer_row(key: AnswerKey, answer: StoredAnswer) -> Row:
    return (*key, answer.request, answer.outcome, answer.expires_at)
