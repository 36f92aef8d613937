r"""The recovery of an account: who may take it back, and what the reports of its contacts are worth. Pure rules on its row.

A delayed recovery, of a user without any working contact:

    none --somebody asks for it------------------> waiting
    waiting --its wait is over, and it is finished--> done
    waiting --"stop it", or "this wasn't me"------> barred
    waiting --whoever asked for it withdraws it---> barred
    waiting --a new password, or nobody finishes it--> none
    barred --30 days, or a day after a withdrawal, or the owner allows it--> none
    done --7 days of reduced rights--------------> none
    done --"this wasn't me"----------------------> none

The account itself:

    open --"this wasn't me"----------------------> locked
    locked --a new password by one contact-------> reopened
    locked --a new password by a recovery code---> secured
    reopened --a sign-in by another contact or an authenticator--> secured
    reopened --"this wasn't me"------------------> locked
    secured --"this wasn't me" of the contact that reopened it--> locked
    reopened --7 days----------------------------> open
    secured --7 days-----------------------------> open

Between two contacts the tie goes to who proves more, never to who pressed last (semantics R7, decision 0044).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Collection

    from countersign.domain.accounts.account import Account, AccountSnapshot, OwnedContact

DAY: Final = 86_400_000
BAR: Final = 30 * DAY
"""Milliseconds after "stop it" in which no delayed recovery can be asked for (semantics R6)."""
PRECEDENCE: Final = 7 * DAY
"""Milliseconds after a report in which the contact that reported goes before the others (semantics R7)."""
REOPENED_PERIOD: Final = 7 * DAY
"""Milliseconds after a reopening in which it outranks what proves less."""


class RecoveryPolicy(msgspec.Struct, frozen=True):
    """What an installation offers to users without any working contact (semantics R8).

    `delayed`: whether they may recover the account after a wait. `keeps_authenticators`: whether apps and passkeys stay then, so that
    one of them or a recovery code is still needed to sign in.
    """

    delayed: bool = True
    keeps_authenticators: bool = False


class RecoveryRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an account remembers of its recoveries. Times are milliseconds since the epoch; contacts are ids.

    - `links_ended_at`: links of notices that were made until then report nothing any more.
    - `recovered_by`, `recovered_at`: the contact by which the account was recovered last, and when. Its own links of before have ended.
    - `barred_until`: no delayed recovery can be asked for until then, because one was stopped or withdrawn.
    - `locked_by`: the contact whose report locked the account, if it goes before the others.
    - `password_counts`: while locked, the current password is a second proof beside `locked_by`.
    - `reopened_at`: when the account was reopened after a lock.
    - `secured`: since then its owner has proved more than one contact.
    """

    links_ended_at: int = msgspec.field(name="links", default=0)
    barred_until: int = msgspec.field(name="barred", default=0)
    locked_by: str = msgspec.field(name="locked", default="")
    password_counts: bool = msgspec.field(name="password", default=False)
    recovered_by: str = msgspec.field(name="by", default="")
    recovered_at: int = msgspec.field(name="at", default=0)
    reopened_at: int = msgspec.field(name="reopened", default=0)
    secured: bool = False


class RecoveryProof(msgspec.Struct, frozen=True):
    """What a user has proved to recover an account.

    - `contact`: the id of the contact that was entered. `begun_at` (ms): when.
    - `recovery_code`: a recovery code was entered, not a code that was sent to the contact.
    - `outranks`: that code is older than the time in which its making can be undone.
    - `password`: the sealed current password that the user has entered too, as it was stored; empty if none.
    """

    contact: str
    begun_at: int
    recovery_code: bool = False
    outranks: bool = False
    password: bytes = b""

    def __repr__(self) -> str:
        """Hide the password."""
        return f"RecoveryProof({self.contact})"


class DelayedRecoveryState(StrEnum):
    """Where the delayed recovery of an account stands."""

    NONE = "none"
    WAITING = "waiting"
    BARRED = "barred"
    DONE = "done"


class LockState(StrEnum):
    """Whether an account is open, locked by a report, or open again after one."""

    OPEN = "open"
    LOCKED = "locked"
    REOPENED = "reopened"
    SECURED = "secured"


DELAYED_TRANSITIONS: Final = {
    DelayedRecoveryState.NONE: frozenset({DelayedRecoveryState.WAITING}),
    DelayedRecoveryState.WAITING: frozenset(
        {DelayedRecoveryState.DONE, DelayedRecoveryState.BARRED, DelayedRecoveryState.NONE}
    ),
    DelayedRecoveryState.BARRED: frozenset({DelayedRecoveryState.NONE}),
    DelayedRecoveryState.DONE: frozenset({DelayedRecoveryState.NONE}),
}
"""The state chart of a delayed recovery as data. A test compares the functions below with it."""
LOCK_TRANSITIONS: Final = {
    LockState.OPEN: frozenset({LockState.LOCKED}),
    LockState.LOCKED: frozenset({LockState.REOPENED, LockState.SECURED}),
    LockState.REOPENED: frozenset({LockState.LOCKED, LockState.SECURED, LockState.OPEN}),
    LockState.SECURED: frozenset({LockState.LOCKED, LockState.OPEN}),
}
"""The state chart of the lock as data."""


class ReportVerdict(StrEnum):
    """What a "this wasn't me" link is worth now."""

    LOCKS = "locks"
    DISPUTES = "disputes"
    OUTRANKED = "outranked"
    ENDED = "ended"
    ALREADY_LOCKED = "already_locked"


def delayed_state(account: Account, *, is_waiting: bool, now: int) -> DelayedRecoveryState:
    """Return where the delayed recovery of an account stands at `now` (ms). `is_waiting`: one is pending."""
    if is_waiting:
        return DelayedRecoveryState.WAITING
    if now < account.reduced_until:
        return DelayedRecoveryState.DONE
    return DelayedRecoveryState.BARRED if now < account.recovery.barred_until else DelayedRecoveryState.NONE


def lock_state(account: Account, now: int) -> LockState:
    """Return whether an account is open, locked or open again at `now` (ms)."""
    if account.locked_at is not None:
        return LockState.LOCKED
    if not _is_recently_reopened(account.recovery, now):
        return LockState.OPEN
    return LockState.SECURED if account.recovery.secured else LockState.REOPENED


def may_wait(account: Account, *, is_waiting: bool, now: int) -> bool:
    """Return True if a delayed recovery may be asked for: none waits, and none was stopped lately (semantics R6)."""
    return not is_waiting and now >= account.recovery.barred_until


def bar(account: Account, now: int) -> Account:
    """Return the account with delayed recoveries barred, because one was stopped at `now` (ms)."""
    return _with(account, barred_until=now + BAR)


def pause(account: Account, now: int) -> Account:
    """Return the account with delayed recoveries barred for a day, because whoever asked for one withdrew it at `now` (ms)."""
    return _with(account, barred_until=max(account.recovery.barred_until, now + DAY))


def allow(account: Account) -> Account:
    """Return the account with the bar lifted."""
    return _with(account, barred_until=0)


def is_reporter(contact: OwnedContact | None) -> bool:
    """Return True if the holder of a contact may report. One that was removed before it had settled may not (semantics A2).

    None stands for the contact of a notice that an older release has made, which did not record it.
    """
    return contact is None or contact.ended_at is None or contact.ended_at >= contact.settled_at


def told_since(account: Account, contact: OwnedContact) -> int:
    """Return since when (ms) the links of a contact tell of what was done, as far as no lock or recovery has ended them."""
    record = account.recovery
    own = record.recovered_at if contact.id == record.recovered_by else 0
    return max(contact.added_at, record.links_ended_at, own)


def is_link_ended(account: Account, contact: str, sent_at: int) -> bool:
    """Return True if a later lock or recovery has ended the link of a notice that was sent to `contact` at `sent_at` (ms).

    A lock ends all links. A recovery by one contact ends those of this contact; the others end as soon as the user has proved more.
    Otherwise a thief would hide what was done before from the other contacts by a recovery.
    """
    record = account.recovery
    if sent_at <= record.links_ended_at:
        return True
    return contact == record.recovered_by and sent_at < record.recovered_at


def judge_report(account: Account, reporter: OwnedContact | None, sent_at: int, now: int) -> ReportVerdict:
    """Return what the link of a notice to the contact `reporter` is worth at `now` (ms); the notice was made at `sent_at` (ms)."""
    if account.locked_at is not None:
        return ReportVerdict.ALREADY_LOCKED
    record = account.recovery
    reporter_id = "" if reporter is None else reporter.id
    if is_link_ended(account, reporter_id, sent_at) or not is_reporter(reporter):
        return ReportVerdict.ENDED
    if not _is_recently_reopened(record, now) or reporter_id == record.recovered_by:
        return ReportVerdict.LOCKS
    return ReportVerdict.OUTRANKED if record.secured else ReportVerdict.DISPUTES


def first_to_reopen(verdict: ReportVerdict, reporter: OwnedContact | None, involved: Collection[str], now: int) -> str:
    """Return the id of the contact that goes before the others while the account is locked; empty if none does.

    It is the one that reported, unless the reported act was done by it or removed it (`involved`), it is new, or it contradicts the
    contact that has just reopened the account.
    """
    if reporter is None or verdict is not ReportVerdict.LOCKS or reporter.id in involved:
        return ""
    return reporter.id if reporter.ended_at is None and now >= reporter.settled_at else ""


def lock(account: Account, first: str, *, password_counts: bool, now: int) -> Account:
    """Return the account as a report at `now` (ms) locks it. Every link that was sent until then has ended.

    `first` is the contact that goes before the others, and `password_counts` says whether the current password is a proof beside it.
    A password that this very contact has chosen alone is none.
    """
    record = RecoveryRecord(
        links_ended_at=now,
        barred_until=account.recovery.barred_until,
        locked_by=first,
        password_counts=bool(first) and password_counts and account.recovered_by != first,
    )
    return replace(account, locked_at=now, recovery=record)


def may_recover_now(snapshot: AccountSnapshot, proof: RecoveryProof, now: int) -> bool:
    """Return True if a proof recovers the account at `now` (ms). After a report one contact goes before the others (semantics R7).

    While the account is locked, that is the contact that reported; once it is secured, the contact that has reopened it. A recovery code
    outranks every contact. Where an authenticator is enrolled, a new password opens nothing without it, so any contact may reopen.
    """
    account, state = snapshot.account, lock_state(snapshot.account, now)
    if proof.recovery_code and proof.outranks:
        return True
    if state is LockState.LOCKED:
        first, until = account.recovery.locked_by, (account.locked_at or 0) + PRECEDENCE
        is_free = snapshot.strong
    elif state is LockState.SECURED:
        first, until = account.recovery.recovered_by, account.recovery.reopened_at + REOPENED_PERIOD
        is_free = False
    else:
        return True
    is_there = any(contact.id == first for contact in snapshot.contacts)
    is_first = proof.contact == first and not proof.recovery_code
    return is_free or not is_there or is_first or now >= until


def lone_contact(account: Account, proof: RecoveryProof) -> str:
    """Return the id of the contact that recovers the account by itself, and so is no second proof at the next sign-in; else empty.

    The current password is a second proof, unless the same contact has chosen it alone. While the account is locked a thief may be who
    knows it, so it counts beside the contact that reported alone.
    """
    if proof.recovery_code:
        return ""
    knows = bool(proof.password) and proof.password == account.password and account.recovered_by != proof.contact
    if account.locked_at is not None:
        knows = knows and account.recovery.password_counts and proof.contact == account.recovery.locked_by
    return "" if knows else proof.contact


def recover(account: Account, proof: RecoveryProof, now: int) -> Account:
    """Return the account after a recovery at `now` (ms) by one of its contacts or a recovery code."""
    before, record = account.recovery, RecoveryRecord(recovered_by=proof.contact, recovered_at=now)
    match lock_state(account, now):
        case LockState.OPEN:
            ended_at = _end_links(account, now) if proof.outranks else before.links_ended_at
            record = replace(record, links_ended_at=ended_at)
        case LockState.LOCKED:
            record = replace(record, links_ended_at=_end_links(account, now), reopened_at=now, secured=proof.outranks)
        case LockState.REOPENED | LockState.SECURED:
            record = replace(
                record,
                links_ended_at=before.links_ended_at,
                reopened_at=before.reopened_at,
                secured=before.secured or proof.outranks,
            )
    return replace(
        account,
        locked_at=None,
        recovered_by=proof.contact if _is_new_code(account, proof, now) else lone_contact(account, proof),
        recovery=replace(record, barred_until=before.barred_until),
    )


def take_over(account: Account, now: int) -> Account:
    """Return the account after a delayed recovery at `now` (ms). Any former contact can still take it back."""
    record = RecoveryRecord(links_ended_at=_end_links(account, now), barred_until=account.recovery.barred_until)
    return replace(account, locked_at=None, recovered_by="", recovery=record)


def confirm(account: Account, contact: OwnedContact | None, *, authenticator: bool, now: int) -> Account:
    """Return the account after a sign-in at `now` (ms), which may prove more than the contact that recovered it last.

    `contact` is the contact whose code was entered, None if none was. `authenticator`: one was used that is older than the time in which
    its enrolment can be undone; a contact must be as old. Then every link of before the recovery ends, and a reopened account is secured.
    """
    record = account.recovery
    is_other = contact is not None and contact.id != record.recovered_by and now >= contact.settled_at
    if record.recovered_at == 0 or account.locked_at is not None or not (is_other or authenticator):
        return account
    return _with(
        account,
        links_ended_at=max(record.links_ended_at, record.recovered_at),
        secured=record.secured or _is_recently_reopened(record, now),
    )


def is_contested(account: Account, now: int) -> bool:
    """Return True if a report has closed the account lately. What was made in the week before proves nothing then."""
    return lock_state(account, now) is not LockState.OPEN


def _is_new_code(account: Account, proof: RecoveryProof, now: int) -> bool:
    """Return True if a recovery code counts for nothing beside its contact: a thief may have made it before the report."""
    return proof.recovery_code and not proof.outranks and is_contested(account, now)


def _end_links(account: Account, now: int) -> int:
    """Return until when links have ended by a recovery at `now` (ms), whose own notices are made in the same millisecond."""
    return max(account.recovery.links_ended_at, now - 1)


def _is_recently_reopened(record: RecoveryRecord, now: int) -> bool:
    return record.reopened_at > 0 and now < record.reopened_at + REOPENED_PERIOD


def _with(account: Account, **changed: int | bool) -> Account:
    return replace(account, recovery=replace(account.recovery, **changed))
