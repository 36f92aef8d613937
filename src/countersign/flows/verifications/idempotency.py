"""Idempotency: a command with an idempotency key runs once, and a repeated request gets the first result."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.verifications.challenge import Refusal
from countersign.flows.verifications.results import KeyReused, Outcome, Refused
from countersign.store.ledger.unit_of_work import AnswerKey, Command, Decision, Reads, StoredAnswer, UnitOfWork

ANSWER_LIFETIME: Final = 24 * 3_600_000
"""Milliseconds for which a result is stored (semantics H2)."""

TEMPORARY: Final = frozenset({Refusal.LIMITED, Refusal.TOO_SOON, Refusal.CONTACT_PAUSED})
"""Refusals that end with time. They are not stored, so the same request can succeed later."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Outcome).decode


class IdempotencyKey(msgspec.Struct, frozen=True):
    """An idempotency key: the application and the keyed hash of its key, and the digest of the whole request."""

    key: AnswerKey
    request_digest: bytes


class IdempotentCommand:
    """A command with an idempotency key. Its result is stored in the transaction of the command."""

    def __init__(self, command: Command[Outcome], idempotency_key: IdempotencyKey) -> None:
        self._command = command
        self._key = idempotency_key

    @property
    def reads(self) -> Reads:
        """Return what the command needs, and the stored result."""
        return msgspec.structs.replace(self._command.reads, answers=(self._key.key,))

    def decide(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Return the stored result if there is one. Otherwise run the command and store its result."""
        key = self._key
        before = work.stored_answer(key.key)
        if before is not None and now < before.expires_at:
            is_same = before.request == key.request_digest
            return Decision(_decode(before.outcome) if is_same else KeyReused())
        decision = self._command.decide(work, now)
        outcome = decision.outcome
        if isinstance(outcome, Refused) and outcome.refusal in TEMPORARY:
            return decision
        answer = StoredAnswer(key.request_digest, _encode(outcome), now + ANSWER_LIFETIME)
        return msgspec.structs.replace(decision, answers=((key.key, answer),))
