"""Snapshots of an account: read as a whole, or locked so that its changes are made one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.accounts.account import AccountSnapshot
from countersign.store.tables import accounts, authenticators

if TYPE_CHECKING:
    from countersign.domain.accounts.account import Account


async def find_snapshot(account_id: str) -> AccountSnapshot | None:
    """Return an account with its active contacts and authenticators; None if there is no such account.

    The same statements run in both cases, so their duration does not reveal whether there is an account (semantics R1).
    """
    account, contacts = await accounts.find_with_contacts(account_id)
    active = await authenticators.list_active(account_id)
    return AccountSnapshot(account, tuple(contacts), tuple(active)) if account is not None else None


async def lock_snapshot(account_id: str) -> AccountSnapshot | None:
    """Return the same as `find_snapshot`, and lock the account until the transaction ends.

    So two removals at the same moment never leave it without a contact.
    """
    account = await accounts.lock(account_id)
    contacts = await accounts.list_contacts(account_id)
    active = await authenticators.list_active(account_id)
    return AccountSnapshot(account, tuple(contacts), tuple(active)) if account is not None else None


async def find_history(account: Account) -> AccountSnapshot:
    """Return an account with all its contacts and authenticators, ended ones too."""
    contacts = await accounts.list_all_contacts(account.id)
    return AccountSnapshot(account, tuple(contacts), tuple(await authenticators.list_all(account.id)))
