"""Accounts and their contacts as rows."""

from __future__ import annotations

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.shared.contact import Kind
from countersign.store.engine.database import Change, Insert, Query, Row, Steps, Take, Update, Write
from countersign.store.tables.schema import ACCOUNTS, CONTACTS, IDENTIFIERS


def find(account_id: str) -> Steps[Account | None]:
    """Return an account, or None."""
    rows = yield Query(f"SELECT {ACCOUNTS.names} FROM accounts WHERE id = $1", (account_id,))
    return _of_row(rows[0]) if rows else None


def find_by_identifier(blind: bytes) -> Steps[Account | None]:
    """Return the account that a contact signs in to, by the contact's keyed hash."""
    columns = ", ".join(f"a.{name}" for name, _ in ACCOUNTS.columns)
    rows = yield Query(
        f"SELECT {columns} FROM identifiers i JOIN accounts a ON a.id = i.account WHERE i.blind = $1", (blind,)
    )
    return _of_row(rows[0]) if rows else None


def contacts_of(account_id: str) -> Steps[list[OwnedContact]]:
    """Return an account's contacts, the primary first, then as they were added."""
    rows = yield Query(
        f"SELECT {CONTACTS.names} FROM contacts WHERE account = $1 AND ended_at IS NULL ORDER BY is_primary DESC, added_at, id",
        (account_id,),
    )
    return [contact_of_row(row) for row in rows]


def person(account_id: str) -> Steps[tuple[Account | None, list[OwnedContact]]]:
    """Return an account and its contacts."""
    account = yield from find(account_id)
    return account, (yield from contacts_of(account_id))


def identified(blind: bytes) -> Steps[tuple[Account | None, list[OwnedContact]]]:
    """Return the account that a contact signs in to, and its contacts; as much is read where there is none."""
    account = yield from find_by_identifier(blind)
    return account, (yield from contacts_of(account.id if account else ""))


def added(account: Account, contact: OwnedContact) -> tuple[Change, ...]:
    """Return the changes that add an account with its first contact, by which it signs in; a contact that signs in already conflicts."""
    return (
        Insert(ACCOUNTS, [tuple(getattr(account, name) for name, _ in ACCOUNTS.columns)]),
        Insert(CONTACTS, [contact_row(contact)]),
        Insert(IDENTIFIERS, [(contact.blind, account.id, contact.id)]),
    )


def another(contact: OwnedContact) -> Change:
    """Return the change that adds a further contact."""
    return Insert(CONTACTS, [contact_row(contact)])


def set_password(account_id: str, before: bytes, after: bytes) -> Steps[bool]:
    """Replace a sealed password hash by a stronger one of the same password; False if it has changed meanwhile."""
    rows = yield Take(ACCOUNTS, [(account_id,)])
    if not rows:
        return False
    found = _of_row(rows[0])
    if found.password != before:
        return False
    yield Write((changed(msgspec.structs.replace(found, password=after)),), last=True)
    return True


def taken(account_id: str) -> Steps[Account | None]:
    """Return an account that nobody else changes until the transaction ends: its changes are made one after the other."""
    rows = yield Take(ACCOUNTS, [(account_id,)])
    return _of_row(rows[0]) if rows else None


def changed(account: Account) -> Change:
    """Return the change of an account that is there."""
    return Update(ACCOUNTS, [(account.id, *(getattr(account, name) for name, _ in ACCOUNTS.moving))])


def contact_changed(contact: OwnedContact) -> Change:
    """Return the change of a contact that is there."""
    return Update(
        CONTACTS,
        [
            (
                contact.account,
                contact.id,
                contact.proved_at,
                int(contact.primary),
                contact.settled_at,
                contact.ended_at,
            )
        ],
    )


def contacts_ever(account_id: str) -> Steps[list[OwnedContact]]:
    """Return an account's contacts, those too that were removed and may come back."""
    rows = yield Query(f"SELECT {CONTACTS.names} FROM contacts WHERE account = $1 ORDER BY added_at, id", (account_id,))
    return [contact_of_row(row) for row in rows]


def holders(blind: bytes) -> Steps[int]:
    """Return how many accounts have a contact, by its keyed hash."""
    rows = yield Query("SELECT count(*) FROM contacts WHERE blind = $1 AND ended_at IS NULL", (blind,))
    count: int = rows[0][0]
    return count


def signs_in_to(blind: bytes) -> Steps[str]:
    """Return the id of the account that a contact signs in to; empty if none."""
    rows = yield Query("SELECT account FROM identifiers WHERE blind = $1", (blind,))
    return rows[0][0] if rows else ""


def is_back(account_id: str, contact: str) -> Steps[None]:
    """Write down that the owner is in again by something other than the contact that recovered the account."""
    yield Query(
        "UPDATE accounts SET recovered_by = '' WHERE id = $1 AND recovered_by <> '' AND recovered_by <> $2",
        (account_id, contact),
    )


def identifier_added(contact: OwnedContact) -> Change:
    """Return the change by which a contact signs in from now on; one that signs in elsewhere conflicts."""
    return Insert(IDENTIFIERS, [(contact.blind, contact.account, contact.id)])


def identifier_ended(contact: OwnedContact) -> Steps[None]:
    """Have a contact sign in no more."""
    yield Query("DELETE FROM identifiers WHERE blind = $1 AND account = $2", (contact.blind, contact.account))


def forget_contacts(before: int, most: int) -> Steps[int]:
    """Delete contacts that were removed before `before` (ms), at most `most`; return how many went."""
    rows = yield Query(
        "SELECT account, id FROM contacts WHERE ended_at < $1 ORDER BY ended_at LIMIT $2", (before, most)
    )
    for account, id_ in rows:
        yield Query("DELETE FROM contacts WHERE account = $1 AND id = $2", (account, id_))
    return len(rows)


def contact_of_row(row: Row) -> OwnedContact:
    """Return the contact that a whole row holds."""
    account, id_, added_at, kind, blind, address, masked, proved_at, primary, settled_at, ended_at = row
    return OwnedContact(
        account,
        id_,
        added_at,
        Kind(kind),
        bytes(blind),
        bytes(address),
        masked,
        proved_at,
        primary=bool(primary),
        settled_at=settled_at,
        ended_at=ended_at,
    )


def contact_row(contact: OwnedContact) -> Row:
    """Return the whole row of a contact."""
    return (
        contact.account,
        contact.id,
        contact.added_at,
        contact.kind.value,
        contact.blind,
        contact.address,
        contact.masked,
        contact.proved_at,
        int(contact.primary),
        contact.settled_at,
        contact.ended_at,
    )


def _of_row(row: Row) -> Account:
    id_, created_at, name, locale, password, *rest = row
    return Account(id_, created_at, bytes(name), locale, bytes(password), *rest)
