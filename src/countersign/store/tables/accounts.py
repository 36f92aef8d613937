"""Accounts and their contacts as rows."""

from __future__ import annotations

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.shared.contact import ContactKind
from countersign.store.engine.database import Change, Insert, Row, Sql, Take, Update, Write
from countersign.store.tables.schema import ACCOUNTS, CONTACTS, IDENTIFIERS


async def find(account_id: str) -> Account | None:
    """Return an account, or None."""
    rows = await Sql(f"SELECT {ACCOUNTS.names} FROM accounts WHERE id = $1", (account_id,))
    return _of_row(rows[0]) if rows else None


async def find_by_identifier(blind_index: bytes) -> Account | None:
    """Return the account that a contact signs in to, by the contact's keyed hash."""
    columns = ", ".join(f"a.{name}" for name, _ in ACCOUNTS.columns)
    rows = await Sql(
        f"SELECT {columns} FROM identifiers i JOIN accounts a ON a.id = i.account WHERE i.blind = $1", (blind_index,)
    )
    return _of_row(rows[0]) if rows else None


async def list_contacts(account_id: str) -> list[OwnedContact]:
    """Return an account's contacts, the primary first, then as they were added."""
    rows = await Sql(
        f"SELECT {CONTACTS.names} FROM contacts WHERE account = $1 AND ended_at IS NULL ORDER BY is_primary DESC, added_at, id",
        (account_id,),
    )
    return [contact_from_row(row) for row in rows]


async def find_with_contacts(account_id: str) -> tuple[Account | None, list[OwnedContact]]:
    """Return an account and its contacts."""
    account = await find(account_id)
    return account, (await list_contacts(account_id))


async def find_with_contacts_by_identifier(blind_index: bytes) -> tuple[Account | None, list[OwnedContact]]:
    """Return the account that a contact signs in to, and its contacts; as much is read where there is none."""
    account = await find_by_identifier(blind_index)
    return account, (await list_contacts(account.id if account else ""))


def insert(account: Account, contact: OwnedContact) -> tuple[Change, ...]:
    """Return the changes that add an account with its first contact, by which it signs in; a contact that signs in already conflicts."""
    return (
        Insert(ACCOUNTS, [tuple(getattr(account, name) for name, _ in ACCOUNTS.columns)]),
        Insert(CONTACTS, [contact_to_row(contact)]),
        Insert(IDENTIFIERS, [(contact.blind_index, account.id, contact.id)]),
    )


def insert_contact(contact: OwnedContact) -> Change:
    """Return the change that adds a further contact."""
    return Insert(CONTACTS, [contact_to_row(contact)])


async def replace_password(account_id: str, before: bytes, after: bytes) -> bool:
    """Replace a sealed password hash by a stronger one of the same password; False if it has changed meanwhile."""
    rows = await Take(ACCOUNTS, [(account_id,)])
    if not rows:
        return False
    found = _of_row(rows[0])
    if found.password != before:
        return False
    await Write((update(msgspec.structs.replace(found, password=after)),), last=True)
    return True


async def lock(account_id: str) -> Account | None:
    """Return an account that nobody else changes until the transaction ends: its changes are made one after the other."""
    rows = await Take(ACCOUNTS, [(account_id,)])
    return _of_row(rows[0]) if rows else None


def update(account: Account) -> Change:
    """Return the change of an account that is there."""
    return Update(ACCOUNTS, [(account.id, *(getattr(account, name) for name, _ in ACCOUNTS.moving))])


def update_contact(contact: OwnedContact) -> Change:
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


async def list_all_contacts(account_id: str) -> list[OwnedContact]:
    """Return an account's contacts, those too that were removed and may come back."""
    rows = await Sql(f"SELECT {CONTACTS.names} FROM contacts WHERE account = $1 ORDER BY added_at, id", (account_id,))
    return [contact_from_row(row) for row in rows]


async def count_owners(blind_index: bytes) -> int:
    """Return how many accounts have a contact, by its keyed hash."""
    rows = await Sql("SELECT count(*) FROM contacts WHERE blind = $1 AND ended_at IS NULL", (blind_index,))
    count: int = rows[0][0]
    return count


async def find_id_by_identifier(blind_index: bytes) -> str:
    """Return the id of the account that a contact signs in to; empty if none."""
    rows = await Sql("SELECT account FROM identifiers WHERE blind = $1", (blind_index,))
    return rows[0][0] if rows else ""


async def clear_recovered_by(account_id: str, contact: str) -> None:
    """Write down that the owner is in again by something other than the contact that recovered the account."""
    await Sql(
        "UPDATE accounts SET recovered_by = '' WHERE id = $1 AND recovered_by <> '' AND recovered_by <> $2",
        (account_id, contact),
    )


def insert_identifier(contact: OwnedContact) -> Change:
    """Return the change by which a contact signs in from now on; one that signs in elsewhere conflicts."""
    return Insert(IDENTIFIERS, [(contact.blind_index, contact.account, contact.id)])


async def delete_identifier(contact: OwnedContact) -> None:
    """Have a contact sign in no more."""
    await Sql("DELETE FROM identifiers WHERE blind = $1 AND account = $2", (contact.blind_index, contact.account))


async def delete_removed_contacts(before: int, most: int) -> int:
    """Delete contacts that were removed before `before` (ms), at most `most`; return how many went."""
    rows = await Sql("SELECT account, id FROM contacts WHERE ended_at < $1 ORDER BY ended_at LIMIT $2", (before, most))
    for account, id_ in rows:
        await Sql("DELETE FROM contacts WHERE account = $1 AND id = $2", (account, id_))
    return len(rows)


def contact_from_row(row: Row) -> OwnedContact:
    """Return the contact that a whole row holds."""
    account, id_, added_at, kind, blind_index, address, masked, proved_at, primary, settled_at, ended_at = row
    return OwnedContact(
        account,
        id_,
        added_at,
        ContactKind(kind),
        bytes(blind_index),
        bytes(address),
        masked,
        proved_at,
        primary=bool(primary),
        settled_at=settled_at,
        ended_at=ended_at,
    )


def contact_to_row(contact: OwnedContact) -> Row:
    """Return the whole row of a contact."""
    return (
        contact.account,
        contact.id,
        contact.added_at,
        contact.kind.value,
        contact.blind_index,
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
