"""A change of an account: what may be requested, when it may be applied, and how it is undone.

What differs between the kinds of change is data: one row of `RULES` for each.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from countersign.domain.accounts.account import AccountSnapshot, OwnedContact
from countersign.domain.accounts.authenticator import MAX_AUTHENTICATORS as MOST_FACTORS
from countersign.domain.accounts.authenticator import STRONG_KINDS, Authenticator
from countersign.domain.accounts.integration_code import IntegrationCode
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.recovery import RecoveryProof
from countersign.domain.accounts.session import Session
from countersign.domain.shared.contact import Contact, ContactKind

DAY: Final = 86_400_000
UNDO_PERIOD: Final = 7 * DAY
"""Milliseconds in which a change can be undone, and after which a new contact may recover the account alone (semantics A2)."""
PENDING_LIFETIME: Final = 30 * 60_000
"""Milliseconds that a change stays pending until its new contact is proved."""
RECOVERY_WAIT: Final = 7 * DAY
"""Milliseconds that a delayed recovery waits, and can be vetoed, before it may be completed (semantics R5)."""
RECOVERY_WINDOW: Final = 7 * DAY
"""Milliseconds after the wait in which a delayed recovery has to be completed."""
REDUCED_PERIOD: Final = 7 * DAY
"""Milliseconds after a delayed recovery in which nothing can be removed that the former owner would miss."""
MAX_CONTACTS: Final = 20
MAX_ACCOUNTS_PER_PHONE: Final = 5
"""Accounts that may share one phone number (semantics A7). A mail address belongs to one account."""


class ChangeKind(StrEnum):
    """What is changed. The notice of an applied change has the same value (`NoticeKind`)."""

    CONTACT_ADDED = "contact_added"
    CONTACT_REPLACED = "contact_replaced"
    CONTACT_PRIMARY = "contact_primary"
    CONTACT_REMOVED = "contact_removed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of a kind
    PASSWORD_RECOVERED = "password_recovered"  # noqa: S105
    METHOD_ADDED = "method_added"
    METHOD_REMOVED = "method_removed"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    BROWSER_REMOVED = "browser_removed"
    INTEGRATION_CODE_MADE = "integration_code_made"
    INTEGRATION_CODE_ROTATED = "integration_code_rotated"
    INTEGRATION_CODE_REVOKED = "integration_code_revoked"
    ACCESS_RECOVERED = "access_recovered"


class ChangeState(StrEnum):
    """The state of a change."""

    PENDING = "pending"
    APPLIED = "applied"
    CANCELED = "canceled"
    UNDONE = "undone"
    EXPIRED = "expired"


class ChangeRule(msgspec.Struct, frozen=True):
    """What applies to one kind of change; times in milliseconds.

    - `proves_contact`: the change stays pending until its new contact is proved.
    - `wait`: time between the request and the earliest completion.
    - `undo`: time in which an applied change can be undone.
    - `undone_by_lock`: only locking the account undoes it.
    - `ends_sessions`: every other session ends with it.
    - `raises_epoch`: what was under way ends, every other pending change too. Proofs of other sessions count for nothing, and no browser
      is trusted afterwards (semantics A8, S4).
    - `blocked_after_recovery`: refused for a time after a delayed recovery.
    - `notifies`: every contact gets a notice.
    """

    proves_contact: bool = False
    wait: int = 0
    undo: int = 0
    undone_by_lock: bool = False
    ends_sessions: bool = False
    raises_epoch: bool = False
    blocked_after_recovery: bool = False
    notifies: bool = True


RULES: Final = {
    ChangeKind.CONTACT_ADDED: ChangeRule(proves_contact=True, undo=UNDO_PERIOD, raises_epoch=True),
    ChangeKind.CONTACT_REPLACED: ChangeRule(
        proves_contact=True, undo=UNDO_PERIOD, blocked_after_recovery=True, raises_epoch=True
    ),
    ChangeKind.CONTACT_PRIMARY: ChangeRule(undo=UNDO_PERIOD, raises_epoch=True),
    ChangeKind.CONTACT_REMOVED: ChangeRule(undo=UNDO_PERIOD, blocked_after_recovery=True, raises_epoch=True),
    ChangeKind.PASSWORD_CHANGED: ChangeRule(
        undo=UNDO_PERIOD, undone_by_lock=True, ends_sessions=True, raises_epoch=True
    ),
    ChangeKind.PASSWORD_RECOVERED: ChangeRule(
        undo=UNDO_PERIOD, undone_by_lock=True, ends_sessions=True, raises_epoch=True
    ),
    ChangeKind.METHOD_ADDED: ChangeRule(undo=UNDO_PERIOD, raises_epoch=True),
    ChangeKind.METHOD_REMOVED: ChangeRule(undo=UNDO_PERIOD, blocked_after_recovery=True, raises_epoch=True),
    ChangeKind.RECOVERY_CODES_MADE: ChangeRule(undo=UNDO_PERIOD, blocked_after_recovery=True, raises_epoch=True),
    ChangeKind.BROWSER_REMOVED: ChangeRule(notifies=False),
    ChangeKind.INTEGRATION_CODE_MADE: ChangeRule(blocked_after_recovery=True),
    ChangeKind.INTEGRATION_CODE_ROTATED: ChangeRule(blocked_after_recovery=True),
    ChangeKind.INTEGRATION_CODE_REVOKED: ChangeRule(notifies=False),
    ChangeKind.ACCESS_RECOVERED: ChangeRule(
        wait=RECOVERY_WAIT, undo=UNDO_PERIOD, ends_sessions=True, raises_epoch=True
    ),
}
"""The rule of every kind of change."""
APPROVED_BY_FRESH_PROOF: Final = frozenset({ChangeKind.RECOVERY_CODES_MADE})
"""Kinds that an app's code or a passkey approves too which the session has given a moment ago."""


class ChangeRequest(msgspec.Struct, frozen=True):
    """A change from the form to the moment when it is applied: the one value that every step hands on.

    The caller says what is wanted:

    - `target`: id of the contact, authenticator, browser or integration code that is changed.
    - `about`: what people are shown of it afterwards, such as a mask or a name.
    - `summary`: what is approved, in the user's language. It stands in the message with the code. `masked_summary` is the same with every
      contact masked, where it names one.
    - `contact`: a new contact; `password`: the hash of a new password (PHC string); `authenticators` and `integration_code`: what
      is added, ready to be stored.
    - `interrupted`: the request that asked. It continues after the user has proved what the change requires.

    The flows fill in where it comes from; `for_session` does so for a signed-in user:

    - `account`, and the id of the `session` that asked; empty for a request from outside.
    - `pending`: id of the pending change that is completed, and `flow`: token hash of the login flow that ends with it.
    - `proof`: what was proved to recover the account.
    - `approved_by`: the id of the contact or authenticator that has approved it; empty for a request from outside.
    - `epoch`: that of the account in which the change was requested. In any other one it is refused (semantics A8).
    """

    kind: ChangeKind
    target: str = ""
    about: str = ""
    summary: str = ""
    contact: Contact | None = None
    password: str = ""
    authenticators: tuple[Authenticator, ...] = ()
    integration_code: IntegrationCode | None = None
    interrupted: InterruptedRequest = InterruptedRequest()
    account: str = ""
    session: str = ""
    pending: str = ""
    flow: bytes = b""
    proof: RecoveryProof | None = None
    epoch: int = 0
    approved_by: str = ""
    masked_summary: str = ""

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"ChangeRequest({self.kind.value})"

    def for_session(self, session: Session) -> ChangeRequest:
        """Return the request as one that this session makes for its account."""
        return replace(self, account=session.account, session=session.id, epoch=session.epoch)


class ChangeEffect(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an applied change did, as ids. Undoing it ends what was added and restores what was ended.

    - `primary`: the id of the contact that was the primary one before, if that changed.
    - `with_password`: of a recovery, the user knew the current password as well. `recovered_by`: the contact that had chosen the one before
      alone, if any.
    - `approved_by`: the id of the contact or authenticator that has approved the change in a session, if it is known.
    """

    contacts_added: tuple[str, ...] = ()
    contacts_ended: tuple[str, ...] = ()
    factors_added: tuple[str, ...] = ()
    factors_ended: tuple[str, ...] = ()
    primary: str = ""
    with_password: bool = False
    recovered_by: str = ""
    approved_by: str = msgspec.field(name="approved", default="")


class AccountChange(msgspec.Struct, frozen=True):
    """A change as it is stored; times in milliseconds since the epoch.

    `session` is the id of the session that asked; empty for a request from outside. `blind_index` finds its new contact, and `about` is
    what people are shown: a mask or a name. `data` is what is needed to apply or to undo it, sealed. A pending change expires at
    `until`; an applied change can be undone until then. `remind_at` is when the contacts are reminded that it is pending. `epoch` is that
    of the account in which it was requested.
    """

    account: str
    id: str
    kind: ChangeKind
    asked_at: int
    session: str
    blind_index: bytes
    about: str
    data: bytes
    user_agent: str
    place: str
    state: ChangeState
    until: int
    applied_at: int | None = None
    ended_at: int | None = None
    remind_at: int | None = None
    effect: ChangeEffect = ChangeEffect()
    epoch: int = 0

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"AccountChange({self.id}, {self.kind.value}, {self.state.value})"

    def state_at(self, now: int) -> ChangeState:
        """Return the state at `now` (ms)."""
        if self.state is ChangeState.PENDING and now >= self.until:
            return ChangeState.EXPIRED
        return self.state

    def is_undoable(self, now: int) -> bool:
        """Return True if the user can still undo the change by itself."""
        return self.is_undone_by_lock(now) and not RULES[self.kind].undone_by_lock

    def is_undone_by_lock(self, now: int) -> bool:
        """Return True if locking the account undoes the change.

        Includes passwords: the previous one becomes a recovery credential again.
        """
        return self.state is ChangeState.APPLIED and now < self.until

    def is_foreign_way_in(self, contact: str, told_since: int) -> bool:
        """Return True if the change has added an authenticator, or a contact that another than `contact` has approved.

        `told_since`: since when (ms) this contact can still report what it was told of. What was added before is not meant.
        """
        is_foreign = self.effect.approved_by not in {"", contact}
        adds = self.kind is ChangeKind.METHOD_ADDED or (self.kind is ChangeKind.CONTACT_ADDED and is_foreign)
        return adds and (self.applied_at or 0) > told_since

    @property
    def due_at(self) -> int:
        """Return the earliest time (ms) at which a pending change may be completed."""
        return self.asked_at + RULES[self.kind].wait


class ChangeRefusal(StrEnum):
    """Why a change is refused."""

    UNKNOWN = "unknown"
    LAST_CONTACT = "last_contact"
    ALREADY_YOURS = "already_yours"
    ANOTHERS = "anothers"
    TOO_MANY = "too_many"
    REDUCED = "reduced"
    NOT_PENDING = "not_pending"
    TOO_EARLY = "too_early"
    CONTESTED = "contested"
    OUTDATED = "outdated"
    NO_WAY_BACK = "no_way_back"


def check_change(
    kind: ChangeKind, target: str, blind_index: bytes, snapshot: AccountSnapshot, now: int
) -> ChangeRefusal | None:
    """Return why an account cannot be changed so, or None.

    `target` is the id of the contact or authenticator that is changed, `blind_index` that of a new contact, and `now` is in ms.
    """
    if RULES[kind].blocked_after_recovery and now < snapshot.account.reduced_until:
        return ChangeRefusal.REDUCED
    match kind:
        case ChangeKind.CONTACT_ADDED | ChangeKind.CONTACT_REPLACED:
            return _check_new_contact(kind, target, blind_index, snapshot)
        case ChangeKind.CONTACT_PRIMARY | ChangeKind.CONTACT_REMOVED:
            return _check_old_contact(kind, target, snapshot)
        case ChangeKind.METHOD_ADDED | ChangeKind.METHOD_REMOVED:
            return _check_authenticator(kind, target, snapshot)
        case _:
            return None


def _check_new_contact(
    kind: ChangeKind, target: str, blind_index: bytes, snapshot: AccountSnapshot
) -> ChangeRefusal | None:
    if kind is ChangeKind.CONTACT_REPLACED and all(contact.id != target for contact in snapshot.contacts):
        return ChangeRefusal.UNKNOWN
    if any(contact.blind_index == blind_index for contact in snapshot.contacts):
        return ChangeRefusal.ALREADY_YOURS
    return ChangeRefusal.TOO_MANY if len(snapshot.contacts) >= MAX_CONTACTS else None


def _check_old_contact(kind: ChangeKind, target: str, snapshot: AccountSnapshot) -> ChangeRefusal | None:
    found = next((contact for contact in snapshot.contacts if contact.id == target), None)
    if found is None:
        return ChangeRefusal.UNKNOWN
    if kind is ChangeKind.CONTACT_PRIMARY:
        return ChangeRefusal.ALREADY_YOURS if found.primary else None
    return ChangeRefusal.LAST_CONTACT if len(snapshot.contacts) == 1 else None


def _check_authenticator(kind: ChangeKind, target: str, snapshot: AccountSnapshot) -> ChangeRefusal | None:
    strong = [one.id for one in snapshot.authenticators if one.kind in STRONG_KINDS]
    if kind is ChangeKind.METHOD_REMOVED:
        return None if target in strong else ChangeRefusal.UNKNOWN
    return ChangeRefusal.TOO_MANY if len(strong) >= MOST_FACTORS else None


def revert(history: AccountSnapshot, effect: ChangeEffect, now: int) -> AccountSnapshot:
    """Return the history of an account with one change undone at `now` (ms): what it added has ended, what it ended is active.

    `history` must hold the ended contacts and authenticators too. `with_primary` belongs after the last of several.
    """
    ends = dict.fromkeys(effect.contacts_added, now) | dict.fromkeys(effect.contacts_ended)
    contacts = tuple(
        replace(one, ended_at=ends[one.id], primary=False) if one.id in ends else one for one in history.contacts
    )
    ends = dict.fromkeys(effect.factors_added, now) | dict.fromkeys(effect.factors_ended)
    authenticators = tuple(
        replace(one, ended_at=ends[one.id]) if one.id in ends else one for one in history.authenticators
    )
    reverted = AccountSnapshot(history.account, contacts, authenticators)
    return _make_primary(reverted, effect.primary) if effect.primary else reverted


def with_primary(history: AccountSnapshot) -> AccountSnapshot:
    """Return the history with a primary contact: the oldest active one, if none is primary."""
    active = history.active_contacts
    if not active or any(contact.primary for contact in active):
        return history
    return _make_primary(history, min(active, key=lambda one: (one.added_at, one.id)).id)


def _make_primary(history: AccountSnapshot, target: str) -> AccountSnapshot:
    """Make one contact the primary one, if it is active, and no other."""
    contacts = tuple(
        replace(contact, primary=contact.id == target and contact.ended_at is None) for contact in history.contacts
    )
    return replace(history, contacts=contacts)


def canceled(change: AccountChange, now: int) -> AccountChange:
    """Return a pending change as it is canceled at `now` (ms)."""
    return replace(change, state=ChangeState.CANCELED, ended_at=now, remind_at=None)


def max_accounts(kind: ContactKind) -> int:
    """Return how many accounts may share one contact."""
    return MAX_ACCOUNTS_PER_PHONE if kind is ContactKind.PHONE else 1


def may_recover(contact: OwnedContact, now: int) -> bool:
    """Return True if a contact recovers its account alone: it is proved, and not too new (semantics A2)."""
    return contact.ended_at is None and contact.proved_at is not None and now >= contact.settled_at
