"""The label of an account in authenticator apps and in the chooser of passkeys: what tells it apart from the owner's other accounts."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.domain.accounts.account import OwnedContact
from countersign.domain.shared.contact import Contact


def labelling_contact(contacts: Sequence[OwnedContact]) -> OwnedContact | None:
    """Return the contact by which an account is labelled: the primary one, else the first that works; None if there is none."""
    working = [one for one in contacts if one.ended_at is None]
    return next((one for one in working if one.primary), working[0] if working else None)


def authenticator_label(contact: Contact | None) -> str:
    """Return the label: the whole address or number.

    An app overwrites an entry that has the same issuer and label, so a masked address would let one account replace another. It is for the
    owner alone, who is signed in and has proved it.
    """
    return contact.written if contact is not None else ""
