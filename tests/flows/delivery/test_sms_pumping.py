"""The pumping check: which messages it applies to, what it counts, and how a held destination is named. Attacks are in tests/threats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from tests.clock import MINUTE
from tests.flows.place import OWN, SHOP, Place, place_at, query

from countersign.domain.delivery.delivery import DeliveryState, Reason, new_delivery
from countersign.domain.delivery.notice import LIFETIME, Notice, NoticeKind
from countersign.domain.delivery.sms_pumping import PumpingMode, PumpingPolicy, PumpingRule
from countersign.domain.delivery.sms_traffic import NEW_PREFIXES, TrafficScope
from countersign.domain.policy import INBOX
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.shared.phone_region import region_of
from countersign.errors import DeliveryFailedError
from countersign.flows.accounts.notify import notice_delivery
from countersign.flows.delivery.conversions import record_conversions
from countersign.flows.delivery.pumping_round import display_name
from countersign.flows.delivery.sms_pumping import destination_of, explain_pumping, is_counted
from countersign.store.engine.database import Sql, Write
from countersign.store.tables import deliveries, notices, sms_traffic
from countersign.store.tables.sms_traffic import Block

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.clock import FixedClock

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)
NUMBER = "+491701234567"
BLOCK = Block("app_shop", "+49170", 0, "prefix", "+49170", "DE", "allowance", "why", 1, False, 1)


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place with one carrier for live keys: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first",)) as opened:
        yield opened


async def counted(place: Place) -> tuple[int, int]:
    """Return the messages and conversions that are counted for the prefix of NUMBER."""

    async def read() -> tuple[int, int]:
        rows = await Sql("SELECT sent, converted FROM traffic WHERE place = $1", ("+49170",))
        return sum(row[0] for row in rows), sum(row[1] for row in rows)

    return await place.database.read(read)


async def test_a_message_is_counted_once_and_its_conversion_too(live: Place, clock: FixedClock) -> None:
    """D7."""
    challenge = await live.begun(NUMBER, application=LIVE)
    await live.deliver()
    assert await counted(live) == (1, 0)
    await live.answer(challenge, live.code(challenge), LIVE)
    clock.forward(MINUTE)
    for _ in range(2):
        await record_conversions(live.delivery)
    assert await counted(live) == (1, 1)


async def test_a_message_that_no_provider_accepted_is_not_counted(live: Place) -> None:
    live.carriers["first"].words.append(DeliveryFailedError("refused", permanent=True))
    await live.begun(NUMBER, application=LIVE)
    await live.deliver()
    assert await counted(live) == (0, 0)


async def tell(place: Place, to: str = NUMBER, kind: ContactKind = ContactKind.PHONE, times: int = 1) -> list[Notice]:
    """Owe notices to an address, as the account flows do."""
    made = []
    for _ in range(times):
        id_ = place.accounts.id("ntc")
        sealed, now = place.keyring.seal(to, id_), place.clock()
        facts: dict[str, str] = {}
        made.append(
            Notice(
                id_, "acc_1", OWN.id, NoticeKind.NEW_DEVICE, sealed, kind, "+49***67", "en", facts, now, now + LIFETIME
            )
        )

    async def owe() -> None:
        channel = Channel.SMS if kind is ContactKind.PHONE else Channel.EMAIL
        owed = [notice_delivery(place.accounts, one.id, channel, to, place.clock()) for one in made]
        await Write((*notices.insert(made), *deliveries.insert(owed)), last=True)

    await place.database.run(owe)
    return made


async def told(place: Place) -> tuple[int, int, int]:
    """Return the codes, the notices and the micros that are counted for the prefix of NUMBER in our own name."""
    rows = await place.database.read(
        query, "SELECT sent, notices, spent FROM traffic WHERE place = '+49170' AND application = $1", OWN.id
    )
    return sum(row[0] for row in rows), sum(row[1] for row in rows), sum(row[2] for row in rows)


async def test_a_notice_by_phone_is_counted_apart_and_costs_money(live: Place) -> None:
    """L4, D7: it spends the budgets, and takes no part in what conversions decide."""
    await tell(live)
    await tell(live, "ada@example.org", ContactKind.MAIL)
    await live.deliver()
    assert len(live.carriers["first"].sent) == 2
    assert await told(live) == (0, 1, PumpingPolicy().price)


async def test_a_notice_that_no_provider_accepted_is_not_counted(live: Place) -> None:
    """L4."""
    live.carriers["first"].words.append(DeliveryFailedError("refused", permanent=True))
    await tell(live)
    await live.deliver()
    assert await told(live) == (0, 0, 0)


async def test_notices_beyond_their_allowance_are_withheld_and_codes_go_on(live: Place) -> None:
    """L4, D7, D12: no block is written, each is counted, and the log says it once in an hour."""
    countries: list[str] = []
    live.delivery = msgspec.structs.replace(live.delivery, on_withheld=countries.append)
    policy = PumpingPolicy(allowances={**PumpingPolicy().allowances, TrafficScope.PREFIX: 3})
    core = msgspec.structs.replace(live.core, policy=msgspec.structs.replace(live.core.policy, pumping=policy))
    live.delivery = msgspec.structs.replace(live.delivery, core=core)
    made = await tell(live, times=4)
    with capture_logs() as logs:
        await live.deliver()
        made += await tell(live, times=2)
        await live.deliver()
    states = [(await live.database.read(deliveries.list_by_owner, one.id))[0] for one in made]
    withheld = [one for one in states if one.reason is Reason.HELD_BACK]
    assert len(withheld) == 3
    assert all(one.state is DeliveryState.FAILED and one.attempts == 0 for one in withheld)
    assert countries == ["DE"] * 3
    lines = [one for one in logs if one["event"] == "notices_withheld"]
    assert [(one["destination"], one["rule"]) for one in lines] == [("+49170", "notices")]
    assert await live.count("blocks") == 0
    await live.begun("+491707654321", application=OWN)
    await live.deliver()
    assert "+491707654321" in {one.to for one in live.carriers["first"].sent}
    live.clock.forward(25 * 60 * MINUTE)
    await tell(live)
    before = len(live.carriers["first"].sent)
    await live.deliver()
    assert len(live.carriers["first"].sent) == before + 1, "the next day has an allowance of its own"


async def test_the_counts_of_notices_are_rolled_up_with_the_others(live: Place) -> None:
    """L4: what is usual is known a week later."""
    await tell(live, times=3)
    await live.deliver()
    live.clock.forward(30 * 60 * MINUTE)
    before = await told(live)
    await live.database.run(sms_traffic.roll_up, live.clock() - 24 * 60 * MINUTE)
    assert await told(live) == before
    histories = await live.database.read(sms_traffic.find_histories, OWN.id, ["+49170"], live.clock())
    assert histories["+49170"].past.notices == 3


async def test_everything_that_a_provider_sends_to_a_telephone_is_counted(live: Place) -> None:
    challenge = await live.begun(NUMBER, application=LIVE)
    (delivery,) = await live.deliveries(challenge)
    assert is_counted(delivery, challenge)
    assert not is_counted(delivery, None)
    assert not is_counted(msgspec.structs.replace(delivery, channel=Channel.EMAIL), challenge)
    assert not is_counted(msgspec.structs.replace(delivery, route=(INBOX,)), challenge)
    mail = new_delivery(challenge.id, 1, Channel.SMS, ("first",), 0)
    assert not is_counted(mail, challenge), "no prefix is known"
    (notice,) = await tell(live)
    (owed,) = await live.database.read(deliveries.list_by_owner, notice.id)
    assert is_counted(owed, notice)
    assert not is_counted(msgspec.structs.replace(owed, channel=Channel.EMAIL), notice)
    tested = msgspec.structs.replace(challenge, terms=msgspec.structs.replace(challenge.terms, live=False))
    assert not is_counted(delivery, tested)


async def test_an_operator_can_ask_what_each_rule_says(live: Place) -> None:
    policy = PumpingPolicy(mode=PumpingMode.ON)
    destination = destination_of(live.keyring, NUMBER, region_of(NUMBER))
    found = await live.database.read(explain_pumping, destination, LIVE.id, policy, live.clock())
    assert {one.rule for one in found} == {PumpingRule.MONEY, PumpingRule.ALLOWANCE, PumpingRule.CONVERSION}
    assert not any(one.held for one in found)
    assert {one.key.scope for one in found} == set(TrafficScope)
    assert NUMBER[-4:] not in "".join(destination.ranges.values()), "ranges are keyed hashes"


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, "+49170"),
        ({"scope": "country", "place": "DE"}, "DE"),
        ({"scope": "fresh", "place": NEW_PREFIXES}, NEW_PREFIXES),
        ({"scope": "thousand", "place": "#1f2e"}, "+49170"),
        ({"scope": "application", "place": ""}, "all"),
    ],
)
def test_a_held_destination_has_a_name_for_operators(changed: dict[str, str], name: str) -> None:
    assert display_name(msgspec.structs.replace(BLOCK, **changed)) == name
