"""Once: a command that came with an idempotency key is carried out once, and its first answer given again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.verifications.challenge import Refusal
from countersign.flows.verifications.results import KeyReused, Outcome, Refused
from countersign.store.ledger.unit_of_work import AnswerKey, Command, Decision, Reads, StoredAnswer, UnitOfWork

if TYPE_CHECKING:
    from countersign.flows.verifications.context import CoreContext

ANSWER_LIFETIME: Final = 24 * 3_600_000
"""Milliseconds for which an answer is kept (semantics H2)."""

TEMPORARY: Final = frozenset({Refusal.LIMITED, Refusal.TOO_SOON, Refusal.CONTACT_PAUSED})
"""Refusals that time lifts: the same request, sent again later, is judged anew."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Outcome).decode


class IdempotencyKey(msgspec.Struct, frozen=True):
    """The caller's key (hashed with its application) and the digest of the whole request."""

    key: AnswerKey
    request: bytes


async def submit(core: CoreContext, command: Command[Outcome], once: IdempotencyKey | None) -> Outcome:
    """Have the ledger judge a command, under its idempotency key if it has one."""
    return await core.ledger.submit(command if once is None else IdempotentCommand(command, once))


class IdempotentCommand:
    """A command behind an idempotency key; the answer is remembered in the transaction of the act itself."""

    def __init__(self, command: Command[Outcome], once: IdempotencyKey) -> None:
        self._command = command
        self._once = once

    @property
    def needs(self) -> Reads:
        """Return what the command needs, and the remembered answer."""
        return msgspec.structs.replace(self._command.needs, answers=(self._once.key,))

    def judge(self, book: UnitOfWork, now: int) -> Decision[Outcome]:
        """Give the first answer again; or carry the command out, and remember."""
        once = self._once
        before = book.answered(once.key)
        if before is not None and now < before.expires_at:
            same = before.request == once.request
            return Decision(_decode(before.outcome) if same else KeyReused())
        verdict = self._command.judge(book, now)
        outcome = verdict.outcome
        if isinstance(outcome, Refused) and outcome.refusal in TEMPORARY:
            return verdict
        remembered = StoredAnswer(once.request, _encode(outcome), now + ANSWER_LIFETIME)
        return msgspec.structs.replace(verdict, answers=((once.key, remembered),))
