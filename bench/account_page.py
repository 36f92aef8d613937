"""An account's page: what it reads, for an account of one contact, and for one with many contacts and browsers and a long past."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from bench.ledger import chain_of, house_at
from bench.meter import Figure, figure
from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.device import Device
from countersign.domain.accounts.risk import RiskPolicy
from countersign.domain.shared.activity import MAX_SHOWN, Activity
from countersign.domain.shared.contact import parse_contact
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.activity import recent
from countersign.flows.accounts.context import AccountContext
from countersign.flows.accounts.sessions import overview_of
from countersign.passwords import Passwords
from countersign.store.engine.database import Change, Write
from countersign.store.ledger.event_log import Log
from countersign.store.tables import accounts, activity, devices

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTACTS: Final = 20
DEVICES: Final = 50
HAPPENED: Final = 10_000


async def opened(folder: Path, seconds: float) -> tuple[Figure, Figure]:
    """Return how often the overview and the activity of an empty account and of a full one are read, in turns, on SQLite."""
    async with house_at(f"sqlite:///{folder}/account-page.db") as core:
        passwords = Passwords(1)
        context = AccountContext(core, Log(chain_of(core.keyring)), passwords, RiskPolicy(), 8, ())
        try:
            empty, full = await _account(context, 1, 1, 10), await _account(context, CONTACTS, DEVICES, HAPPENED)
            took: dict[str, list[float]] = {empty: [], full: []}
            until = time.perf_counter() + 2 * seconds
            while time.perf_counter() < until:
                for account, times in took.items():
                    began = time.perf_counter()
                    assert await overview_of(context, account) is not None  # noqa: S101
                    await recent(context, account, MAX_SHOWN)
                    times.append(time.perf_counter() - began)
        finally:
            passwords.close()
    names = {empty: "an empty account", full: f"{CONTACTS} contacts, {DEVICES} browsers, {HAPPENED:,} events"}
    first, second = (figure(names[account], 1, sum(times), times, {}) for account, times in took.items())
    return first, second


async def _account(context: AccountContext, contacts: int, browsers: int, happened: int) -> str:
    """Make an account of that size; return its id."""
    account, now = context.id("acc"), context.now()
    row = Account(account, now, context.keyring.seal("Ada", account), "en", context.keyring.seal("none", account), now)
    owned = [_contact(context, account, number, now) for number in range(contacts)]
    rows: list[Change] = [*accounts.insert(row, owned[0]), *map(accounts.insert_contact, owned[1:])]
    rows += [devices.upsert(_device(context, account, now)) for _ in range(browsers)]
    await context.database.run(_written, rows)
    for start in range(0, happened, 500):
        events = [
            Activity(account, context.id("act"), now, EventKind.SIGN_IN_COMPLETED, {"user_agent": "Firefox"})
            for _ in range(start, min(happened, start + 500))
        ]
        await context.database.run(_written, activity.insert(events))
    await asyncio.sleep(0)
    return account


def _contact(context: AccountContext, account: str, number: int, now: int) -> OwnedContact:
    id_, mail = context.id("con"), parse_contact(f"a{number}-{account[-6:]}@example.org")
    sealed = context.keyring.seal(mail.address, id_)
    return OwnedContact(
        account, id_, now, mail.kind, context.blind_index(mail), sealed, mail.masked, now, primary=number == 0
    )


def _device(context: AccountContext, account: str, now: int) -> Device:
    device = Device(
        account, context.token_hash(context.secret()), context.id("dev"), now, "Firefox", now, "203.0.113.9", ""
    )
    return msgspec.structs.replace(device, trusted_at=now)


async def _written(rows: Sequence[Change]) -> None:
    for row in rows:
        await Write((row,))
