"""Threat: somebody has the owner's range of numbers held by codes that anybody may ask for, and takes the account while nothing is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import CARRIER, ada
from tests.flows.place import OWN
from tests.threats.test_notices_are_a_bomb import claims, works

from countersign.domain.accounts.notice_budget import CRITICAL
from countersign.domain.delivery.delivery import Delivery, DeliveryState
from countersign.domain.delivery.notice import LIFETIME, Notice, NoticeKind
from countersign.domain.delivery.sms_pumping import ALLOWANCES
from countersign.domain.delivery.sms_traffic import TrafficScope
from countersign.domain.shared.contact import Channel, ContactKind
from countersign.flows.accounts.notify import notice_delivery
from countersign.store.engine.database import Write
from countersign.store.tables import deliveries, notices, sms_traffic

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+37254500000"
MINUTE = 60_000


async def holds_the_range(place: Place) -> None:
    """Ask for codes to the numbers beside the owner's, as a sign-up does, and enter none."""
    for n in range(1, ALLOWANCES[TrafficScope.THOUSAND] + 2):
        await place.begin(f"+37254500{n:03d}", purpose="sign_up", application=OWN, subject=f"s{n}")
        await works(place)
    assert await place.database.read(sms_traffic.list_blocks, place.clock()), "the range is held"


def told(place: Place) -> int:
    """Count what the owner's telephone got."""
    return sum(one.to == PHONE for one in place.carriers[CARRIER].sent)


async def waits(place: Place, hours: int) -> None:
    """Let time pass, with a worker at work."""
    for _ in range(hours * 4):
        place.clock.forward(15 * MINUTE)
        await works(place)


async def test_a_recovery_that_begins_during_a_hold_is_told_when_the_hold_ends(home: Place) -> None:
    """R5, L1: 21 codes without an answer kept the only message about the recovery back for good."""
    await ada(home, PHONE)
    await works(home)
    await holds_the_range(home)
    before = told(home)
    await claims(home, 1, PHONE)
    await works(home)
    assert told(home) == before, "nothing passes a hold (L4)"
    await waits(home, 1)
    assert told(home) == before + 1


async def owes(place: Place, kind: NoticeKind) -> Notice:
    """Owe the owner's telephone a notice, as the flows of accounts do."""
    id_, now = place.accounts.id("ntc"), place.clock()
    sealed = place.keyring.seal(PHONE, id_)
    made = Notice(id_, "acc_1", OWN.id, kind, sealed, ContactKind.PHONE, "+37***00", "en", {}, now, now + LIFETIME)

    async def owe() -> None:
        owed = notice_delivery(place.accounts, made.id, Channel.SMS, PHONE, now)
        await Write((*notices.insert([made]), *deliveries.insert([owed])), last=True)

    await place.database.run(owe)
    return made


async def delivery_of(place: Place, notice: Notice) -> Delivery:
    """Return the one message of a notice."""
    [found] = await place.database.read(deliveries.list_by_owner, notice.id)
    return found


@pytest.mark.parametrize("kind", sorted({*CRITICAL, NoticeKind.ACCESS_ASKED, NoticeKind.ACCESS_WAITS}))
async def test_what_can_cost_the_account_waits_for_the_end_of_a_hold(home: Place, kind: NoticeKind) -> None:
    """L1, L4: it is not sent while the hold lasts, and once after it."""
    await holds_the_range(home)
    sent = len(home.carriers[CARRIER].sent)
    notice = await owes(home, kind)
    for _ in range(14):
        await works(home)
        found = await delivery_of(home, notice)
        assert found.state is DeliveryState.QUEUED
        assert found.attempts == 0
        home.clock.forward(MINUTE)
    assert len(home.carriers[CARRIER].sent) == sent
    for _ in range(30):
        home.clock.forward(MINUTE)
        await works(home)
    assert len(home.carriers[CARRIER].sent) == sent + 1


async def test_what_costs_nobody_the_account_does_not_wait(home: Place) -> None:
    """L4: somebody who is paid for messages cannot have them sent later either."""
    await holds_the_range(home)
    notice = await owes(home, NoticeKind.NEW_DEVICE)
    await works(home)
    assert (await delivery_of(home, notice)).state is DeliveryState.FAILED


async def test_what_waits_passes_the_gate_again_and_ends(home: Place) -> None:
    """L4: what waits for an allowance is judged each time, and is not sent when it is a week old."""
    allowance = ALLOWANCES[TrafficScope.PREFIX]
    sent = len(home.carriers[CARRIER].sent)
    owed = [await owes(home, NoticeKind.PASSWORD_CHANGED) for _ in range(allowance + 5)]
    await works(home)
    assert len(home.carriers[CARRIER].sent) == sent + allowance
    home.clock.forward(LIFETIME)
    await works(home)
    states = [(await delivery_of(home, one)).state for one in owed]
    assert states.count(DeliveryState.DROPPED) == 5
    assert len(home.carriers[CARRIER].sent) == sent + allowance
