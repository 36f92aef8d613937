"""Deletes everything that is stored of one account."""

from __future__ import annotations

from typing import Final

from countersign.domain.delivery.notice import NOTICE_PREFIX
from countersign.store.engine.database import Sql
from countersign.store.tables import accounts, activity

_BY_ACCOUNT: Final = ("sessions", "devices", "tokens", "changes", "factors", "credentials", "activity", "contacts")
"""Tables whose rows belong to one account, by their column `account`."""
_CHALLENGE_PREFIX: Final = "ver_"


async def delete_account(account_id: str) -> dict[str, str | int]:
    """Delete an account and all that belongs to it; return how many sessions, contacts and messages it had. Lock the account before.

    The messages go with their challenges, deliveries and attempts. What is left elsewhere: counters by keyed hash, the event log, and login
    flows, which nothing finds by their account, and which end within half an hour.
    """
    for contact in await accounts.list_all_contacts(account_id):
        await accounts.delete_identifier(contact)
    messages = await _list_messages(account_id)
    for owner in messages:
        table = "notices" if owner.startswith(NOTICE_PREFIX) else "challenges"
        await Sql("DELETE FROM attempts WHERE owner = $1", (owner,))
        await Sql("DELETE FROM deliveries WHERE owner = $1", (owner,))
        await Sql(f"DELETE FROM {table} WHERE id = $1", (owner,))
    counts: dict[str, str | int] = {"messages": len(messages)}
    for table in _BY_ACCOUNT:
        rows = await Sql(f"DELETE FROM {table} WHERE account = $1 RETURNING account", (account_id,))
        if table in {"sessions", "contacts"}:
            counts[table] = len(rows)
    await Sql("DELETE FROM accounts WHERE id = $1", (account_id,))
    return counts


async def _list_messages(account_id: str) -> list[str]:
    """Return the ids of the challenges and notices of which the account was sent messages."""
    notices = await Sql("SELECT id FROM notices WHERE account = $1", (account_id,))
    listed = await activity.list_messages(account_id)
    challenges = {one for one in listed if one.startswith(_CHALLENGE_PREFIX)}
    return sorted({row[0] for row in notices} | challenges)
