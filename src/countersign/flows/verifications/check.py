"""Answer a challenge: count the guess, compare it, and on the right one prove it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications import challenge as rules_of
from countersign.domain.verifications import proof
from countersign.domain.verifications.challenge import Challenge, ChallengeState, Refusal
from countersign.domain.verifications.code import Code, derive
from countersign.domain.verifications.lockout import NO_FAILURES, after_failure
from countersign.flows.verifications.begin import lockout_refusal
from countersign.flows.verifications.idempotency import submit
from countersign.flows.verifications.results import Done, Missing, Outcome, Refused
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
    """Judge what a person typed; Done means that the challenge is approved by this very answer."""
    return await submit(core, CheckCommand(challenge_id, application.id, typed, core.keyring), idempotency_key)


def sign_proof(core: CoreContext, approved: Challenge) -> str:
    """Return the signed proof of an approval (JWS, see domain/verifications/proof.py); the same to the byte each time."""
    key = core.keyring.named(approved.terms.kid)
    address = key.unseal(approved.terms.to, approved.id.encode()).decode()
    return key.sign(proof.claims(approved, core.links.issuer, to_hash(address)))


class CheckCommand(msgspec.Struct, frozen=True):
    """The command. Its repr hides what was typed."""

    id: str
    application: str
    typed: str
    keyring: Keyring

    def __repr__(self) -> str:
        """Hide what was typed."""
        return f"Answer({self.id})"

    @property
    def needs(self) -> Reads:
        """Return the challenge, which brings its contact's standing along."""
        return Reads(challenges=(self.id,))

    def judge(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Judge the guess; whatever comes of it, the guess stays spent."""
        before = work.challenge(self.id, self.application)
        if before is None:
            return Decision(Missing())
        standing = work.standing(before.lockout_key)
        barred = lockout_refusal(before.terms, standing, now)
        if barred is not None and before.state_at(now) is ChallengeState.PENDING:
            return Decision(msgspec.structs.replace(barred, challenge=before))

        judged = rules_of.check(before, self.typed, self._code_of(before), now)
        after = judged.challenge
        changed = (after,) if after is not before else ()
        if judged.refusal is None:
            cleared = () if standing == NO_FAILURES else ((after.lockout_key, NO_FAILURES),)
            told = self._event(after, EventKind.CHALLENGE_APPROVED, now)
            return Decision(Done(after), challenges=changed, standings=cleared, events=(told,))
        if judged.refusal is Refusal.WRONG_CODE:
            remembered = bool(after.terms.requester.device)
            worse = after_failure(standing, now, remembered=remembered)
            kind = (
                EventKind.CHALLENGE_EXHAUSTED
                if after.state is ChallengeState.EXHAUSTED
                else EventKind.CHALLENGE_REFUSED
            )
            return Decision(
                Refused(judged.refusal, after, at=now),
                challenges=changed,
                standings=((after.lockout_key, worse),),
                events=(self._event(after, kind, now),),
            )
        events = (self._event(after, EventKind.CHALLENGE_EXPIRED, after.ended_at or now),) if changed else ()
        return Decision(Refused(judged.refusal, after, at=now), challenges=changed, events=events)

    def _code_of(self, challenge: Challenge) -> _CodeOf:
        return _CodeOf(self.keyring.named(challenge.terms.kid).code, challenge)

    def _event(self, challenge: Challenge, kind: EventKind, at: int) -> Event:
        return Event(at, kind, challenge.application, challenge.id, {"guesses": challenge.guesses})


class _CodeOf:
    """Derives the code of a round of one challenge."""

    __slots__ = ("_challenge", "_key")

    def __init__(self, key: bytes, challenge: Challenge) -> None:
        self._key = key
        self._challenge = challenge

    def __call__(self, round_: int) -> Code:
        return derive(self._key, self._challenge.id, round_, self._challenge.terms.policy.shape)
