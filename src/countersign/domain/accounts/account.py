"""An account: a person's name, password and contacts, each kept so that a stolen database tells nothing."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts.authenticator import STRONG_KINDS, Authenticator, AuthenticatorKind
from countersign.domain.shared.contact import Channel, ContactKind

MAX_NAME: Final = 80
"""Characters of a person's name."""


class Account(msgspec.Struct, frozen=True):
    """A person's account; times in ms. `name` and `password` (a PHC string) are sealed.

    `locked_at`: somebody said that it was not them, and no password opens it until a new one came through recovery. `reduced_until`:
    after a recovery nothing that the owner would miss can be taken away until then, and `recovered_by` names the contact that recovered
    it, which alone is no second proof meanwhile. `checked_at` is when the person last said that the contacts are theirs.
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

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Account({self.id})"

    @property
    def open(self) -> bool:
        """Say whether its password lets anybody in."""
        return self.disabled_at is None and self.locked_at is None


class OwnedContact(msgspec.Struct, frozen=True):
    """A contact of an account; times in ms. `blind` is the keyed hash it is found by, `address` is sealed.

    Until `settled_at` it cannot recover the account alone (semantics A2). One with `ended_at` was removed, and is kept while that can
    be undone. Only proved contacts have a row (semantics A7).
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
    """One way to receive a code: a proved contact, by its id and mask, and the channel."""

    contact: str
    channel: Channel
    masked: str


def is_name(name: str) -> bool:
    """Say whether a person may be called so: 1 to MAX_NAME printable characters that are not all blank."""
    return 0 < len(name.strip()) <= MAX_NAME and name.isprintable()


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
    def recovery_codes(self) -> int:
        """Return how many recovery codes are left."""
        return sum(one.kind is AuthenticatorKind.RECOVERY_CODE for one in self.authenticators)
