"""Accounts: name, password, contacts and authenticators, stored so that a stolen database reveals none of them."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts.authenticator import STRONG_KINDS, Authenticator, AuthenticatorKind
from countersign.domain.accounts.deletion import DeletionRequest
from countersign.domain.accounts.recovery import RecoveryRecord
from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.shared.typed_name import read_name

MAX_NAME: Final = 80
"""Characters of a user's name."""


class Account(msgspec.Struct, frozen=True):
    """An account; times in milliseconds since the epoch. `name` and `password` (a PHC string) are sealed.

    - `locked_at`: a contact reported "this wasn't me". No password signs in until a new one is set by a recovery.
    - `reduced_until`: after a delayed recovery, nothing that the former owner would miss can be removed until then.
    - `recovered_by`: id of the contact that recovered the account. It alone is no second factor for a while.
    - `checked_at`: when the user last confirmed the contacts.
    - `recovery`: what is remembered of locks, reopenings and delayed recoveries.
    - `epoch`: how often a password, lock, recovery, contact or authenticator was changed. What was made in an earlier epoch counts for
      nothing (semantics A8).
    - `timezone`: the IANA name of the time zone that messages are written in; empty if it is not known.
    - `deletion_at`: when the account is to be deleted, at the wish of its owner; `deletion`: that wish.
    """

    id: str
    created_at: int
    name: bytes
    locale: str
    password: bytes
    password_at: int
    disabled_at: int | None = None
    locked_at: int | None = None
    reduced_until: int = 0
    recovered_by: str = ""
    checked_at: int = 0
    recovery: RecoveryRecord = RecoveryRecord()
    epoch: int = 0
    timezone: str = ""
    deletion_at: int | None = None
    deletion: DeletionRequest = DeletionRequest()

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Account({self.id})"

    @property
    def open(self) -> bool:
        """Return True if the account is neither disabled nor locked."""
        return self.disabled_at is None and self.locked_at is None


class OwnedContact(msgspec.Struct, frozen=True):
    """A contact of an account; times in milliseconds since the epoch. `blind_index` finds it, and `address` is sealed.

    It cannot recover the account alone before `settled_at` (semantics A2). One with `ended_at` was removed, and is kept while that can
    be undone. Only proved contacts are stored (semantics A7).
    """

    account: str
    id: str
    added_at: int
    kind: ContactKind
    blind_index: bytes
    address: bytes
    masked: str
    proved_at: int | None = None
    primary: bool = False
    settled_at: int = 0
    ended_at: int | None = None

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"OwnedContact({self.id}, {self.masked})"


class ContactMethod(msgspec.Struct, frozen=True):
    """A way to receive a code: a proved contact, by its id and mask, and the channel."""

    contact: str
    channel: Channel
    masked: str


def is_name(name: str) -> bool:
    """Return True if a name that was typed is one, with 1 to MAX_NAME characters that are not all blank."""
    return read_name(name, MAX_NAME) != ""


class AccountSnapshot(msgspec.Struct, frozen=True):
    """An account with its contacts and authenticators. A history has the ended ones too."""

    account: Account
    contacts: tuple[OwnedContact, ...]
    authenticators: tuple[Authenticator, ...]

    @property
    def active_contacts(self) -> tuple[OwnedContact, ...]:
        """Return the contacts that have not ended."""
        return tuple(contact for contact in self.contacts if contact.ended_at is None)

    @property
    def strong(self) -> bool:
        """Return True if an authenticator is enrolled that codes by mail and phone do not stand in for."""
        return any(one.kind in STRONG_KINDS for one in self.authenticators)

    @property
    def keeps_codes_first(self) -> bool:
        """Return True if an app or a passkey counts only once its user has kept recovery codes (semantics A11)."""
        kept = any(one.kind is AuthenticatorKind.RECOVERY_CODE and not one.unkept for one in self.authenticators)
        return not self.strong and not kept

    @property
    def recovery_codes(self) -> int:
        """Return how many recovery codes are left."""
        return sum(one.kind is AuthenticatorKind.RECOVERY_CODE for one in self.authenticators)
