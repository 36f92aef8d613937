"""Check a code: count the guess, compare it, and approve the challenge if it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications import challenge as challenge_rules
from countersign.domain.verifications import proof
from countersign.domain.verifications.challenge import Challenge, ChallengeResult, ChallengeState, Refusal
from countersign.domain.verifications.code import Code, derive
from countersign.domain.verifications.lockout import NO_FAILURES, FailedAttempts, after_failure
from countersign.flows.verifications.begin import lockout_refusal
from countersign.flows.verifications.idempotency import IdempotentCommand
from countersign.flows.verifications.results import MALFORMED, Done, Missing, Outcome, Refused
from countersign.keys import Keyring, to_hash
from countersign.store.ledger.unit_of_work import Decision, Reads, UnitOfWork

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.flows.context import CoreContext
    from countersign.flows.verifications.idempotency import IdempotencyKey


async def check_challenge(
    core: CoreContext,
    application: Application,
    challenge_id: str,
    typed: str,
    idempotency_key: IdempotencyKey | None = None,
) -> Outcome:
    """Check a code that a person entered. Done means that this very code approved the challenge.

    Returns Missing if the application has no such challenge. Raises UnavailableError if the database is down or too many requests wait.
    """
    command = CheckCommand(challenge_id, application.id, typed, core.keyring)
    return await core.ledger.submit(command if idempotency_key is None else IdempotentCommand(command, idempotency_key))


def sign_proof(core: CoreContext, approved: Challenge) -> str:
    """Return the proof of an approval: a JWS of the claims in domain/verifications/proof.py.

    Its bytes are the same each time, unless the key is retired meanwhile.
    """
    terms = approved.terms
    address = core.keyring.named(terms.sealing_kid).unseal(terms.to, approved.id.encode()).decode()
    # A retired key signs nothing, not even what it signed before (semantics K1).
    return core.keyring.signing(terms.kid).sign(proof.claims(approved, core.links.issuer, to_hash(address)))


class CheckCommand(msgspec.Struct, frozen=True):
    """Checks an entered code. Its repr hides the code."""

    id: str
    application: str
    typed: str
    keyring: Keyring

    def __repr__(self) -> str:
        """Hide the entered code."""
        return f"CheckCommand({self.id})"

    @property
    def reads(self) -> Reads:
        """Return the challenge. The ledger also reads the failed attempts of its contact."""
        return Reads(challenges=(self.id,))

    def decide(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Check the code. The guess stays counted whatever the outcome is; what cannot be a code is none."""
        before = work.challenge(self.id, self.application)
        if before is None:
            return Decision(Missing())
        failures = work.failed_attempts(before.lockout_key)
        lockout = lockout_refusal(before.terms, failures, now)
        if lockout is not None and before.state_at(now) is ChallengeState.PENDING:
            return Decision(msgspec.structs.replace(lockout, challenge=before))

        code_of = _CodeDerivation(self.keyring, before)
        checked = challenge_rules.check(before, self.typed, code_of, now)
        if checked.refusal is None:
            return _approved(checked.challenge, failures, now)
        if checked.is_malformed:
            return Decision(Refused(Refusal.WRONG_CODE, before, reason=MALFORMED, at=now))
        if checked.refusal is Refusal.WRONG_CODE:
            return _wrong_code(checked.challenge, failures, now)
        return _ended(before, checked, checked.refusal, now)


def _approved(after: Challenge, failures: FailedAttempts, now: int) -> Decision[Outcome]:
    cleared = () if failures == NO_FAILURES else ((after.lockout_key, NO_FAILURES),)
    events = (_event(after, EventKind.CHALLENGE_APPROVED, now),)
    return Decision(Done(after), challenges=(after,), failed_attempts=cleared, events=events)


def _wrong_code(after: Challenge, failures: FailedAttempts, now: int) -> Decision[Outcome]:
    is_exhausted = after.state is ChallengeState.EXHAUSTED
    kind = EventKind.CHALLENGE_EXHAUSTED if is_exhausted else EventKind.CHALLENGE_REFUSED
    more_failures = after_failure(failures, now, lane=after.terms.lane)
    return Decision(
        Refused(Refusal.WRONG_CODE, after, at=now),
        challenges=(after,),
        failed_attempts=((after.lockout_key, more_failures),),
        events=(_event(after, kind, now),),
    )


def _ended(before: Challenge, checked: ChallengeResult, refusal: Refusal, now: int) -> Decision[Outcome]:
    """Refuse a code for a challenge that has ended. If it expired, and no transaction recorded that yet, this one does."""
    after = checked.challenge
    refused = Refused(refusal, after, at=now)
    if after is before:
        return Decision(refused)
    events = (_event(after, EventKind.CHALLENGE_EXPIRED, after.ended_at or now),)
    return Decision(refused, challenges=(after,), events=events)


def _event(challenge: Challenge, kind: EventKind, at: int) -> Event:
    return Event(at, kind, challenge.application, challenge.id, {"guesses": challenge.guesses})


class _CodeDerivation:
    """Derives the code of each round of a challenge."""

    __slots__ = ("_challenge", "_keyring")

    def __init__(self, keyring: Keyring, challenge: Challenge) -> None:
        self._keyring = keyring
        self._challenge = challenge

    def __call__(self, round_: int) -> Code:
        challenge = self._challenge
        # Only here: a challenge that has ended may be of a key that was retired since.
        return derive(self._keyring.named(challenge.terms.kid).code, challenge.id, round_, challenge.terms.policy.shape)
