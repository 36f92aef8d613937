"""The pumping check: which messages it applies to, what it counts, and how a held destination is named. Attacks are in tests/threats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from tests.clock import MINUTE
from tests.flows.place import SHOP, Place, place_at

from countersign.domain.delivery.delivery import new_delivery
from countersign.domain.delivery.sms_pumping import PumpingMode, PumpingPolicy, PumpingRule
from countersign.domain.delivery.sms_traffic import NEW_PREFIXES, TrafficScope
from countersign.domain.policy import INBOX
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.phone_region import region_of
from countersign.errors import DeliveryFailedError
from countersign.flows.delivery.conversions import record_conversions
from countersign.flows.delivery.sms_pumping import destination_of, display_name, explain_pumping, is_counted
from countersign.store.engine.database import Sql
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


async def test_only_codes_that_a_provider_sends_to_a_telephone_are_counted(live: Place) -> None:
    challenge = await live.begun(NUMBER, application=LIVE)
    (delivery,) = await live.deliveries(challenge)
    assert is_counted(delivery, challenge)
    assert not is_counted(delivery, None)
    assert not is_counted(msgspec.structs.replace(delivery, channel=Channel.EMAIL), challenge)
    assert not is_counted(msgspec.structs.replace(delivery, route=(INBOX,)), challenge)
    mail = new_delivery(challenge.id, 1, Channel.SMS, ("first",), 0)
    assert not is_counted(mail, challenge), "no prefix is known"
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
