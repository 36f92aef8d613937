"""Resend a code by the same or another channel. A resend brings neither more time nor more guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.shared.contact import CHANNELS_OF, LANDLINE, Channel, stored_contact
from countersign.domain.shared.phone_region import PhoneRegion, region_of
from countersign.domain.verifications import challenge as challenge_rules
from countersign.domain.verifications.challenge import Challenge, Refusal
from countersign.domain.verifications.rate_limit import KeyedLimits
from countersign.flows.verifications.begin import consume_limits, lockout_refusal, rate_limits_for, resend_decision
from countersign.flows.verifications.get import find_challenge
from countersign.flows.verifications.idempotency import IdempotentCommand
from countersign.flows.verifications.results import Missing, Outcome, Refused
from countersign.store.ledger.unit_of_work import Decision, Reads, UnitOfWork

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.flows.context import CoreContext
    from countersign.flows.verifications.idempotency import IdempotencyKey


async def resend_code(
    core: CoreContext,
    application: Application,
    challenge_id: str,
    channel: Channel | None = None,
    idempotency_key: IdempotencyKey | None = None,
) -> Outcome:
    """Send one more message for a challenge by `channel` (None: the channel of the last message).

    Returns Missing if the application has no such challenge, and Refused if the application is suspended, the challenge has ended, a
    resend is not allowed yet, no sends are left, a rate limit is used up, or the contact is paused or locked. Raises UnavailableError
    if the database is down or too many requests wait.
    """
    challenge = await find_challenge(core, application, challenge_id)
    if challenge is None:
        return Missing()
    if application.is_stopped:
        return Refused(Refusal.APPLICATION_SUSPENDED, challenge)
    terms = challenge.terms
    chosen = channel or challenge.channel
    if chosen not in CHANNELS_OF[terms.to_kind]:
        return Refused(Refusal.UNUSABLE_DESTINATION, challenge, reason="wrong_channel")
    names_act = not terms.action.is_empty
    if chosen not in core.policy.channels(terms.to_kind, terms.policy, live=terms.live, names_act=names_act):
        return Refused(Refusal.CHANNEL_NOT_ALLOWED, challenge)
    address = core.keyring.named(terms.sealing_kid).unseal(terms.to, challenge.id.encode()).decode()
    if chosen not in stored_contact(address).channels:
        return Refused(Refusal.UNUSABLE_DESTINATION, challenge, reason=LANDLINE)
    command = ResendCommand(
        id=challenge.id,
        application=application.id,
        channel=chosen,
        route=core.policy.route(chosen, address, challenge.id, live=terms.live),
        region=region_of(address),
        limits=rate_limits_for(core, application.id, address, terms),
    )
    return await core.ledger.submit(command if idempotency_key is None else IdempotentCommand(command, idempotency_key))


class ResendCommand(msgspec.Struct, frozen=True):
    """Sends one more message for a challenge."""

    id: str
    application: str
    channel: Channel
    route: tuple[str, ...]
    region: PhoneRegion
    limits: KeyedLimits

    @property
    def reads(self) -> Reads:
        """Return the challenge and the rate limits of its messages."""
        return Reads(challenges=(self.id,), limits=tuple(key for _, key in self.limits))

    def decide(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Apply the challenge's own rules first, then the lockout and the rate limits."""
        before = work.challenge(self.id, self.application)
        if before is None:
            return Decision(Missing())
        resent = challenge_rules.change_channel(before, self.channel, now)
        if resent.refusal is not None:
            return Decision(
                Refused(resent.refusal, resent.challenge, _wait(resent.challenge, resent.refusal, now), at=now)
            )
        lockout = lockout_refusal(before.terms, work.failed_attempts(before.lockout_key), now)
        if lockout is not None:
            return Decision(msgspec.structs.replace(lockout, challenge=before))
        results = consume_limits(self.limits, work, now)
        if isinstance(results, Refused):
            return Decision(msgspec.structs.replace(results, challenge=before, at=now))
        return resend_decision(resent.challenge, self.route, self.region, self.limits, results, now)


def _wait(challenge: Challenge, refusal: Refusal, now: int) -> int:
    if refusal is Refusal.TOO_SOON:
        return challenge.resend_at - now
    if refusal is Refusal.NO_SENDS_LEFT:
        return challenge.expires_at - now
    return 0
