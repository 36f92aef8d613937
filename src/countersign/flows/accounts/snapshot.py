"""Holdings: what an account has, read as a whole, and taken so that its changes are made one after the other."""

from __future__ import annotations

from countersign.domain.accounts.change import AccountSnapshot
from countersign.store.tables import accounts, authenticators


async def find_snapshot(account_id: str) -> AccountSnapshot | None:
    """Return what an account has; None if there is no such account."""
    account, contacts = await accounts.find_with_contacts(account_id)
    if account is None:
        return None
    return AccountSnapshot(account, tuple(contacts), tuple(await authenticators.list_active(account_id)))


async def lock_snapshot(account_id: str) -> AccountSnapshot | None:
    """Return what an account has, and let nobody else change it until the transaction ends: no two removals leave it with nothing."""
    account = await accounts.lock(account_id)
    if account is None:
        return None
    contacts = await accounts.list_contacts(account_id)
    return AccountSnapshot(account, tuple(contacts), tuple(await authenticators.list_active(account_id)))
