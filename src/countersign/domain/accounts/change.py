"""A change of an account: asked, stepped up for, proved, applied, told, and undoable; what differs between kinds is data."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.authenticator import MOST as MOST_FACTORS
from countersign.domain.accounts.authenticator import STRONG_KINDS, Authenticator, AuthenticatorKind
from countersign.domain.shared.contact import ContactKind

DAY: Final = 86_400_000
UNDO_LASTS: Final = 7 * DAY
"""Milliseconds within which a change can be undone, and after which a new contact may recover the account alone (semantics A2)."""
PENDING_LASTS: Final = 30 * 60_000
"""Milliseconds that a change waits for the proof of its new contact."""
WAIT: Final = 7 * DAY
"""Milliseconds that whoever lost everything waits before the account is theirs again (semantics R5)."""
CLAIM_LASTS: Final = 7 * DAY
"""Milliseconds after the wait within which it has to be finished."""
REDUCED_LASTS: Final = 7 * DAY
"""Milliseconds after such a recovery in which nothing can be taken away that the owner would miss."""
MOST_CONTACTS: Final = 20
MOST_ACCOUNTS: Final = 5
"""Accounts that one phone number may serve (semantics A7); a mailbox serves one."""


class ChangeKind(StrEnum):
    """What is changed."""

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
    """How far it is."""

    PENDING = "pending"
    APPLIED = "applied"
    CANCELED = "canceled"
    UNDONE = "undone"
    EXPIRED = "expired"


class ChangeRule(msgspec.Struct, frozen=True):
    """What a kind of change is held to; times in ms.

    `proves`: the new contact proves itself before. `waits`: how long nothing happens but notices. `undo`: for how long it can be undone;
    `closes`: by closing the account alone. `revokes`: every other session and whatever else is pending end with it. `untrusts`: no
    browser is trusted any more (semantics S4). `reduced`: refused for a time after a recovery of who lost everything. `told`: whether
    the contacts hear of it.
    """

    proves: bool = False
    waits: int = 0
    undo: int = 0
    closes: bool = False
    revokes: bool = False
    untrusts: bool = False
    reduced: bool = False
    told: bool = True


RULES: Final = {
    ChangeKind.CONTACT_ADDED: ChangeRule(proves=True, undo=UNDO_LASTS, untrusts=True),
    ChangeKind.CONTACT_REPLACED: ChangeRule(proves=True, undo=UNDO_LASTS, reduced=True, untrusts=True),
    ChangeKind.CONTACT_PRIMARY: ChangeRule(undo=UNDO_LASTS, untrusts=True),
    ChangeKind.CONTACT_REMOVED: ChangeRule(undo=UNDO_LASTS, reduced=True, untrusts=True),
    ChangeKind.PASSWORD_CHANGED: ChangeRule(undo=UNDO_LASTS, closes=True, revokes=True, untrusts=True),
    ChangeKind.PASSWORD_RECOVERED: ChangeRule(undo=UNDO_LASTS, closes=True, revokes=True, untrusts=True),
    ChangeKind.METHOD_ADDED: ChangeRule(undo=UNDO_LASTS, untrusts=True),
    ChangeKind.METHOD_REMOVED: ChangeRule(undo=UNDO_LASTS, reduced=True, untrusts=True),
    ChangeKind.RECOVERY_CODES_MADE: ChangeRule(undo=UNDO_LASTS, reduced=True, untrusts=True),
    ChangeKind.BROWSER_REMOVED: ChangeRule(told=False),
    ChangeKind.INTEGRATION_CODE_MADE: ChangeRule(reduced=True),
    ChangeKind.INTEGRATION_CODE_ROTATED: ChangeRule(reduced=True),
    ChangeKind.INTEGRATION_CODE_REVOKED: ChangeRule(told=False),
    ChangeKind.ACCESS_RECOVERED: ChangeRule(waits=WAIT, undo=UNDO_LASTS, revokes=True, untrusts=True),
}
"""Every kind of change, as one table."""


class ChangeEffect(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an applied change did, by ids: undoing it ends what it added, and brings back what it ended.

    `primary` is the contact that was the primary one before, where that changed.
    """

    contacts_added: tuple[str, ...] = ()
    contacts_ended: tuple[str, ...] = ()
    factors_added: tuple[str, ...] = ()
    factors_ended: tuple[str, ...] = ()
    primary: str = ""


class AccountChange(msgspec.Struct, frozen=True):
    """One change; times in ms.

    `session` is the id of the session that asked (empty: from outside), `blind` what its new contact is found by, `about` what people are
    shown (a mask, a name), `data` what is needed to apply it (sealed). A pending one waits until `until`; an applied one can be undone
    until then. `remind_at` is when its waiting is told again.
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

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"AccountChange({self.id}, {self.kind.value}, {self.state.value})"

    def state_at(self, now: int) -> ChangeState:
        """Return the state as it is at `now`."""
        if self.state is ChangeState.PENDING and now >= self.until:
            return ChangeState.EXPIRED
        return self.state

    def undoable(self, now: int) -> bool:
        """Say whether it can still be undone by itself."""
        return self.revertible(now) and not RULES[self.kind].closes

    def revertible(self, now: int) -> bool:
        """Say whether closing the account still takes it back: a password too, so that what its owner knows is worth something again."""
        return self.state is ChangeState.APPLIED and now < self.until

    @property
    def due_at(self) -> int:
        """Return when a change that waits may be finished."""
        return self.asked_at + RULES[self.kind].waits


class ChangeRefusal(StrEnum):
    """Why a change is not made."""

    UNKNOWN = "unknown"
    LAST_CONTACT = "last_contact"
    ALREADY_YOURS = "already_yours"
    ANOTHERS = "anothers"
    TOO_MANY = "too_many"
    REDUCED = "reduced"
    NOT_PENDING = "not_pending"
    TOO_EARLY = "too_early"


class AccountSnapshot(msgspec.Struct, frozen=True):
    """What an account has, ended ones left out."""

    account: Account
    contacts: tuple[OwnedContact, ...]
    authenticators: tuple[Authenticator, ...]

    @property
    def strong(self) -> bool:
        """Say whether a factor is enrolled that codes by mail and phone do not stand in for."""
        return any(factor.kind in STRONG_KINDS for factor in self.authenticators)

    @property
    def recovery_codes(self) -> int:
        """Return how many recovery codes are left."""
        return sum(factor.kind is AuthenticatorKind.RECOVERY_CODE for factor in self.authenticators)


def check_change(
    kind: ChangeKind, which: str, blind_index: bytes, holdings: AccountSnapshot, now: int
) -> ChangeRefusal | None:
    """Say why an account cannot be changed so, or None. `which` is the contact or factor it is about, `blind` a new contact."""
    if RULES[kind].reduced and now < holdings.account.reduced_until:
        return ChangeRefusal.REDUCED
    match kind:
        case ChangeKind.CONTACT_ADDED | ChangeKind.CONTACT_REPLACED:
            return _new_contact(kind, which, blind_index, holdings)
        case ChangeKind.CONTACT_PRIMARY | ChangeKind.CONTACT_REMOVED:
            return _old_contact(kind, which, holdings)
        case ChangeKind.METHOD_ADDED | ChangeKind.METHOD_REMOVED:
            return _method(kind, which, holdings)
        case _:
            return None


def _new_contact(kind: ChangeKind, which: str, blind_index: bytes, holdings: AccountSnapshot) -> ChangeRefusal | None:
    if kind is ChangeKind.CONTACT_REPLACED and all(contact.id != which for contact in holdings.contacts):
        return ChangeRefusal.UNKNOWN
    if any(contact.blind_index == blind_index for contact in holdings.contacts):
        return ChangeRefusal.ALREADY_YOURS
    return ChangeRefusal.TOO_MANY if len(holdings.contacts) >= MOST_CONTACTS else None


def _old_contact(kind: ChangeKind, which: str, holdings: AccountSnapshot) -> ChangeRefusal | None:
    found = next((contact for contact in holdings.contacts if contact.id == which), None)
    if found is None:
        return ChangeRefusal.UNKNOWN
    if kind is ChangeKind.CONTACT_PRIMARY:
        return ChangeRefusal.ALREADY_YOURS if found.primary else None
    return ChangeRefusal.LAST_CONTACT if len(holdings.contacts) == 1 else None


def _method(kind: ChangeKind, which: str, holdings: AccountSnapshot) -> ChangeRefusal | None:
    strong = [factor.id for factor in holdings.authenticators if factor.kind in STRONG_KINDS]
    if kind is ChangeKind.METHOD_REMOVED:
        return None if which in strong else ChangeRefusal.UNKNOWN
    return ChangeRefusal.TOO_MANY if len(strong) >= MOST_FACTORS else None


def max_accounts(kind: ContactKind) -> int:
    """Return how many accounts one contact may serve."""
    return MOST_ACCOUNTS if kind is ContactKind.PHONE else 1


def may_recover(contact: OwnedContact, now: int) -> bool:
    """Say whether a contact recovers its account alone: it is proved, and not too new (semantics A2)."""
    return contact.ended_at is None and contact.proved_at is not None and now >= contact.settled_at
