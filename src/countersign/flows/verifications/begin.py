"""Begin a challenge: see that it is allowed, continue a pending twin or make a new one, and owe its first message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.delivery.delivery import new_delivery
from countersign.domain.shared import identifier
from countersign.domain.shared.contact import CHANNELS_OF, Channel, Contact, network_of
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.shared.phone_region import PhoneRegion, region_of
from countersign.domain.verifications import challenge as rules_of
from countersign.domain.verifications.challenge import Action, Challenge, ChallengeState, Refusal, Requester, Terms
from countersign.domain.verifications.lockout import FailedAttempts, is_locked, paused_for
from countersign.domain.verifications.rate_limit import RateLimit, RateLimitResult, check_limit
from countersign.flows.verifications.idempotency import submit
from countersign.flows.verifications.results import Done, Outcome, RateLimitStatus, Refused
from countersign.store.ledger.unit_of_work import Decision, Reads, UnitOfWork

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.flows.context import CoreContext
    from countersign.flows.verifications.idempotency import IdempotencyKey


class BeginRequest(msgspec.Struct, frozen=True):
    """What an application asks for. `channel` None leaves the choice to us.

    Pages of ours add: `browser`, to which the challenge is bound (semantics C4); `spent`, guesses that were used up on another way
    to prove the same; `told`, see Terms.
    """

    to: Contact
    channel: Channel | None = None
    purpose: str = "sign_in"
    subject: str = ""
    action: Action = Action()
    locale: str = ""
    requester: Requester = Requester()
    browser: str = ""
    guesses_spent: int = 0
    decoy_notice: str = ""


async def begin_challenge(
    core: CoreContext, application: Application, request: BeginRequest, idempotency_key: IdempotencyKey | None = None
) -> Outcome:
    """Ask the holder of `asked.to` for a code; on return the message is durable, and will be sent.

    Raises InputError where `requester.ip` is no address.
    """
    policy = core.policy.policies.get(request.purpose)
    if policy is None or (application.purposes and request.purpose not in application.purposes):
        return Refused(Refusal.PURPOSE_NOT_ALLOWED)
    channels = core.policy.channels(request.to.kind, policy, live=application.live)
    if request.channel is not None and request.channel not in CHANNELS_OF[request.to.kind]:
        return Refused(Refusal.UNUSABLE_DESTINATION, reason="wrong_channel")
    if not channels or (request.channel is not None and request.channel not in channels):
        return Refused(Refusal.CHANNEL_NOT_ALLOWED)
    channel = request.channel or channels[0]

    now = core.now()
    keyring = core.keyring
    id_ = identifier.make("ver", now, core.random_bytes(identifier.RANDOM_BYTES))
    address, subject, requester = request.to.address, request.subject, request.requester
    key = keyring.primary
    terms = Terms(
        purpose=request.purpose,
        policy=policy,
        to=key.seal(address.encode(), id_.encode()),
        to_masked=request.to.masked,
        to_kind=request.to.kind,
        kid=key.kid,
        subject=subject,
        action=request.action,
        locale=request.locale,
        requester=requester,
        live=application.live,
        decoy_notice=request.decoy_notice,
    )
    command = BeginCommand(
        id=id_,
        application=application.id,
        terms=terms,
        channel=channel,
        route=core.policy.route(channel, address, id_, live=application.live),
        region=region_of(address),
        # The lane too: else a stranger who begins beside a remembered browser meets its challenge, and spends its guesses in its lane.
        dedup_key=keyring.blind_index(
            "twin",
            application.id,
            subject,
            address,
            request.purpose,
            request.action.summary,
            request.action.hash,
            "remembered" if requester.device else "",
            *((request.browser,) if request.browser else ()),
        ),
        lockout_key=keyring.blind_index("standing", application.id, subject, address),
        limits=rate_limits_for(core, application.id, address, requester),
        guesses_spent=request.guesses_spent,
    )
    return await submit(core, command, idempotency_key)


def rate_limits_for(
    core: CoreContext, application: str, address: str, requester: Requester
) -> tuple[tuple[RateLimit, bytes], ...]:
    """Return the limits that a message to `address` counts against, each with its key.

    Who is asked and who asks have separate budgets; a remembered browser has a lane of its own, which strangers cannot use up.
    """
    blind_index = core.keyring.blind_index
    found = [
        (limit, blind_index("limit", limit.name, application, address, requester.device))
        for limit in core.policy.destination
    ]
    if requester.ip:
        network = network_of(requester.ip)
        found += [(limit, blind_index("limit", limit.name, application, network)) for limit in core.policy.requester]
    return tuple(found)


class BeginCommand(msgspec.Struct, frozen=True):
    """The command: all that is needed to judge a begin."""

    id: str
    application: str
    terms: Terms
    channel: Channel
    route: tuple[str, ...]
    region: PhoneRegion
    dedup_key: bytes
    lockout_key: bytes
    limits: tuple[tuple[RateLimit, bytes], ...]
    guesses_spent: int = 0

    @property
    def needs(self) -> Reads:
        """Return the pending twin, the contact's standing, and the limits."""
        return Reads(
            dedup_keys=(self.dedup_key,), standings=(self.lockout_key,), limits=tuple(key for _, key in self.limits)
        )

    def judge(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Continue the twin if one is pending; else begin, unless the contact or a limit forbids it."""
        refused = lockout_refusal(self.terms, work.standing(self.lockout_key), now)
        if refused is not None:
            return Decision(refused)

        ended: tuple[Challenge, ...] = ()
        dedup_key = work.dedup_key(self.dedup_key)
        if dedup_key is not None:
            dedup_key = rules_of.expire(dedup_key, now)
            if dedup_key.state is ChallengeState.PENDING:
                return self._go_on(work, dedup_key, now)
            ended = (dedup_key,)

        results = consume_limits(self.limits, work, now)
        if isinstance(results, Refused):
            return Decision(results)

        begun = rules_of.begin(
            id=self.id,
            application=self.application,
            dedup_key=self.dedup_key,
            lockout_key=self.lockout_key,
            terms=self.terms,
            channel=self.channel,
            now=now,
            guesses=self.guesses_spent,
        )
        delivery = new_delivery(begun.id, begun.sends, self.channel, self.route, now, region=self.region)
        told = Event(
            now,
            EventKind.CHALLENGE_BEGUN,
            self.application,
            begun.id,
            {"purpose": self.terms.purpose, "channel": self.channel.value, "to": self.terms.to_masked},
        )
        return Decision(
            Done(begun, delivery, rate_limit=tightest_limit(self.limits, results)),
            challenges=(*ended, begun),
            limits=tuple((key, result.tat) for (_, key), result in zip(self.limits, results, strict=True)),
            deliveries=(delivery,),
            events=(*(_expired(one) for one in ended), told),
        )

    def _go_on(self, work: UnitOfWork, dedup_key: Challenge, now: int) -> Decision[Outcome]:
        """Go on with a pending challenge: send again where a resend may, and say when it may where it may not yet."""
        judged = rules_of.change_channel(dedup_key, self.channel, now)
        results = consume_limits(self.limits, work, now)
        if judged.refusal is not None or isinstance(results, Refused):
            return Decision(Done(dedup_key, work.message(dedup_key), continued=True))
        return resend_decision(judged.challenge, self.route, self.region, self.limits, results, now, continued=True)


def resend_decision(
    challenge: Challenge,
    route: tuple[str, ...],
    region: PhoneRegion,
    limits: tuple[tuple[RateLimit, bytes], ...],
    results: tuple[RateLimitResult, ...],
    now: int,
    *,
    continued: bool = False,
) -> Decision[Outcome]:
    """Return the verdict that owes one more message for a challenge."""
    delivery = new_delivery(
        challenge.id, challenge.sends, challenge.channel, route, now, challenge.round, region=region
    )
    told = Event(
        now,
        EventKind.CHALLENGE_RESENT,
        challenge.application,
        challenge.id,
        {"channel": challenge.channel.value, "sends": challenge.sends},
    )
    return Decision(
        Done(challenge, delivery, continued=continued, rate_limit=tightest_limit(limits, results)),
        challenges=(challenge,),
        limits=tuple((key, result.tat) for (_, key), result in zip(limits, results, strict=True)),
        deliveries=(delivery,),
        events=(told,),
    )


def lockout_refusal(terms: Terms, standing: FailedAttempts, now: int) -> Refused | None:
    """Say why nothing is sent to a contact, nor compared, for now: too many failures. The purpose that binds it anew stays open."""
    if terms.policy.binds:
        return None
    if is_locked(standing):
        return Refused(Refusal.CONTACT_LOCKED, at=now)
    if paused := paused_for(standing, now, remembered=bool(terms.requester.device)):
        return Refused(Refusal.CONTACT_PAUSED, retry_after=paused, limit="contact_failures", at=now)
    return None


def consume_limits(
    limits: tuple[tuple[RateLimit, bytes], ...], work: UnitOfWork, now: int
) -> tuple[RateLimitResult, ...] | Refused:
    """Take one from every budget, or say which has none left; a refusal takes from none."""
    results = tuple(check_limit(limit, work.tat(key), now) for limit, key in limits)
    for (limit, _), result in zip(limits, results, strict=True):
        if not result.allowed:
            return Refused(Refusal.LIMITED, retry_after=result.retry_after, limit=limit.name)
    return results


def tightest_limit(
    limits: tuple[tuple[RateLimit, bytes], ...], results: tuple[RateLimitResult, ...]
) -> RateLimitStatus | None:
    """Return the budget that will run out first."""
    if not results:
        return None
    (limit, _), result = min(zip(limits, results, strict=True), key=lambda pair: pair[1].remaining)
    return RateLimitStatus(limit.name, limit.burst, result.remaining, result.reset_after)


def _expired(challenge: Challenge) -> Event:
    return Event(challenge.ended_at or 0, EventKind.CHALLENGE_EXPIRED, challenge.application, challenge.id)
