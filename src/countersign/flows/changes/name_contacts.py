"""Name the contacts in what a user approves: the new one whole, the others so that they can be told apart (semantics A10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.flows.accounts.contact_names import contact_names
from countersign.messages.content.change_names import change_name, contact_summary

if TYPE_CHECKING:
    from countersign.domain.accounts.change import AccountChange
    from countersign.domain.accounts.session import Session
    from countersign.domain.shared.contact import Contact
    from countersign.flows.accounts.context import AccountContext
    from countersign.messages.language.catalogue import Language


async def contact_request(
    context: AccountContext,
    session: Session,
    language: Language,
    kind: ChangeKind,
    target: str,
    contact: Contact | None = None,
) -> ChangeRequest:
    """Return the request to change a contact of the account of a session.

    `language` is that of the account, `target` the id of the contact that is replaced, removed or made the primary one, and `contact` a new
    one. The masks of old contacts are the same before and after a proof, because the summary is part of what is approved.
    """
    names = await contact_names(context, session)
    before, stored = names.mask_of(target), names.stored.get(target, "")
    if contact is None:
        return ChangeRequest(
            kind,
            target,
            stored,
            contact_summary(kind, language, before, ""),
            masked_summary=contact_summary(kind, language, stored, ""),
        )
    return ChangeRequest(
        kind,
        target,
        contact.masked,
        contact_summary(kind, language, before, contact.address),
        contact,
        masked_summary=contact_summary(kind, language, stored, contact.masked),
    )


async def undo_summary(
    context: AccountContext, session: Session, change: AccountChange | None, language: Language
) -> tuple[str, str]:
    """Return what a user approves who undoes a change, and the same as it is stored, with every contact masked."""
    if change is None:
        return "", ""
    names = await contact_names(context, session)
    about = replace(names, shown=names.masks).of_change(change)
    whole, masked = (
        language.say("Undo: {what}", what=change_name(change, language, one)) for one in (about, change.about)
    )
    return whole, masked if whole != masked else ""
