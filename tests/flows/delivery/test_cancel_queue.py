"""Canceling what is queued: one application's messages end, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from tests.clock import SECOND
from tests.flows.place import BANK, SHOP, Place, place_at, refused

from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.application import ApplicationDraft, ApplicationMode
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import ChallengeState, Refusal
from countersign.errors import DeliveryFailedError
from countersign.flows.delivery import cancel_queue as module
from countersign.flows.delivery.cancel_queue import cancel_queued
from countersign.flows.delivery.claim import claim_due
from countersign.flows.delivery.send import record_results, send
from countersign.flows.maintenance.applications import (
    ApplicationDirectory,
    add_application,
    application_id,
    remove_application,
    resume_application,
    suspend_application,
)
from countersign.store.tables import events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.clock import FixedClock

    from countersign.domain.shared.application import Application

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)
OTHER = msgspec.structs.replace(BANK, mode=ApplicationMode.LIVE)


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with one carrier for live keys: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first",)) as opened:
        yield opened


async def added(place: Place, name: str = "shop") -> tuple[Application, str]:
    draft = ApplicationDraft(name, ApplicationMode.LIVE)
    return await add_application(
        place.database, place.delivery.receipts, place.keyring, draft, place.clock(), place.core.random_bytes
    )


async def cancel(place: Place, application: Application, channel: str = "") -> int:
    log = place.delivery.receipts
    return await cancel_queued(place.database, log, application.id, place.clock, "ada", channel)


async def test_what_is_queued_ends_as_canceled_and_only_that_of_one_application(
    live: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D10, O10: in small transactions, with each message in the log, and who did it."""
    monkeypatch.setattr(module, "BATCH", 2)
    begun = [await live.begun(f"p{n}@example.org", application=LIVE) for n in range(5)]
    await live.change("UPDATE deliveries SET queue = '', application = '' WHERE owner = $1", begun[0].id)
    kept = await live.begun("ada@example.org", application=OTHER)
    assert await cancel(live, LIVE) == 5
    for challenge in begun:
        (delivery,) = await live.deliveries(challenge)
        assert (delivery.state, delivery.reason, delivery.ended) == (DeliveryState.DROPPED, Reason.CANCELED, True)
        assert (await live.kinds(challenge))[EventKind.DELIVERY_DROPPED] == 1
        assert (await live.stored(challenge)).state is ChallengeState.PENDING
    told = [one for one in await live.database.read(events.list_between, 0, 1 << 62) if one.owner == LIVE.id]
    assert [(one.kind, one.facts) for one in told] == [
        (EventKind.QUEUE_CANCELED, {"count": 5, "channel": "all", "by": "ada"})
    ]
    assert await live.deliver() == 1
    assert (await live.deliveries(kept))[0].state is DeliveryState.ACCEPTED


async def test_one_channel_can_be_canceled_alone(live: Place) -> None:
    mail, sms = await live.begun("p@example.org", application=LIVE), await live.begun("+491701234567", application=LIVE)
    assert await cancel(live, LIVE, "sms") == 1
    assert (await live.deliveries(sms))[0].reason is Reason.CANCELED
    assert (await live.deliveries(mail))[0].state is DeliveryState.QUEUED


async def test_a_suspended_application_begins_nothing_and_nothing_is_sent_for_it(live: Place) -> None:
    """D10: what a process queued before it heard of it too, and what failed while it was handed over."""
    shop, key = await added(live)
    challenge = await live.begun("ada@example.org", application=shop)
    under_way = await live.begun("bob@example.org", application=shop)
    (parcel,) = await claim_due(live.delivery, 1)
    log = live.delivery.receipts
    suspended = await suspend_application(live.database, log, "shop", live.clock(), "ada")
    directory = ApplicationDirectory(live.database, live.keyring, live.clock)
    assert await directory.authenticate(key) == suspended
    assert refused(await live.begin("eve@example.org", application=suspended)).refusal is Refusal.APPLICATION_SUSPENDED
    assert refused(await live.resend(challenge, application=suspended)).refusal is Refusal.APPLICATION_SUSPENDED
    await live.begun("late@example.org", application=shop)  # by a process that has not read it yet
    live.carriers["first"].words.append(DeliveryFailedError("unreachable", permanent=False))
    await record_results(live.delivery, [await send(live.delivery, parcel)])
    live.clock.forward(2 * SECOND)
    assert await live.deliver() == 0
    assert len(live.carriers["first"].sent) == 1
    for one in (challenge, under_way):
        (delivery,) = await live.deliveries(one)
        assert (delivery.state, delivery.reason) == (DeliveryState.DROPPED, Reason.CANCELED)
    resumed = await resume_application(live.database, log, "shop", live.clock(), "ada")
    assert resumed.suspended_at is None
    await live.begun("eve@example.org", application=resumed)
    assert await live.deliver() == 1
    kinds = [one for one in await live.database.read(events.list_between, 0, 1 << 62) if one.owner == shop.id]
    assert [(one.kind, one.facts.get("by")) for one in kinds[1:]] == [
        (EventKind.APPLICATION_SUSPENDED, "ada"),
        (EventKind.APPLICATION_RESUMED, "ada"),
    ]


async def test_what_a_removed_application_has_queued_is_not_sent(live: Place) -> None:
    """D10: a leaked key stops at once, and what it asked for costs nothing."""
    shop, _ = await added(live)
    begun = [await live.begun(f"p{n}@example.org", application=shop) for n in range(3)]
    await remove_application(live.database, live.delivery.receipts, "shop", live.clock(), "ada")
    assert await live.deliver() == 0
    assert {(await live.deliveries(one))[0].reason for one in begun} == {Reason.CANCELED}
    assert live.carriers["first"].sent == []
    assert await application_id(live.database, shop.id) == shop.id
