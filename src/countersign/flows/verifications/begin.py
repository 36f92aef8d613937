"""Begin a verification: continue the pending challenge of the same request or create one, and queue its message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.delivery.delivery import new_delivery
from countersign.domain.shared import identifier
from countersign.domain.shared.contact import CHANNELS_OF, LANDLINE, Channel, Contact
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.shared.network import network_of
from countersign.domain.shared.phone_region import PhoneRegion, region_of
from countersign.domain.verifications import challenge as challenge_rules
from countersign.domain.verifications.challenge import (
    Action,
    Challenge,
    ChallengeState,
    Refusal,
    Requester,
    Terms,
    summary_binding,
)
from countersign.domain.verifications.lanes import Lane, lane_of_request
from countersign.domain.verifications.lockout import FailedAttempts, is_locked, paused_for
from countersign.domain.verifications.rate_limit import KeyedLimits, RateLimitResult, check_limit
from countersign.flows.verifications.counters import contact_lockout_key, counter_key, network_limits
from countersign.flows.verifications.idempotency import IdempotentCommand
from countersign.flows.verifications.results import Done, Outcome, RateLimitStatus, Refused
from countersign.store.ledger.unit_of_work import Decision, Reads, UnitOfWork

if TYPE_CHECKING:
    from countersign.domain.shared.application import Application
    from countersign.domain.verifications.purpose import Policy
    from countersign.flows.context import CoreContext
    from countersign.flows.verifications.idempotency import IdempotencyKey


class BeginRequest(msgspec.Struct, frozen=True):
    """The request for a code. If `channel` is None, the preferred channel of the purpose is used.

    `subject` is the application's own id of the person. Only our own pages set the last five fields. `browser` is the browser that the
    challenge is bound to (semantics C4). `guesses_spent` are guesses that were used on another method of the same proof. `decoy_notice` is
    the notice that is sent instead of a code (see Terms). `lane` is the standing of whoever asks; for an application it follows from the
    purpose and the device. `timezone` is the IANA name of the zone in which the message writes its times.
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
    lane: Lane | None = None
    timezone: str = ""


async def begin_challenge(
    core: CoreContext, application: Application, request: BeginRequest, idempotency_key: IdempotencyKey | None = None
) -> Outcome:
    """Send a code to `request.to`. When this returns Done, the message is durable and will be sent.

    Returns Refused if the application is suspended, the purpose, channel or destination is not allowed, a rate limit is used up, or the
    contact is paused or locked. Raises InputError if `requester.ip` is not an address, and UnavailableError if the database is down or
    too many requests wait.
    """
    if application.is_stopped:
        return Refused(Refusal.APPLICATION_SUSPENDED)
    policy = core.policy.policies.get(request.purpose)
    if policy is None or (application.purposes and request.purpose not in application.purposes):
        return Refused(Refusal.PURPOSE_NOT_ALLOWED)
    channel = _choose_channel(core, application, request, policy)
    if isinstance(channel, Refused):
        return channel
    command = _command(core, application, request, policy, channel)
    return await core.ledger.submit(command if idempotency_key is None else IdempotentCommand(command, idempotency_key))


def _choose_channel(
    core: CoreContext, application: Application, request: BeginRequest, policy: Policy
) -> Channel | Refused:
    """Return the requested channel, or the preferred one if none is requested."""
    allowed = core.policy.channels(
        request.to.kind, policy, live=application.live, names_act=not request.action.is_empty
    )
    if request.channel is not None and request.channel not in CHANNELS_OF[request.to.kind]:
        return Refused(Refusal.UNUSABLE_DESTINATION, reason="wrong_channel")
    if not allowed or (request.channel is not None and request.channel not in allowed):
        return Refused(Refusal.CHANNEL_NOT_ALLOWED)
    reachable = [channel for channel in allowed if channel in request.to.channels]
    if not reachable or (request.channel is not None and request.channel not in reachable):
        return Refused(Refusal.UNUSABLE_DESTINATION, reason=LANDLINE)
    return request.channel or reachable[0]


def _command(
    core: CoreContext, application: Application, request: BeginRequest, policy: Policy, channel: Channel
) -> BeginCommand:
    id_ = identifier.make("ver", core.clock(), core.random_bytes(identifier.RANDOM_BYTES))
    address = request.to.address
    terms = _terms(core, application, request, policy, id_)
    return BeginCommand(
        id=id_,
        application=application.id,
        terms=terms,
        channel=channel,
        route=core.policy.route(channel, address, id_, live=application.live),
        region=region_of(address),
        dedup_key=_dedup_key(core, application, request),
        lockout_key=_lockout_key(core, application, address, terms),
        limits=rate_limits_for(core, application.id, address, terms),
        guesses_spent=request.guesses_spent,
    )


def _terms(core: CoreContext, application: Application, request: BeginRequest, policy: Policy, id_: str) -> Terms:
    key, action = core.keyring.primary, request.action
    summary = b""
    if action.masked:
        # The whole summary names a contact: a stolen database must not (semantics A10).
        summary = key.seal(action.summary.encode(), summary_binding(id_))
        action = msgspec.structs.replace(action, summary=action.masked, masked="")
    return Terms(
        purpose=request.purpose,
        policy=policy,
        to=key.seal(request.to.address.encode(), id_.encode()),
        to_masked=request.to.masked,
        to_kind=request.to.kind,
        kid=key.kid,
        subject=request.subject,
        action=action,
        locale=request.locale,
        requester=request.requester,
        live=application.live,
        decoy_notice=request.decoy_notice,
        asked_in=request.lane or lane_of_request(request.purpose, request.requester.device),
        summary=summary,
        timezone=request.timezone,
    )


def _lockout_key(core: CoreContext, application: Application, address: str, terms: Terms) -> bytes:
    """Return the key of the wrong codes that this challenge counts to and is stopped by.

    What anybody may ask for counts for the purpose and the network that asked: a stranger stops neither the owner elsewhere, nor another
    purpose, nor what follows a password (semantics L2). The row of the other lanes has a count for each of them.
    """
    if terms.lane is not Lane.ANONYMOUS:
        return contact_lockout_key(core.keyring, application.id, terms.subject, address)
    network = network_of(terms.requester.ip) if terms.requester.ip else ""
    return counter_key(core.keyring, "contact_failures", terms.lane, application.id, terms.purpose, address, network)


def _dedup_key(core: CoreContext, application: Application, request: BeginRequest) -> bytes:
    """Return the keyed hash by which a repeated request finds its pending challenge.

    It depends on whether the browser is remembered. Otherwise a stranger who makes the same request beside a remembered browser would join
    its challenge and use up its guesses.
    """
    return core.keyring.blind_index(
        "twin",
        application.id,
        request.subject,
        request.to.address,
        request.purpose,
        request.action.summary,
        request.action.hash,
        "remembered" if request.requester.device else "",
        *((request.browser,) if request.browser else ()),
        *((request.action.digest,) if request.action.digest else ()),
        # Two applications never share a code, and each has its name in its own message (semantics P1, J6).
        *(("asked by", request.action.asker) if request.action.asker else ()),
    )


def rate_limits_for(core: CoreContext, application: str, address: str, terms: Terms) -> KeyedLimits:
    """Return the rate limits that a message to `address` counts for.

    Destination and requester have separate limits, and each lane has its own, which no weaker lane can use up (semantics L1). On our
    own pages what an account asks for its own contacts is counted for that account: whoever shares the number uses up nothing of it. A
    contact that is yet to be proved has one limit, whichever account names it. What a registered application asks for counts for it as
    a whole, too. Our own pages have no such limit, which strangers could use up for everybody.

    Raises InputError if the requester's address is not an IP address.
    """
    lane, requester, keyring = terms.lane, terms.requester, core.keyring
    is_own_contact = application == core.own.id and lane is not Lane.ANONYMOUS and not terms.policy.binds
    account = terms.subject if is_own_contact else ""
    limits = [
        (limit, counter_key(keyring, limit.name, lane, application, address, account, requester.device))
        for limit in core.policy.destination
    ]
    if application != core.own.id:
        limits += [(limit, counter_key(keyring, limit.name, lane, application)) for limit in core.policy.application]
    if requester.ip:
        limits += network_limits(keyring, core.policy.requester, lane, requester.ip, application)
    return tuple(limits)


class BeginCommand(msgspec.Struct, frozen=True):
    """Creates a challenge, or continues the pending one of the same request."""

    id: str
    application: str
    terms: Terms
    channel: Channel
    route: tuple[str, ...]
    region: PhoneRegion
    dedup_key: bytes
    lockout_key: bytes
    limits: KeyedLimits
    guesses_spent: int = 0

    @property
    def reads(self) -> Reads:
        """Return the pending challenge, the contact's failed attempts, and the rate limits."""
        return Reads(
            dedup_keys=(self.dedup_key,),
            failed_attempts=(self.lockout_key,),
            limits=tuple(key for _, key in self.limits),
        )

    def decide(self, work: UnitOfWork, now: int) -> Decision[Outcome]:
        """Continue the pending challenge if there is one. Otherwise create one, unless a lockout or a rate limit forbids it."""
        refused = lockout_refusal(self.terms, work.failed_attempts(self.lockout_key), now)
        if refused is not None:
            return Decision(refused)
        previous = work.pending_challenge(self.dedup_key)
        if previous is not None:
            previous = challenge_rules.expire(previous, now)
            if previous.state is ChallengeState.PENDING:
                return self._continue(work, previous, now)
        return self._create(work, previous, now)

    def _continue(self, work: UnitOfWork, pending: Challenge, now: int) -> Decision[Outcome]:
        """Send the code of a pending challenge again if a resend is allowed now. Otherwise return the challenge as it is."""
        resent = challenge_rules.change_channel(pending, self.channel, now)
        results = consume_limits(self.limits, work, now)
        if resent.refusal is not None or isinstance(results, Refused):
            return Decision(Done(pending, work.newest_delivery(pending), continued=True))
        return resend_decision(resent.challenge, self.route, self.region, self.limits, results, now, continued=True)

    def _create(self, work: UnitOfWork, expired: Challenge | None, now: int) -> Decision[Outcome]:
        """Create a challenge and its first message. `expired` is an earlier challenge whose expiry is recorded with it."""
        results = consume_limits(self.limits, work, now)
        if isinstance(results, Refused):
            return Decision(results)
        challenge = challenge_rules.begin(
            id=self.id,
            application=self.application,
            dedup_key=self.dedup_key,
            lockout_key=self.lockout_key,
            terms=self.terms,
            channel=self.channel,
            now=now,
            guesses=self.guesses_spent,
        )
        delivery = new_delivery(
            challenge.id,
            challenge.sends,
            self.channel,
            self.route,
            now,
            region=self.region,
            application=self.application,
        )
        ended = () if expired is None else (expired,)
        return Decision(
            Done(challenge, delivery, rate_limit=tightest_limit(self.limits, results)),
            challenges=(*ended, challenge),
            limits=_timestamps(self.limits, results),
            deliveries=(delivery,),
            events=(*map(_expired_event, ended), _begun_event(challenge, now)),
        )


def resend_decision(
    challenge: Challenge,
    route: tuple[str, ...],
    region: PhoneRegion,
    limits: KeyedLimits,
    results: tuple[RateLimitResult, ...],
    now: int,
    *,
    continued: bool = False,
) -> Decision[Outcome]:
    """Return the decision to send one more message for a challenge. `results` are those of `limits`."""
    delivery = new_delivery(
        challenge.id,
        challenge.sends,
        challenge.channel,
        route,
        now,
        challenge.round,
        region=region,
        application=challenge.application,
    )
    facts: dict[str, str | int] = {"channel": challenge.channel.value, "sends": challenge.sends}
    return Decision(
        Done(challenge, delivery, continued=continued, rate_limit=tightest_limit(limits, results)),
        challenges=(challenge,),
        limits=_timestamps(limits, results),
        deliveries=(delivery,),
        events=(Event(now, EventKind.CHALLENGE_RESENT, challenge.application, challenge.id, facts),),
    )


def lockout_refusal(terms: Terms, failures: FailedAttempts, now: int) -> Refused | None:
    """Return a refusal if the contact is paused or locked after too many wrong codes. Re-binding is exempt, unless anybody may ask."""
    lane = terms.lane
    if terms.policy.binds and lane is not Lane.ANONYMOUS:
        return None
    if is_locked(failures, lane=lane):
        return Refused(Refusal.CONTACT_LOCKED, at=now)
    if pause := paused_for(failures, now, lane=lane):
        return Refused(Refusal.CONTACT_PAUSED, retry_after=pause, limit="contact_failures", at=now)
    return None


def consume_limits(limits: KeyedLimits, work: UnitOfWork, now: int) -> tuple[RateLimitResult, ...] | Refused:
    """Count one message for every rate limit, or return a refusal that names the one that is used up. A refusal counts for none."""
    results = tuple(check_limit(limit, work.tat(key), now) for limit, key in limits)
    for (limit, _), result in zip(limits, results, strict=True):
        if not result.allowed:
            return Refused(Refusal.LIMITED, retry_after=result.retry_after, limit=limit.name)
    return results


def tightest_limit(limits: KeyedLimits, results: tuple[RateLimitResult, ...]) -> RateLimitStatus | None:
    """Return the rate limit that will be used up first, or None if there are no limits."""
    if not results:
        return None
    (limit, _), result = min(zip(limits, results, strict=True), key=lambda pair: pair[1].remaining)
    return RateLimitStatus(limit.name, limit.burst, result.remaining, result.reset_after)


def _timestamps(limits: KeyedLimits, results: tuple[RateLimitResult, ...]) -> tuple[tuple[bytes, int], ...]:
    return tuple((key, result.tat) for (_, key), result in zip(limits, results, strict=True))


def _begun_event(challenge: Challenge, now: int) -> Event:
    terms = challenge.terms
    facts: dict[str, str | int] = {
        "purpose": terms.purpose,
        "channel": challenge.channel.value,
        "to": terms.to_masked,
    }
    return Event(now, EventKind.CHALLENGE_BEGUN, challenge.application, challenge.id, facts)


def _expired_event(challenge: Challenge) -> Event:
    return Event(challenge.ended_at or 0, EventKind.CHALLENGE_EXPIRED, challenge.application, challenge.id)
