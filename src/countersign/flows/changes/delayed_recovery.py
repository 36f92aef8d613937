"""Claim: who lost everything proves a new contact and waits, while every contact is told and can stop it (semantics R5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.change import CLAIM_LASTS, DAY, WAIT, AccountChange, ChangeKind, ChangeState
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import parse
from countersign.domain.shared.event import Event, EventKind
from countersign.flows.accounts.activity_log import record
from countersign.flows.accounts.context import Browser, Gate, Gone
from countersign.flows.accounts.notify import notices_to
from countersign.flows.accounts.snapshot import held
from countersign.flows.changes.request import Kept
from countersign.store.engine.database import Write
from countersign.store.tables import changes, login_flows

if TYPE_CHECKING:
    from countersign.flows.accounts.login_flow import Kept as KeptVisit

REMIND_EVERY: Final = DAY

_encode: Final = msgspec.json.Encoder().encode


class Waiting(msgspec.Struct, frozen=True):
    """If there is such an account, its wait has begun; from `due_at` (ms) on it can be finished with the new contact."""

    due_at: int


async def claim(gate: Gate, browser: Browser, kept: KeptVisit) -> Waiting | Gone:
    """Begin the wait, now that the new contact is proved; the browser is told the same where there is no such account (semantics R1)."""
    visit, now = kept.visit, gate.now()
    contact = parse(visit.to)
    id_ = gate.id("chg")
    pending = AccountChange(
        account=visit.account,
        id=id_,
        kind=ChangeKind.ACCESS_RECOVERED,
        asked_at=now,
        session="",
        blind=gate.blind(contact),
        about=contact.masked,
        data=gate.keyring.seal(_encode(Kept("", contact.address)).decode(), id_),
        user_agent=browser.user_agent,
        place=gate.place(browser.ip),
        state=ChangeState.PENDING,
        until=now + WAIT + CLAIM_LASTS,
        remind_at=now + REMIND_EVERY,
    )
    begun = await gate.log.run(gate.database, _begin, gate, browser, kept.mark, pending)
    return Waiting(pending.due_at) if begun else Gone()


async def _begin(gate: Gate, browser: Browser, visit: bytes, pending: AccountChange) -> bool:
    if not (await login_flows.take(visit)):
        return False
    holdings = await held(pending.account)
    if holdings is None:
        return True
    told = Event(
        pending.asked_at,
        EventKind.CHANGE_ASKED,
        gate.own.id,
        pending.account,
        {"change": pending.id, "kind": pending.kind.value, "about": pending.about},
    )
    recorded = await record(gate, [told], browser, pending.place)
    notices = notices_to(
        gate,
        holdings.account,
        holdings.contacts,
        NoticeKind.ACCESS_ASKED,
        browser=browser,
        place=pending.place,
        now=pending.asked_at,
        facts={"change": pending.id, "about": pending.about},
    )
    await Write((changes.added(pending), *notices, *recorded), last=True)
    return True


async def remind(gate: Gate) -> int:
    """Tell every contact of the accounts that are waited for, once a day; return how many were told of."""
    now, told = gate.now(), 0
    for pending in await gate.database.read(changes.to_remind, now, 100):
        told += await gate.database.run(_remind, gate, pending, now)
    if told:
        gate.database.announce()
    return told


async def _remind(gate: Gate, pending: AccountChange, now: int) -> int:
    before = await changes.find(pending.account, pending.id)
    if before is None or before.remind_at != pending.remind_at or before.state_at(now) is not ChangeState.PENDING:
        if before is not None and before.remind_at is not None and now >= before.until:
            await Write((changes.saved(msgspec.structs.replace(before, remind_at=None)),), last=True)
        return 0
    holdings = await held(pending.account)
    if holdings is None:
        return 0
    notices = notices_to(
        gate,
        holdings.account,
        holdings.contacts,
        NoticeKind.ACCESS_WAITS,
        browser=Browser(user_agent=before.user_agent),
        place=before.place,
        now=now,
        facts={"change": before.id, "about": before.about},
    )
    after = msgspec.structs.replace(before, remind_at=now + REMIND_EVERY)
    await Write((changes.saved(after), *notices), last=True)
    return 1
