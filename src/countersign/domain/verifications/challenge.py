r"""A challenge: one code asked for one purpose, and the pure rules that judge everything that can happen to it.

    pending --answer, right------------> approved
       |  \--answer, the last guess----> exhausted
       |  \--cancel, "not me"----------> canceled
       |  \--time----------------------> expired
       |
       \--answer, wrong / send_again / redirect: stays pending, with less left

An expected refusal is a value: an exception would roll back the guess that was just spent.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.verifications.code import Code, normalize
from countersign.domain.verifications.purpose import Policy, ResendMode

MS_PER_SECOND: Final = 1_000


class ChallengeState(StrEnum):
    """Where a challenge stands; all but `pending` are final."""

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
"""The state chart as data; a test holds the functions below against it."""


class Refusal(StrEnum):
    """Why something was not done. The text for people is in `web/http/problems.py`."""

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


REFUSAL_OF_STATE: Final = {
    ChallengeState.APPROVED: Refusal.ALREADY_APPROVED,
    ChallengeState.EXHAUSTED: Refusal.EXHAUSTED,
    ChallengeState.CANCELED: Refusal.CANCELED,
    ChallengeState.EXPIRED: Refusal.EXPIRED,
}


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an approval is worth: a sentence that the message shows, and the caller's hash of the exact act."""

    summary: str = ""
    hash: str = ""


class Requester(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who asks, as the application saw it: address, user agent, and its own id of a remembered browser."""

    ip: str = ""
    user_agent: str = ""
    device: str = ""


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was agreed when the challenge began, and never changes.

    `to` is the contact, sealed; `kid` names the key that the code is derived from; `live` is false for test keys, whose messages reach
    the inbox alone. `told` names the notice that the contact's holder is sent instead of a code, where there is nothing that a code
    could be for; no answer is right then.
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


class Challenge(msgspec.Struct, frozen=True):
    """A challenge as it stands; times in milliseconds. `guesses` are spent, `sends` made.

    `twin` is the same for every begin of the same subject, destination, purpose, action and lane (remembered browsers, or all
    others) of an application, on pages of ours by the same browser too; `standing` names the contact's
    count of failures. Both are keyed hashes.
    """

    id: str
    application: str
    dedup_key: bytes
    lockout_key: bytes
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
        """Show what may stand in a log."""
        return f"Challenge({self.id}, {self.state.value})"

    @property
    def guesses_left(self) -> int:
        """Return how many more answers will be compared."""
        return max(0, self.terms.policy.guesses - self.guesses)

    @property
    def sends_left(self) -> int:
        """Return how many more messages may be asked for."""
        return max(0, self.terms.policy.sends - self.sends)

    @property
    def resend_at(self) -> int:
        """Return when the next message may be asked for."""
        return self.sent_at + self.terms.policy.resend_after * MS_PER_SECOND

    def state_at(self, now: int) -> ChallengeState:
        """Return the state as it is at `now`, also where nobody has recorded yet that time ran out."""
        if self.state is ChallengeState.PENDING and now >= self.expires_at:
            return ChallengeState.EXPIRED
        return self.state


class ChallengeResult(msgspec.Struct, frozen=True):
    """What a rule answers: the challenge as it is from now on, and the refusal (None: it was done)."""

    challenge: Challenge
    refusal: Refusal | None = None


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
    """Return a new challenge whose first message is owed from now; its end is fixed, and no resend moves it.

    `guesses` were spent before on another way to prove the same.
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
    """Judge what was typed. The guess is counted before it is compared, and counted for good.

    `code_of(round)` derives the code of a round. One that has ended is not compared at all.
    """
    ended = expire(challenge, now)
    if ended.state is not ChallengeState.PENDING:
        return ChallengeResult(ended, REFUSAL_OF_STATE[ended.state])
    counted = msgspec.structs.replace(challenge, guesses=challenge.guesses + 1)
    meant = normalize(typed, challenge.terms.policy.shape)
    right = False
    for round_ in accepted_rounds(challenge):
        right |= code_of(round_).matches(meant)  # no short cut: the same work for each round
    if right and not challenge.terms.decoy_notice:
        return ChallengeResult(_end(counted, ChallengeState.APPROVED, now))
    if counted.guesses >= challenge.terms.policy.guesses:
        counted = _end(counted, ChallengeState.EXHAUSTED, now)
    return ChallengeResult(counted, Refusal.WRONG_CODE)


def resend(challenge: Challenge, now: int) -> ChallengeResult:
    """Ask for another message by the same channel: neither more time nor more guesses come with it."""
    return change_channel(challenge, challenge.channel, now)


def change_channel(challenge: Challenge, channel: Channel, now: int) -> ChallengeResult:
    """Ask for another message by `channel`; the caller has seen that the policy and the destination allow it."""
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
    """End a challenge that is no longer wanted; canceling twice is no fault."""
    ended = expire(challenge, now)
    if ended.state is ChallengeState.CANCELED:
        return ChallengeResult(ended)
    if ended.state is not ChallengeState.PENDING:
        return ChallengeResult(ended, REFUSAL_OF_STATE[ended.state])
    return ChallengeResult(_end(challenge, ChallengeState.CANCELED, now))


def expire(challenge: Challenge, now: int) -> Challenge:
    """Record that time ran out, if it did: at the very millisecond of `expires_at` the code is worth nothing."""
    if challenge.state is ChallengeState.PENDING and now >= challenge.expires_at:
        return _end(challenge, ChallengeState.EXPIRED, challenge.expires_at)
    return challenge


def accepted_rounds(challenge: Challenge) -> tuple[int, ...]:
    """Return the rounds whose code is right: the present one, and with `overlap` the one before."""
    if challenge.terms.policy.resend is ResendMode.OVERLAP and challenge.round > 0:
        return (challenge.round, challenge.round - 1)
    return (challenge.round,)


def _end(challenge: Challenge, state: ChallengeState, now: int) -> Challenge:
    return msgspec.structs.replace(challenge, state=state, ended_at=now)
