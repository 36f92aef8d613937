"""Holdings: what an account has, read as a whole, and taken so that its changes are made one after the other."""

from __future__ import annotations

from countersign.domain.accounts.change import Holdings
from countersign.store.tables import accounts, authenticators


async def held(account_id: str) -> Holdings | None:
    """Return what an account has; None if there is no such account."""
    account, contacts = await accounts.person(account_id)
    if account is None:
        return None
    return Holdings(account, tuple(contacts), tuple(await authenticators.of_account(account_id)))


async def taken(account_id: str) -> Holdings | None:
    """Return what an account has, and let nobody else change it until the transaction ends: no two removals leave it with nothing."""
    account = await accounts.taken(account_id)
    if account is None:
        return None
    contacts = await accounts.contacts_of(account_id)
    return Holdings(account, tuple(contacts), tuple(await authenticators.of_account(account_id)))
