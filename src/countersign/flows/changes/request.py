"""Wanted: a change as a person wants it, and the proof that it asks for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from countersign.domain.accounts.authenticator import Authenticator
from countersign.domain.accounts.change import AccountSnapshot, ChangeKind
from countersign.domain.accounts.integration_code import IntegrationCode
from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.shared.contact import Contact
from countersign.domain.verifications.challenge import Action

if TYPE_CHECKING:
    from countersign.flows.accounts.context import AccountContext


class ChangeRequest(msgspec.Struct, frozen=True):
    """A change as a person wants it, with the rows that it adds ready made.

    `which` is the id of the contact, factor, browser or integration code that it is about; `summary` says in the person's own language
    what is approved, and stands in the message; `about` is the mask or name that it is shown by afterwards.
    """

    kind: ChangeKind
    which: str = ""
    about: str = ""
    summary: str = ""
    contact: Contact | None = None
    password: str = ""
    authenticators: tuple[Authenticator, ...] = ()
    credential: IntegrationCode | None = None

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"Wanted({self.kind.value})"


class PendingContact(msgspec.Struct, frozen=True):
    """What a pending change keeps, sealed, until it is proved."""

    which: str
    to: str


def requirement_of(context: AccountContext, wanted: ChangeRequest, holdings: AccountSnapshot) -> ProofRequirement:
    """Return the proof that a change asks for: fresh, for this very act, and not by the contact that goes (semantics A1, U2).

    Where a factor is enrolled that codes by mail and phone do not stand in for, they do not here either.
    """
    contact = context.blind_index(wanted.contact).hex() if wanted.contact is not None else ""
    told = f"{wanted.kind.value}\0{wanted.which}\0{wanted.about}\0{contact}"
    action = Action(wanted.summary, hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest())
    goes = wanted.kind in {ChangeKind.CONTACT_REPLACED, ChangeKind.CONTACT_REMOVED}
    level = Level.APP_CODE if holdings.strong else Level.MAIL_CODE
    return ProofRequirement(level, None, action, wanted.which if goes else "")
