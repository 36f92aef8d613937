"""Cancel a challenge: by the application that asked for it, or by the person who did not ask ("this wasn't me")."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications import challenge as rules_of
from countersign.domain.verifications.challenge import Challenge, ChallengeState
from countersign.flows.verifications.idempotency import submit
from countersign.flows.verifications.results import Done, Missing, Outcome, Refused
from countersign.keys import Keyring
from countersign.store.ledger.unit_of_work import Decision, Reads, UnitOfWork
from countersign.store.tables import challenges

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.flows.context import CoreContext
    from countersign.flows.verifications.idempotency import IdempotencyKey

_NOT_ME: Final = "not me"


async def cancel_challenge(
    core: CoreContext, application: Application, challenge_id: str, idempotency_key: IdempotencyKey | None = None
) -> Outcome:
    """End a challenge that the application no longer wants."""
    return await submit(
        core, CancelCommand(challenge_id, application.id, EventKind.CHALLENGE_CANCELED), idempotency_key
    )


def not_me_reference(keyring: Keyring, challenge_id: str) -> str:
    """Return what the "this wasn't me" link carries: the challenge and a mark that only a message of ours can hold."""
    mark = base64.urlsafe_b64encode(keyring.blind_index(_NOT_ME, challenge_id)).rstrip(b"=").decode()
    return f"{challenge_id}.{mark}"


async def find_reported(core: CoreContext, reference: str) -> Challenge | None:
    """Return the challenge that a "this wasn't me" link names, or None if the link is not one of ours. Changes nothing."""
    challenge_id, _, mark = reference.partition(".")
    try:
        given = base64.urlsafe_b64decode(mark + "==")
    except (binascii.Error, ValueError):
        return None
    if not hmac.compare_digest(given, core.keyring.blind_index(_NOT_ME, challenge_id)):
        return None
    return await core.database.read(challenges.find, challenge_id)


async def report_challenge(core: CoreContext, reference: str) -> Outcome:
    """End a challenge at the word of the person whose contact it went to; the log keeps that it was disowned."""
    found = await find_reported(core, reference)
    if found is None:
        return Missing()
    return await submit(core, CancelCommand(found.id, found.application, EventKind.CHALLENGE_DISOWNED), None)


class CancelCommand(msgspec.Struct, frozen=True):
    """The command."""

    id: str
    application: str
    kind: EventKind

    @property
    def needs(self) -> Reads:
        """Return the challenge."""
        return Reads(challenges=(self.id,))

    def judge(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """End what is pending; what was canceled before stays so."""
        before = work.challenge(self.id, self.application)
        if before is None:
            return Decision(Missing())
        judged = rules_of.cancel(before, now)
        after = judged.challenge
        if judged.refusal is not None:
            return Decision(Refused(judged.refusal, after, at=now))
        if before.state is ChallengeState.CANCELED:
            return Decision(Done(after))
        return Decision(
            Done(after),
            challenges=(after,),
            events=(Event(now, self.kind, self.application, self.id, {"guesses": after.guesses}),),
        )
