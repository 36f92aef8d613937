"""Reads and writes accounts, their contacts, and the contacts that people sign in with."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.store.engine.database import Change, Insert, Sql, Take, Update, Write
from countersign.store.tables.deletion import delete_rows
from countersign.store.tables.row_mapper import RowMapper
from countersign.store.tables.schema import ACCOUNTS, CONTACTS, IDENTIFIERS

ACCOUNT_ROWS: Final = RowMapper(ACCOUNTS, Account)
CONTACT_ROWS: Final = RowMapper(CONTACTS, OwnedContact, columns={"blind_index": "blind", "primary": "is_primary"})


async def find(account_id: str) -> Account | None:
    """Return an account, or None."""
    rows = await Sql(f"SELECT {ACCOUNTS.names} FROM accounts WHERE id = $1", (account_id,))
    return ACCOUNT_ROWS.from_row(rows[0]) if rows else None


async def has_any() -> bool:
    """Return True if there is an account. It reads nothing that a revision has changed."""
    return bool(await Sql("SELECT id FROM accounts LIMIT 1"))


async def find_by_identifier(blind_index: bytes) -> Account | None:
    """Return the account that a contact signs in to, by the contact's blind index."""
    columns = ", ".join(f"a.{name}" for name, _ in ACCOUNTS.columns)
    rows = await Sql(
        f"SELECT {columns} FROM identifiers i JOIN accounts a ON a.id = i.account WHERE i.blind = $1", (blind_index,)
    )
    return ACCOUNT_ROWS.from_row(rows[0]) if rows else None


async def find_id_by_identifier(blind_index: bytes) -> str:
    """Return the id of the account that a contact signs in to; empty if there is none."""
    rows = await Sql("SELECT account FROM identifiers WHERE blind = $1", (blind_index,))
    return rows[0][0] if rows else ""


async def find_with_contacts(account_id: str) -> tuple[Account | None, list[OwnedContact]]:
    """Return an account and its contacts, as `list_contacts` returns them."""
    account = await find(account_id)
    return account, (await list_contacts(account_id))


async def find_with_contacts_by_identifier(*blind_indexes: bytes) -> tuple[Account | None, list[OwnedContact]]:
    """Return the account that a contact signs in to, and its contacts. The first of its `blind_indexes` that is known decides.

    The same statements run whether or not there is such an account, so their duration does not reveal it.
    """
    found = [await find_by_identifier(one) for one in blind_indexes]
    account = next((one for one in found if one is not None), None)
    return account, (await list_contacts(account.id if account else ""))


async def list_contacts(account_id: str) -> list[OwnedContact]:
    """Return the contacts of an account: the primary one first, the others in the order they were added."""
    rows = await Sql(
        f"SELECT {CONTACTS.names} FROM contacts WHERE account = $1 AND ended_at IS NULL ORDER BY is_primary DESC, added_at, id",
        (account_id,),
    )
    return [CONTACT_ROWS.from_row(row) for row in rows]


async def list_all_contacts(account_id: str) -> list[OwnedContact]:
    """Return the contacts of an account in the order they were added, with removed ones that an undo may bring back."""
    rows = await Sql(f"SELECT {CONTACTS.names} FROM contacts WHERE account = $1 ORDER BY added_at, id", (account_id,))
    return [CONTACT_ROWS.from_row(row) for row in rows]


async def count_owners(blind_index: bytes) -> int:
    """Return how many accounts have a contact, by the contact's blind index."""
    rows = await Sql("SELECT count(*) FROM contacts WHERE blind = $1 AND ended_at IS NULL", (blind_index,))
    count: int = rows[0][0]
    return count


async def list_deletions_due(now: int, limit: int) -> list[str]:
    """Return the ids of at most `limit` accounts whose deletion was due by `now` (ms), the longest first."""
    rows = await Sql(
        "SELECT id FROM accounts WHERE deletion_at IS NOT NULL AND deletion_at <= $1 ORDER BY deletion_at LIMIT $2",
        (now, limit),
    )
    return [row[0] for row in rows]


async def list_waiting_deletions(after: str, limit: int) -> list[str]:
    """Return the ids of accounts that wait to be deleted: at most `limit`, those after the id `after`."""
    rows = await Sql(
        "SELECT id FROM accounts WHERE deletion_at IS NOT NULL AND id > $1 ORDER BY id LIMIT $2", (after, limit)
    )
    return [row[0] for row in rows]


async def lock(account_id: str) -> Account | None:
    """Return an account, locked until the transaction ends, so that changes of one account follow one another."""
    rows = await Take(ACCOUNTS, [(account_id,)])
    return ACCOUNT_ROWS.from_row(rows[0]) if rows else None


def insert(account: Account, contact: OwnedContact) -> tuple[Change, ...]:
    """Return the changes that insert an account and the first contact that it signs in with.

    The write raises ConflictError if that contact already signs in to an account.
    """
    return (
        Insert(ACCOUNTS, [ACCOUNT_ROWS.to_row(account)]),
        insert_contact(contact),
        insert_identifier(contact),
    )


def update(account: Account) -> Change:
    """Return the change that updates an account."""
    return Update(ACCOUNTS, [ACCOUNT_ROWS.to_update_row(account)])


def insert_contact(contact: OwnedContact) -> Change:
    """Return the change that inserts a contact."""
    return Insert(CONTACTS, [CONTACT_ROWS.to_row(contact)])


def update_contact(contact: OwnedContact) -> Change:
    """Return the change that updates a contact."""
    return Update(CONTACTS, [CONTACT_ROWS.to_update_row(contact)])


def insert_identifier(contact: OwnedContact) -> Change:
    """Return the change that lets a contact sign in.

    The write raises ConflictError if the contact already signs in to an account.
    """
    return Insert(IDENTIFIERS, [(contact.blind_index, contact.account, contact.id)])


async def delete_identifier(contact: OwnedContact) -> None:
    """End signing in with a contact."""
    await Sql("DELETE FROM identifiers WHERE blind = $1 AND account = $2", (contact.blind_index, contact.account))


async def replace_password(account_id: str, before: bytes, after: bytes) -> bool:
    """Replace a sealed password hash with a stronger one of the same password; return False if the password has changed meanwhile."""
    rows = await Take(ACCOUNTS, [(account_id,)])
    if not rows:
        return False
    found = ACCOUNT_ROWS.from_row(rows[0])
    if found.password != before:
        return False
    await Write((update(msgspec.structs.replace(found, password=after)),), last=True)
    return True


async def clear_recovered_by(account_id: str, contact: str) -> None:
    """Record that the owner has signed in by something other than the contact that recovered the account."""
    await Sql(
        "UPDATE accounts SET recovered_by = '' WHERE id = $1 AND recovered_by <> '' AND recovered_by <> $2",
        (account_id, contact),
    )


async def delete_removed_contacts(before: int, limit: int) -> int:
    """Delete at most `limit` contacts that were removed before `before` (ms); return how many were deleted."""
    return await delete_rows(CONTACTS, "ended_at < $1", (before,), order_by="ended_at", limit=limit)
