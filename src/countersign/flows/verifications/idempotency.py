"""Once: a command that came with an idempotency key is carried out once, and its first answer given again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.verifications.challenge import Refusal
from countersign.flows.verifications.results import KeyReused, Outcome, Refused
from countersign.store.ledger.unit_of_work import AnswerKey, Command, Decision, Reads, StoredAnswer, UnitOfWork

if TYPE_CHECKING:
    from countersign.flows.context import CoreContext

ANSWER_LIFETIME: Final = 24 * 3_600_000
"""Milliseconds for which an answer is kept (semantics H2)."""

TEMPORARY: Final = frozenset({Refusal.LIMITED, Refusal.TOO_SOON, Refusal.CONTACT_PAUSED})
"""Refusals that time lifts: the same request, sent again later, is judged anew."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Outcome).decode


class IdempotencyKey(msgspec.Struct, frozen=True):
    """The caller's key (hashed with its application) and the digest of the whole request."""

    key: AnswerKey
    request_digest: bytes


async def submit(core: CoreContext, command: Command[Outcome], idempotency_key: IdempotencyKey | None) -> Outcome:
    """Have the ledger judge a command, under its idempotency key if it has one."""
    return await core.ledger.submit(command if idempotency_key is None else IdempotentCommand(command, idempotency_key))


class IdempotentCommand:
    """A command behind an idempotency key; the answer is remembered in the transaction of the act itself."""

    def __init__(self, command: Command[Outcome], idempotency_key: IdempotencyKey) -> None:
        self._command = command
        self._key = idempotency_key

    @property
    def needs(self) -> Reads:
        """Return what the command needs, and the remembered answer."""
        return msgspec.structs.replace(self._command.needs, answers=(self._key.key,))

    def judge(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Give the first answer again; or carry the command out, and remember."""
        idempotency_key = self._key
        before = work.answered(idempotency_key.key)
        if before is not None and now < before.expires_at:
            same = before.request == idempotency_key.request_digest
            return Decision(_decode(before.outcome) if same else KeyReused())
        decision = self._command.judge(work, now)
        outcome = decision.outcome
        if isinstance(outcome, Refused) and outcome.refusal in TEMPORARY:
            return decision
        remembered = StoredAnswer(idempotency_key.request_digest, _encode(outcome), now + ANSWER_LIFETIME)
        return msgspec.structs.replace(decision, answers=((idempotency_key.key, remembered),))
