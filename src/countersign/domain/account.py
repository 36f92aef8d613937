"""An account: a person's name, password and contacts, each kept so that a stolen database tells nothing."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.contact import Channel, Kind

MAX_NAME: Final = 80
"""Characters of a person's name."""


class Account(msgspec.Struct, frozen=True):
    """A person's account; times in ms. `name` and `password` (a PHC string) are sealed."""

    id: str
    created_at: int
    name: bytes
    locale: str
    password: bytes
    password_at: int
    disabled_at: int | None = None

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Account({self.id})"


class OwnedContact(msgspec.Struct, frozen=True):
    """A contact of an account. `blind` is the keyed hash it is found by, `address` is sealed. Unproved, it gets nothing but its proof."""

    account: str
    id: str
    added_at: int
    kind: Kind
    blind: bytes
    address: bytes
    masked: str
    proved_at: int | None = None
    primary: bool = False

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"OwnedContact({self.id}, {self.masked})"


class Way(msgspec.Struct, frozen=True):
    """One way to receive a code: a proved contact, by its id and mask, and the channel."""

    contact: str
    channel: Channel
    masked: str


def is_name(name: str) -> bool:
    """Say whether a person may be called so: 1 to MAX_NAME printable characters that are not all blank."""
    return 0 < len(name.strip()) <= MAX_NAME and name.isprintable()
