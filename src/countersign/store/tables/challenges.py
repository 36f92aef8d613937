"""Challenges as rows."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.shared import identifier
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.challenge import MS_PER_SECOND, Challenge, ChallengeState, Terms
from countersign.domain.verifications.purpose import MAX_LIFETIME
from countersign.errors import NotFoundError
from countersign.store.engine.database import Row, Sql
from countersign.store.tables.schema import CHALLENGES

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Terms).decode

_SELECT: Final = f"SELECT {CHALLENGES.names} FROM challenges"


def new_row(challenge: Challenge) -> Row:
    """Return the whole row of a challenge."""
    return (
        challenge.id,
        challenge.application,
        challenge.dedup_key,
        challenge.lockout_key,
        _encode(challenge.terms),
        challenge.begun_at,
        challenge.expires_at,
        *_moving(challenge),
    )


def changed_row(challenge: Challenge) -> Row:
    """Return the key and what moves."""
    return (challenge.id, *_moving(challenge))


def of_row(row: Row) -> Challenge:
    """Return the challenge that a whole row holds."""
    (
        id_,
        application,
        dedup_key,
        standing,
        terms,
        begun_at,
        expires_at,
        state,
        channel,
        guesses,
        sends,
        round_,
        sent_at,
        ended_at,
    ) = row
    return Challenge(
        id_,
        application,
        bytes(dedup_key),
        bytes(standing),
        _decode(terms),
        begun_at,
        expires_at,
        ChallengeState(state),
        Channel(channel),
        guesses,
        sends,
        round_,
        sent_at,
        ended_at,
    )


async def find(challenge_id: str) -> Challenge | None:
    """Return a challenge, or None."""
    rows = await Sql(f"{_SELECT} WHERE id = $1", (challenge_id,))
    return of_row(rows[0]) if rows else None


async def get(challenge_id: str, application: str) -> Challenge:
    """Return an application's challenge; raises NotFoundError for an unknown one and another's alike."""
    found = await find(challenge_id)
    if found is None or found.application != application:
        raise NotFoundError("There is no such verification.")
    return found


async def overdue(now: int, most: int) -> list[str]:
    """Return ids of challenges that are pending though their time ran out, at most `most`, the oldest first."""
    rows = await Sql(
        "SELECT id FROM challenges WHERE ended_at IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2",
        (now, most),
    )
    return [row[0] for row in rows]


async def forget(before: int, most: int) -> int:
    """Delete challenges that ended before `before` (ms), with their messages and attempts; return how many went.

    None outlives MAX_LIFETIME, and ids begin with the time of their beginning: the oldest are the first of the key.
    """
    first_kept = identifier.make("ver", before - MAX_LIFETIME * MS_PER_SECOND, bytes(identifier.RANDOM_BYTES))
    rows = await Sql(
        "SELECT id FROM challenges WHERE id < $1 AND state <> 'pending' ORDER BY id LIMIT $2", (first_kept, most)
    )
    for (id_,) in rows:
        await Sql("DELETE FROM attempts WHERE owner = $1", (id_,))
        await Sql("DELETE FROM deliveries WHERE owner = $1", (id_,))
        await Sql("DELETE FROM challenges WHERE id = $1", (id_,))
    return len(rows)


def _moving(challenge: Challenge) -> tuple[object, ...]:
    return (
        challenge.state.value,
        challenge.channel.value,
        challenge.guesses,
        challenge.sends,
        challenge.round,
        challenge.sent_at,
        challenge.ended_at,
    )
