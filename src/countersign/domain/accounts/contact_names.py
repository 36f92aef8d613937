"""What the owner of an account is shown of its contacts: whole after a proof, otherwise just enough to tell them apart.

Pages that anybody can open show the narrower mask of `Contact.masked`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.session import Level, ProofRequirement, Session, satisfies
from countersign.domain.shared.contact import ContactKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.domain.shared.contact import Contact

_ELLIPSIS: Final = "\u2026"
_LEAST_HIDDEN: Final = 2
"""Characters of a local part that a mask hides at least."""


def whole_requirement(*, strong: bool) -> ProofRequirement:
    """Return what a session must have proved to see contacts whole (semantics A10).

    A password and a trusted browser are not enough: whoever has a stolen browser learns no address to write to. `strong`: the account has
    an authenticator app or a passkey, which codes do not stand in for.
    """
    return ProofRequirement(Level.APP_CODE if strong else Level.MAIL_CODE)


def sees_whole(session: Session, *, strong: bool, now: int) -> bool:
    """Return True if a session may see contacts whole at `now` (ms), for as long as the level lasts that its proof gave."""
    return satisfies(session, whole_requirement(strong=strong), now)


def telling_mask(contact: Contact) -> str:
    """Return a mask by which an owner knows a contact: `jo\u202657@example.org`, `+1415***0123`."""
    if contact.kind is ContactKind.PHONE:
        return contact.masked
    local, _, domain = contact.address.rpartition("@")
    shown = min(4, max(0, len(local) - _LEAST_HIDDEN))
    first, last = max(1, (shown + 1) // 2), shown // 2
    return f"{local[:first]}{_ELLIPSIS}{local[-last:] if last else ''}@{domain}"


def telling_masks(contacts: Sequence[Contact]) -> list[str]:
    """Return the masks of an account's contacts, no two alike: those that would be are numbered in their order."""
    masks = [telling_mask(contact) for contact in contacts]
    return [
        f"{mask} ({masks[: place + 1].count(mask)})" if masks.count(mask) > 1 else mask
        for place, mask in enumerate(masks)
    ]
