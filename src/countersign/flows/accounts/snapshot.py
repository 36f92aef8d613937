"""Holdings: what an account has, read as a whole, and taken so that its changes are made one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.accounts.change import Holdings
from countersign.store.tables import accounts, authenticators

if TYPE_CHECKING:
    from countersign.store.engine.database import Steps


def held(account_id: str) -> Steps[Holdings | None]:
    """Return what an account has; None if there is no such account."""
    account, contacts = yield from accounts.person(account_id)
    if account is None:
        return None
    return Holdings(account, tuple(contacts), tuple((yield from authenticators.of_account(account_id))))


def taken(account_id: str) -> Steps[Holdings | None]:
    """Return what an account has, and let nobody else change it until the transaction ends: no two removals leave it with nothing."""
    account = yield from accounts.taken(account_id)
    if account is None:
        return None
    contacts = yield from accounts.contacts_of(account_id)
    return Holdings(account, tuple(contacts), tuple((yield from authenticators.of_account(account_id))))
