"""Once: a command that came with an idempotency key is carried out once, and its first answer given again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.verifications.challenge import Refusal
from countersign.flows.verifications.results import KeyReused, Outcome, Refused
from countersign.store.ledger.unit_of_work import AnswerKey, Book, Command, Needs, Remembered, Verdict

if TYPE_CHECKING:
    from countersign.flows.verifications.context import House

KEPT_FOR: Final = 24 * 3_600_000
"""Milliseconds for which an answer is kept (semantics H2)."""

PASSING: Final = frozenset({Refusal.LIMITED, Refusal.TOO_SOON, Refusal.CONTACT_PAUSED})
"""Refusals that time lifts: the same request, sent again later, is judged anew."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Outcome).decode


class Once(msgspec.Struct, frozen=True):
    """The caller's key (hashed with its application) and the digest of the whole request."""

    key: AnswerKey
    request: bytes


async def submit(house: House, command: Command[Outcome], once: Once | None) -> Outcome:
    """Have the ledger judge a command, under its idempotency key if it has one."""
    return await house.ledger.submit(command if once is None else OnlyOnce(command, once))


class OnlyOnce:
    """A command behind an idempotency key; the answer is remembered in the transaction of the act itself."""

    def __init__(self, command: Command[Outcome], once: Once) -> None:
        self._command = command
        self._once = once

    @property
    def needs(self) -> Needs:
        """Return what the command needs, and the remembered answer."""
        return msgspec.structs.replace(self._command.needs, answers=(self._once.key,))

    def judge(self, book: Book, now: int) -> Verdict[Outcome]:
        """Give the first answer again; or carry the command out, and remember."""
        once = self._once
        before = book.answered(once.key)
        if before is not None and now < before.expires_at:
            same = before.request == once.request
            return Verdict(_decode(before.outcome) if same else KeyReused())
        verdict = self._command.judge(book, now)
        outcome = verdict.outcome
        if isinstance(outcome, Refused) and outcome.refusal in PASSING:
            return verdict
        remembered = Remembered(once.request, _encode(outcome), now + KEPT_FOR)
        return msgspec.structs.replace(verdict, answers=((once.key, remembered),))
