r"""A challenge: one code requested for one purpose, and the pure rules for everything that can happen to it.

    pending --check, right code----------------> approved
       |  \--check, last guess was wrong-------> exhausted
       |  \--cancel, or "this wasn't me"-------> canceled
       |  \--its lifetime is over--------------> expired
       |
       \--check, wrong code / resend / change_channel: stays pending, with less left

A refusal is a return value. An exception would roll back the guess that was just counted.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.verifications.code import Code, read
from countersign.domain.verifications.lanes import Lane
from countersign.domain.verifications.purpose import Policy, ResendMode

MS_PER_SECOND: Final = 1_000


class ChallengeState(StrEnum):
    """The state of a challenge. Every state but `pending` is final."""

    PENDING = "pending"
    APPROVED = "approved"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"
    EXPIRED = "expired"


TRANSITIONS: Final = {
    ChallengeState.PENDING: frozenset(
        {ChallengeState.APPROVED, ChallengeState.EXHAUSTED, ChallengeState.CANCELED, ChallengeState.EXPIRED}
    ),
    ChallengeState.APPROVED: frozenset[ChallengeState](),
    ChallengeState.EXHAUSTED: frozenset[ChallengeState](),
    ChallengeState.CANCELED: frozenset[ChallengeState](),
    ChallengeState.EXPIRED: frozenset[ChallengeState](),
}
"""The state chart as data. A test compares the functions below with it."""


class Refusal(StrEnum):
    """Why a request was refused. Its text for people is in `web/http/problems.py`."""

    WRONG_CODE = "wrong_code"
    ALREADY_APPROVED = "already_approved"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"
    EXPIRED = "expired"
    TOO_SOON = "too_soon"
    NO_SENDS_LEFT = "no_sends_left"
    LIMITED = "limited"
    CONTACT_PAUSED = "contact_paused"
    CONTACT_LOCKED = "contact_locked"
    PURPOSE_NOT_ALLOWED = "purpose_not_allowed"
    CHANNEL_NOT_ALLOWED = "channel_not_allowed"
    UNUSABLE_DESTINATION = "unusable_destination"
    APPLICATION_SUSPENDED = "application_suspended"


REFUSAL_OF_STATE: Final = {
    ChallengeState.APPROVED: Refusal.ALREADY_APPROVED,
    ChallengeState.EXHAUSTED: Refusal.EXHAUSTED,
    ChallengeState.CANCELED: Refusal.CANCELED,
    ChallengeState.EXPIRED: Refusal.EXPIRED,
}


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an approval is for: a sentence that the message shows, and the caller's hash of the exact act.

    `asker` is the name, for people, of the application that asks for the act where our own pages send the code. `digest` then tells this
    act from all others, whoever asks for them (semantics P1). `masked` is the summary as it is stored where the whole one names a contact,
    which is stored sealed alone.
    """

    summary: str = ""
    hash: str = ""
    asker: str = ""
    digest: str = ""
    masked: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is no act to approve."""
        return not (self.summary or self.hash)


class Requester(msgspec.Struct, frozen=True, omit_defaults=True):
    """The person's browser as the application saw it.

    `ip` is its network address, `user_agent` its header, and `device` the application's own id of a remembered browser (empty otherwise).
    """

    ip: str = ""
    user_agent: str = ""
    device: str = ""


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was fixed when the challenge began and never changes.

    `to` is the sealed contact. `kid` names the key that derives the code; it also seals the contact, unless that was `resealed_with`
    another. `live` is False for test applications, whose messages only reach the inbox. `decoy_notice` is a NoticeKind: the contact's
    owner gets this notice instead of a code, and no code is right. It serves where a code would have nothing to confirm, for example at
    a sign-up with a known address. `summary` is that of the act, sealed as `to` is, where it names a contact. `timezone` is the IANA name
    of the time zone that the message is written in. `asked_in` is the standing of whoever asked; read `lane`.
    """

    purpose: str
    policy: Policy
    to: bytes
    to_masked: str
    to_kind: ContactKind
    kid: str
    subject: str = ""
    action: Action = Action()
    locale: str = ""
    requester: Requester = Requester()
    live: bool = True
    decoy_notice: str = msgspec.field(default="", name="told")
    resealed_with: str = msgspec.field(default="", name="sealed")
    asked_in: Lane = msgspec.field(default=Lane.PASSWORD, name="lane")
    summary: bytes = msgspec.field(default=b"", name="act")
    timezone: str = msgspec.field(default="", name="zone")

    @property
    def lane(self) -> Lane:
        """Return the lane of whoever asked. A remembered browser has its own, whatever an older release stored."""
        return Lane.TRUSTED_BROWSER if self.requester.device else self.asked_in

    @property
    def sealing_kid(self) -> str:
        """Return the id of the key that opens `to`."""
        return self.resealed_with or self.kid


def summary_binding(challenge: str) -> bytes:
    """Return what the sealed summary of a challenge is bound to, by the id of the challenge. Its contact is bound to something else."""
    return f"{challenge}.act".encode()


class Challenge(msgspec.Struct, frozen=True):
    """A challenge in its current state. Times are in ms since the epoch.

    `guesses` are the codes that were checked, `sends` the messages that were requested, `round` the number of the current code.

    `dedup_key` and `lockout_key` are keyed hashes. Two requests have the same `dedup_key` if application, subject, destination, purpose,
    action and lane (remembered browsers, or all others) agree, and on our own pages the browser too. `lockout_key` finds the contact's
    FailedAttempts.
    """

    id: str
    application: str
    dedup_key: bytes = msgspec.field(name="twin")
    lockout_key: bytes = msgspec.field(name="standing")
    terms: Terms
    begun_at: int
    expires_at: int
    state: ChallengeState
    channel: Channel
    guesses: int = 0
    sends: int = 1
    round: int = 0
    sent_at: int = 0
    ended_at: int | None = None

    def __repr__(self) -> str:
        """Show only what may be logged."""
        return f"Challenge({self.id}, {self.state.value})"

    @property
    def guesses_left(self) -> int:
        """Return how many more codes can be checked."""
        return max(0, self.terms.policy.guesses - self.guesses)

    @property
    def sends_left(self) -> int:
        """Return how many more messages can be requested."""
        return max(0, self.terms.policy.sends - self.sends)

    @property
    def resend_at(self) -> int:
        """Return the time (ms) from which another message can be requested."""
        return self.sent_at + self.terms.policy.resend_after * MS_PER_SECOND

    def state_at(self, now: int) -> ChallengeState:
        """Return the state at `now` (ms). A challenge is expired from `expires_at` on, even if no transaction has recorded it."""
        if self.state is ChallengeState.PENDING and now >= self.expires_at:
            return ChallengeState.EXPIRED
        return self.state


class ChallengeResult(msgspec.Struct, frozen=True):
    """The outcome of a rule: the challenge afterwards, and the refusal (None if the request succeeded).

    `is_malformed`: what was entered cannot be a code of this challenge, so nothing was compared.
    """

    challenge: Challenge
    refusal: Refusal | None = None
    is_malformed: bool = False


def begin(
    *,
    id: str,  # noqa: A002
    application: str,
    dedup_key: bytes,
    lockout_key: bytes,
    terms: Terms,
    channel: Channel,
    now: int,
    guesses: int = 0,
) -> Challenge:
    """Return a new challenge at `now` (ms). Its expiry is fixed: no resend extends it.

    `guesses` were used on another method of the same proof, and count against this challenge.
    """
    return Challenge(
        id=id,
        application=application,
        dedup_key=dedup_key,
        lockout_key=lockout_key,
        terms=terms,
        begun_at=now,
        expires_at=now + terms.policy.lifetime * MS_PER_SECOND,
        state=ChallengeState.PENDING,
        channel=channel,
        guesses=guesses,
        sent_at=now,
    )


def check(challenge: Challenge, typed: str, code_of: Callable[[int], Code], now: int) -> ChallengeResult:
    """Check a code that a person entered. The guess is counted before the comparison, and stays counted.

    `code_of(round)` derives the code of a round. An ended challenge is refused without a comparison. So is what cannot be a code of this
    shape, and it costs no guess (semantics J3).
    """
    ended = expire(challenge, now)
    if ended.state is not ChallengeState.PENDING:
        return ChallengeResult(ended, REFUSAL_OF_STATE[ended.state])
    meant = read(typed, challenge.terms.policy.shape)
    if meant is None:
        return ChallengeResult(challenge, Refusal.WRONG_CODE, is_malformed=True)
    counted = msgspec.structs.replace(challenge, guesses=challenge.guesses + 1)
    right = False
    for round_ in accepted_rounds(challenge):
        right |= code_of(round_).matches(meant)  # no early exit: every round takes the same time
    if right and not challenge.terms.decoy_notice:
        return ChallengeResult(_end(counted, ChallengeState.APPROVED, now))
    if counted.guesses >= challenge.terms.policy.guesses:
        counted = _end(counted, ChallengeState.EXHAUSTED, now)
    return ChallengeResult(counted, Refusal.WRONG_CODE)


def resend(challenge: Challenge, now: int) -> ChallengeResult:
    """Request another message by the same channel. It brings neither more time nor more guesses."""
    return change_channel(challenge, challenge.channel, now)


def change_channel(challenge: Challenge, channel: Channel, now: int) -> ChallengeResult:
    """Request another message by `channel`. The caller has checked that policy and destination allow the channel."""
    ended = expire(challenge, now)
    if ended.state is not ChallengeState.PENDING:
        return ChallengeResult(ended, REFUSAL_OF_STATE[ended.state])
    if challenge.sends_left == 0:
        return ChallengeResult(challenge, Refusal.NO_SENDS_LEFT)
    if challenge.sent_at <= now < challenge.resend_at:
        return ChallengeResult(challenge, Refusal.TOO_SOON)
    renewed = challenge.terms.policy.resend is not ResendMode.SAME
    return ChallengeResult(
        msgspec.structs.replace(
            challenge,
            channel=channel,
            sends=challenge.sends + 1,
            sent_at=now,
            round=challenge.round + renewed,
        )
    )


def cancel(challenge: Challenge, now: int) -> ChallengeResult:
    """Cancel a challenge. Cancelling it twice is not an error."""
    ended = expire(challenge, now)
    if ended.state is ChallengeState.CANCELED:
        return ChallengeResult(ended)
    if ended.state is not ChallengeState.PENDING:
        return ChallengeResult(ended, REFUSAL_OF_STATE[ended.state])
    return ChallengeResult(_end(challenge, ChallengeState.CANCELED, now))


def expire(challenge: Challenge, now: int) -> Challenge:
    """Return the challenge as expired if its time is over. At the millisecond `expires_at` the code is no longer valid."""
    if challenge.state is ChallengeState.PENDING and now >= challenge.expires_at:
        return _end(challenge, ChallengeState.EXPIRED, challenge.expires_at)
    return challenge


def accepted_rounds(challenge: Challenge) -> tuple[int, ...]:
    """Return the rounds whose code is accepted: the current one and, if the policy says `overlap`, the one before."""
    if challenge.terms.policy.resend is ResendMode.OVERLAP and challenge.round > 0:
        return (challenge.round, challenge.round - 1)
    return (challenge.round,)


def _end(challenge: Challenge, state: ChallengeState, now: int) -> Challenge:
    return msgspec.structs.replace(challenge, state=state, ended_at=now)
