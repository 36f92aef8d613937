"""The contacts of an account as its signed-in owner is shown them (semantics A10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from countersign.domain.accounts.contact_names import sees_whole, telling_masks
from countersign.domain.shared.contact import Contact, stored_contact
from countersign.flows.accounts.snapshot import find_history, find_snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.domain.accounts.account import AccountSnapshot, OwnedContact
    from countersign.domain.accounts.change import AccountChange
    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import AccountContext


class ContactNames(msgspec.Struct, frozen=True):
    """What a session is shown of each contact of its account, removed ones too.

    `whole` says whether these are the addresses themselves. `masks` tell the contacts apart and hide most of them, whatever the session has
    proved: what is approved is named by them, because it must read the same before and after a proof. `stored` are the masks that stand in
    the database, which anybody may see.
    """

    whole: bool = False
    shown: dict[str, str] = {}
    masks: dict[str, str] = {}
    stored: dict[str, str] = {}
    by_index: dict[bytes, str] = {}
    by_mask: dict[str, list[str]] = {}

    def of(self, contact_id: str) -> str:
        """Return what is shown of a contact; empty if the account has none with this id."""
        return self.shown.get(contact_id, "")

    def mask_of(self, contact_id: str) -> str:
        """Return the mask of a contact; empty if the account has none with this id."""
        return self.masks.get(contact_id, "")

    def of_stored(self, masked: str, blind_index: bytes | None = None) -> str:
        """Return what is shown of a contact that was stored by its mask, and by its blind index if that is known; else the mask."""
        found = self.by_index.get(blind_index or b"")
        if found is None and len(alike := self.by_mask.get(masked, [])) == 1:
            found = alike[0]
        return self.shown.get(found or "", masked)

    def of_change(self, change: AccountChange) -> str:
        """Return what is shown of the contact that a change is about; what it is about otherwise, if that is no contact."""
        contacts = (*change.effect.contacts_added, *change.effect.contacts_ended)
        found = next((self.shown[one] for one in contacts if one in self.shown), "")
        return found or self.of_stored(change.about, change.blind_index)

    def __repr__(self) -> str:
        """Hide the contacts."""
        return "ContactNames(hidden)"


def opened(context: AccountContext, contact: OwnedContact) -> Contact:
    """Return a contact of an account unsealed, to send a message to it or to show it to its owner."""
    return stored_contact(context.keyring.unseal(contact.address, contact.id))


def own_masks(context: AccountContext, contacts: Sequence[OwnedContact]) -> dict[str, str]:
    """Return a mask for each contact, by its id, so that no two are alike."""
    oldest_first = sorted(contacts, key=lambda one: (one.added_at, one.id))
    masks = telling_masks([opened(context, contact) for contact in oldest_first])
    return {contact.id: mask for contact, mask in zip(oldest_first, masks, strict=True)}


async def contact_names(context: AccountContext, session: Session) -> ContactNames:
    """Return what a session is shown of the contacts of its account: whole ones after a proof, otherwise masks that differ."""
    found = await context.database.read(_find, session.account)
    if found is None:
        return ContactNames()
    snapshot, history = found
    return _names(context, session, strong=snapshot.strong, contacts=history.contacts)


async def _find(account_id: str) -> tuple[AccountSnapshot, AccountSnapshot] | None:
    snapshot = await find_snapshot(account_id)
    return None if snapshot is None else (snapshot, await find_history(snapshot.account))


def _names(
    context: AccountContext, session: Session, *, strong: bool, contacts: Sequence[OwnedContact]
) -> ContactNames:
    whole = sees_whole(session, strong=strong, now=context.now())
    masks = own_masks(context, contacts)
    by_mask: dict[str, list[str]] = {}
    for contact in contacts:
        by_mask.setdefault(contact.masked, []).append(contact.id)
    return ContactNames(
        whole=whole,
        shown={one.id: opened(context, one).address for one in contacts} if whole else masks,
        masks=masks,
        stored={one.id: one.masked for one in contacts},
        by_index={one.blind_index: one.id for one in contacts},
        by_mask=by_mask,
    )
