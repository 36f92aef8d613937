"""Resend a code, or redirect it to another channel: never more time, never more guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.shared.contact import CHANNELS_OF, Channel
from countersign.domain.shared.phone_region import PhoneRegion, region_of
from countersign.domain.verifications import challenge as rules_of
from countersign.domain.verifications.challenge import Challenge, Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.verifications.begin import consume_limits, lockout_refusal, rate_limits_for, resend_decision
from countersign.flows.verifications.get import find_challenge
from countersign.flows.verifications.idempotency import submit
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
    """Owe one more message for a challenge, by the same channel or by `channel`."""
    found = await find_challenge(core, application, challenge_id)
    if found is None:
        return Missing()
    terms = found.terms
    wanted = channel or found.channel
    if wanted not in CHANNELS_OF[terms.to_kind]:
        return Refused(Refusal.UNUSABLE_DESTINATION, found, reason="wrong_channel")
    if wanted not in core.policy.channels(terms.to_kind, terms.policy, live=terms.live):
        return Refused(Refusal.CHANNEL_NOT_ALLOWED, found)
    address = core.keyring.named(terms.kid).unseal(terms.to, found.id.encode()).decode()
    command = ResendCommand(
        id=found.id,
        application=application.id,
        channel=wanted,
        route=core.policy.route(wanted, address, found.id, live=terms.live),
        region=region_of(address),
        limits=rate_limits_for(core, application.id, address, terms.requester),
    )
    return await submit(core, command, idempotency_key)


class ResendCommand(msgspec.Struct, frozen=True):
    """The command."""

    id: str
    application: str
    channel: Channel
    route: tuple[str, ...]
    region: PhoneRegion
    limits: tuple[tuple[RateLimit, bytes], ...]

    @property
    def needs(self) -> Reads:
        """Return the challenge and the limits its messages count against."""
        return Reads(challenges=(self.id,), limits=tuple(key for _, key in self.limits))

    def judge(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Allow it by the challenge's own rule first, then by the budgets."""
        before = work.challenge(self.id, self.application)
        if before is None:
            return Decision(Missing())
        judged = rules_of.change_channel(before, self.channel, now)
        if judged.refusal is not None:
            return Decision(
                Refused(judged.refusal, judged.challenge, _wait(judged.challenge, judged.refusal, now), at=now)
            )
        barred = lockout_refusal(before.terms, work.standing(before.lockout_key), now)
        if barred is not None:
            return Decision(msgspec.structs.replace(barred, challenge=before))
        results = consume_limits(self.limits, work, now)
        if isinstance(results, Refused):
            return Decision(msgspec.structs.replace(results, challenge=before, at=now))
        return resend_decision(judged.challenge, self.route, self.region, self.limits, results, now)


def _wait(challenge: Challenge, refusal: Refusal, now: int) -> int:
    if refusal is Refusal.TOO_SOON:
        return challenge.resend_at - now
    if refusal is Refusal.NO_SENDS_LEFT:
        return challenge.expires_at - now
    return 0
