"""Somebody makes a form send to numbers whose revenue he shares: he is stopped, told nothing of use, and honest people get through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.people import CARRIER
from tests.flows.place import SHOP, UNLIMITED, Place, place_at

from countersign.domain.delivery.delivery import Accepted, DeliveryState, Reason, Receipt, ReceiptState
from countersign.domain.delivery.sms_pumping import ALLOWANCES, FIRST_HOLD, PumpingPolicy
from countersign.domain.delivery.sms_pumping import PumpingMode as Breaker
from countersign.domain.delivery.sms_traffic import HOUR, MINUTE, TrafficScope
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import Challenge
from countersign.errors import DeliveryFailedError
from countersign.flows.delivery.claim import claim_due
from countersign.flows.delivery.conversions import record_conversions
from countersign.flows.delivery.receipts import record_receipt
from countersign.messages.content.hints import hint
from countersign.store.engine.database import Sql
from countersign.store.tables import events, sms_traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.clock import FixedClock

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)
OTHER = msgspec.structs.replace(LIVE, id="app_other")
MOST = ALLOWANCES[TrafficScope.PREFIX]


@pytest.fixture
async def site(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place that sends to phones: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=(CARRIER,)) as opened:
        yield opened


def policed(place: Place, policy: PumpingPolicy) -> Place:
    """Return the place under another policy."""
    core = place.delivery.core
    core = msgspec.structs.replace(core, policy=msgspec.structs.replace(core.policy, pumping=policy))
    place.delivery = msgspec.structs.replace(place.delivery, core=core)
    return place


def number(n: int, prefix: str = "+37254") -> str:
    """Return the nth of numbers that lie far apart within one prefix."""
    return f"{prefix}{5_000_000 + n * 10_007 % 1_000_000:07d}"[:12]


async def pump(place: Place, count: int, *, start: int = 0) -> list[Challenge]:
    """Ask for codes to numbers of one prefix, and have them sent, five at a time."""
    begun: list[Challenge] = []
    for n in range(start, start + count):
        begun.append(await place.begun(number(n), application=LIVE, subject=f"s{n}"))
        if n % 5 == 4 or n == start + count - 1:
            while await place.deliver():
                pass
    return begun


async def come_back(place: Place, begun: list[Challenge]) -> None:
    """Type codes rightly, and have that counted."""
    for challenge in begun:
        await place.answer(challenge, place.code(challenge), LIVE)
    await record_conversions(place.delivery)


async def reasons(place: Place, begun: list[Challenge]) -> list[Reason | None]:
    """Return why each message was not sent."""
    return [(await place.deliveries(challenge))[0].reason for challenge in begun]


async def test_a_prefix_that_nothing_comes_back_from_is_stopped_and_the_reason_kept(site: Place) -> None:
    """D7: not one message more than the allowance goes."""
    begun = await pump(site, MOST + 20)
    assert len(site.carriers[CARRIER].sent) == MOST
    held = (await site.deliveries(begun[-1]))[0]
    assert (held.state, held.reason, held.attempts) == (DeliveryState.FAILED, Reason.HELD_BACK, 0)
    (block,) = await site.database.read(sms_traffic.list_blocks, 0)
    assert (block.application, block.place, block.country, block.rule) == (LIVE.id, "+372545", "EE", "allowance")
    assert block.until - block.since == FIRST_HOLD
    assert f"{MOST} messages" in block.figures
    told = [
        one for one in await site.database.read(events.list_between, 0, 1 << 62) if one.kind is EventKind.PREFIX_HELD
    ]
    assert [(one.owner, one.facts["why"]) for one in told] == [("+372545", block.figures)]


async def test_the_attacker_is_answered_like_anybody_and_the_person_is_shown_another_way(site: Place) -> None:
    """D7."""
    begun = await pump(site, MOST + 1)
    later = await site.begin(number(500), application=LIVE)
    assert type(later).__name__ == "Done"
    held = (await site.deliveries(begun[-1]))[0]
    said = hint(held.state, held.reason, held.channel, "en")
    assert said is not None
    assert "another way" in said
    assert "fraud" not in said.lower()


async def test_a_prefix_whose_codes_come_back_goes_on(site: Place) -> None:
    """D7."""
    for batch in range(6):
        await come_back(site, (await pump(site, MOST - 5, start=batch * MOST))[: MOST - 10])
        site.clock.now += MINUTE
    assert len(site.carriers[CARRIER].sent) == 6 * (MOST - 5)
    assert await site.database.read(sms_traffic.list_blocks, 0) == []


async def test_another_tenant_and_another_country_are_not_held(site: Place) -> None:
    """D7."""
    await pump(site, MOST + 1)
    before = len(site.carriers[CARRIER].sent)
    await site.begun(number(900), application=OTHER)
    await site.begun("+491701234567", application=LIVE)
    await site.deliver()
    assert len(site.carriers[CARRIER].sent) == before + 2


async def test_after_a_hold_a_few_are_tried_and_the_next_hold_is_twice_as_long(site: Place) -> None:
    """D7."""
    await pump(site, MOST + 1)
    site.clock.now += FIRST_HOLD
    probes = PumpingPolicy().probes
    await pump(site, probes + 5, start=100)
    assert len(site.carriers[CARRIER].sent) == MOST + probes
    site.clock.now += 8 * MINUTE
    await pump(site, 5, start=200)
    assert len(site.carriers[CARRIER].sent) == MOST + probes
    latest = (await site.database.read(sms_traffic.list_blocks, 0))[0]
    assert (latest.times, latest.until - latest.since) == (2, 2 * FIRST_HOLD)


async def test_honest_people_open_a_prefix_again(site: Place) -> None:
    """D7."""
    await pump(site, MOST + 1)
    site.clock.now += FIRST_HOLD
    for batch in range(4):
        await come_back(site, await pump(site, 3, start=100 + 10 * batch))
    assert len(site.carriers[CARRIER].sent) == MOST + 12


async def test_a_lifted_prefix_is_sent_to_at_once(site: Place) -> None:
    """D7."""
    await pump(site, MOST + 1)
    lifted = await site.database.run(sms_traffic.lift_blocks, "+372545", None, site.clock.now)
    assert [block.place for block in lifted] == ["+372545"]
    await pump(site, 1, start=100)
    assert len(site.carriers[CARRIER].sent) == MOST + 1


async def test_numbers_one_after_the_other_are_stopped_while_the_prefix_goes_on(site: Place) -> None:
    """D7: the range of a thousand is held, not everybody beside it."""
    most = ALLOWANCES[TrafficScope.THOUSAND]
    for n in range(most + 10):
        await site.begun(f"+491701234{n:03d}", application=LIVE, subject=f"s{n}")
    while await site.deliver():
        pass
    assert len(site.carriers[CARRIER].sent) == most
    await site.begun("+491707654321", application=LIVE)
    await site.deliver()
    assert len(site.carriers[CARRIER].sent) == most + 1


async def test_what_no_provider_took_is_not_held_against_the_place(site: Place) -> None:
    """D7: a provider that is down must not close a prefix."""
    for _ in range(MOST + 5):
        site.carriers[CARRIER].words.append(
            DeliveryFailedError(Reason.MISCONFIGURED, "The account is closed.", permanent=True)
        )
    failed = await pump(site, MOST + 5)
    assert set(await reasons(site, failed)) == {Reason.MISCONFIGURED}
    assert await site.database.read(sms_traffic.list_blocks, 0) == []
    await pump(site, MOST + 5, start=200)
    assert len(site.carriers[CARRIER].sent) == MOST + 5 + MOST


async def test_what_a_provider_may_have_sent_stays_counted(site: Place) -> None:
    """D7: a slow provider hides no pumping. Nobody knows whether a message went whose last provider did not answer in time."""
    for _ in range(MOST + 5):
        site.carriers[CARRIER].words.append(DeliveryFailedError(Reason.TIMED_OUT, "No answer.", permanent=True))
    slow = await pump(site, MOST + 5)
    assert (await reasons(site, slow))[0] is Reason.TIMED_OUT
    assert set((await reasons(site, slow))[MOST:]) == {Reason.HELD_BACK}
    assert len(site.carriers[CARRIER].sent) == MOST


async def test_what_one_provider_took_stays_counted_although_the_next_did_not(
    database_url: str, tmp_path: Path, clock: FixedClock
) -> None:
    """D7: a provider that takes messages and reports each as lost hides no pumping."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first", "second")) as site:
        for n in range(MOST):
            site.carriers["first"].words.append(Accepted(f"first-{n}", receipt_within=MINUTE))
            site.carriers["second"].words.append(DeliveryFailedError("refused", permanent=True))
            challenge = await site.begun(number(n), application=LIVE, subject=f"s{n}")
            await site.deliver()
            assert await record_receipt(
                site.delivery, Receipt("first", f"first-{n}", ReceiptState.UNDELIVERED, Reason.PROVIDER_ERROR)
            )
            await site.deliver()
            assert (await site.deliveries(challenge))[0].state is DeliveryState.FAILED
        assert await reasons(site, await pump_one(site, MOST)) == [Reason.HELD_BACK]


async def pump_one(place: Place, n: int) -> list[Challenge]:
    """Ask for one more code, and have it sent."""
    begun = [await place.begun(number(n), application=LIVE, subject=f"s{n}")]
    await place.deliver()
    return begun


async def test_no_number_is_kept_of_what_is_counted(site: Place) -> None:
    """C8: ranges are keyed hashes."""
    await site.begun("+491701234567", application=LIVE)
    await site.deliver()
    rows = await site.database.read(_all_places)
    assert "+49170" in rows
    assert not any("4917012" in place for place in rows)


async def test_shadow_lets_through_and_writes_down_what_it_would_have_done(site: Place) -> None:
    """D7."""
    policed(site, PumpingPolicy(mode=Breaker.SHADOW))
    await pump(site, MOST + 5)
    assert len(site.carriers[CARRIER].sent) == MOST + 5
    (block,) = await site.database.read(sms_traffic.list_blocks, 0)
    assert block.shadow
    policed(site, PumpingPolicy())
    site.clock.now += MINUTE
    await pump(site, 1, start=400)
    (held, _) = await site.database.read(sms_traffic.list_blocks, 0)
    assert not held.shadow, "what the shadow held is not held when the breaker is switched on, but judged anew"


async def test_off_counts_nothing(site: Place) -> None:
    policed(site, PumpingPolicy(mode=Breaker.OFF))
    await pump(site, MOST + 5)
    assert len(site.carriers[CARRIER].sent) == MOST + 5
    assert await site.count("traffic") == 0


async def test_test_keys_and_mail_are_never_counted(site: Place) -> None:
    for n in range(MOST + 5):
        await site.begun(number(n), application=SHOP, subject=f"s{n}")
        await site.begun(f"ada{n}@example.org", application=LIVE, subject=f"m{n}")
    while await site.deliver():
        pass
    assert len(site.inbox.sent) == MOST + 5
    assert len(site.carriers[CARRIER].sent) == MOST + 5
    assert await site.count("traffic") == 0


@pytest.mark.parametrize("budget", [1, 13])
async def test_four_workers_cannot_spend_beyond_a_budget(
    database_url: str, tmp_path: Path, clock: FixedClock, budget: int
) -> None:
    """D7: the budget holds to the message, however many claim at once."""
    policy = PumpingPolicy(messages={TrafficScope.APPLICATION: budget})
    rules = msgspec.structs.replace(UNLIMITED, pumping=policy)
    async with (
        place_at(database_url, tmp_path, clock=clock, live=(CARRIER,), rules=rules) as one,
        place_at(database_url, tmp_path, clock=clock, live=(CARRIER,), rules=rules) as two,
        place_at(database_url, tmp_path, clock=clock, live=(CARRIER,), rules=rules) as three,
        place_at(database_url, tmp_path, clock=clock, live=(CARRIER,), rules=rules) as four,
    ):
        await asyncio.gather(
            *(one.begin(f"+4917{n % 10}7{n:06d}", application=LIVE, subject=f"s{n}") for n in range(40))
        )
        taken = await asyncio.gather(
            *(claim_due(place.delivery, 3) for _ in range(5) for place in (one, two, three, four))
        )
        assert sum(map(len, taken)) == budget
        assert clock.now % HOUR + MINUTE < HOUR


async def _all_places() -> list[str]:
    rows = await Sql("SELECT place FROM traffic")
    return [row[0] for row in rows]
