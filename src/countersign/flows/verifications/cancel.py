"""Cancel a verification: by the application that requested it, or by a person who did not ("this wasn't me")."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications import challenge as challenge_rules
from countersign.domain.verifications.challenge import Challenge, ChallengeState
from countersign.flows.verifications.idempotency import IdempotentCommand
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
    """Cancel a challenge that the application no longer needs. Returns Missing if the application has no such challenge."""
    command = CancelCommand(challenge_id, application.id, EventKind.CHALLENGE_CANCELED)
    return await core.ledger.submit(command if idempotency_key is None else IdempotentCommand(command, idempotency_key))


def not_me_reference(keyring: Keyring, challenge_id: str) -> str:
    """Return the reference in a "this wasn't me" link: a challenge id and a signature that only our messages can hold."""
    signature = base64.urlsafe_b64encode(keyring.blind_index(_NOT_ME, challenge_id)).rstrip(b"=").decode()
    return f"{challenge_id}.{signature}"


def is_genuine(keyring: Keyring, reference: str) -> bool:
    """Return True if `not_me_reference` made this reference. Every character counts: no second spelling of it is accepted."""
    expected = not_me_reference(keyring, reference.partition(".")[0])
    return reference.isascii() and hmac.compare_digest(reference, expected)


async def find_reported(core: CoreContext, reference: str) -> Challenge | None:
    """Return the challenge that a "this wasn't me" link names, or None if the link is not ours. Changes nothing."""
    if not is_genuine(core.keyring, reference):
        return None
    return await core.database.read(challenges.find, reference.partition(".")[0])


async def report_challenge(core: CoreContext, reference: str) -> Outcome:
    """Cancel a challenge because the owner of its contact reported it. The log records that it was disowned.

    `reference` is that of the link. Returns Missing if it is not ours.
    """
    found = await find_reported(core, reference)
    if found is None:
        return Missing()
    return await core.ledger.submit(CancelCommand(found.id, found.application, EventKind.CHALLENGE_DISOWNED))


class CancelCommand(msgspec.Struct, frozen=True):
    """Cancels a challenge. `kind` is the event to record: CHALLENGE_CANCELED or CHALLENGE_DISOWNED."""

    id: str
    application: str
    kind: EventKind

    @property
    def reads(self) -> Reads:
        """Return the challenge."""
        return Reads(challenges=(self.id,))

    def decide(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Cancel a pending challenge. One that was canceled before is returned as it is."""
        before = work.challenge(self.id, self.application)
        if before is None:
            return Decision(Missing())
        canceled = challenge_rules.cancel(before, now)
        after = canceled.challenge
        if canceled.refusal is not None:
            return Decision(Refused(canceled.refusal, after, at=now))
        if before.state is ChallengeState.CANCELED:
            return Decision(Done(after))
        return Decision(
            Done(after),
            challenges=(after,),
            events=(Event(now, self.kind, self.application, self.id, {"guesses": after.guesses}),),
        )
