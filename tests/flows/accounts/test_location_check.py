"""The place of a code: a code that was requested far from where it is entered is not checked before the user confirms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import pytest_asyncio
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from tests.flows.authenticators import enrols_app
from tests.flows.people import CARRIER, Visitor, ada
from tests.flows.place import place_at

from countersign.domain.accounts.risk import Location as Where
from countersign.domain.accounts.risk import far_apart
from countersign.flows.accounts.context import BrowserContext, CodeRequested, SignedIn
from countersign.flows.accounts.location_check import UnlikelyLocation
from countersign.flows.sign_in import verify
from countersign.flows.sign_in.authenticator import prove_with_app
from countersign.geolocation import GeoDatabase
from countersign.totp import STEP, code_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.clock import FixedClock
    from tests.flows.place import Place

ZURICH, GENEVA, LAGOS, NOWHERE = "1.2.3.4", "1.2.4.4", "5.6.7.8", "203.0.113.200"


def places(path: Path) -> Path:
    """Write a file of places: Zurich, Geneva and Lagos."""
    writer = MMDBWriter(ip_version=6, database_type="GeoLite2-City", ipv4_compatible=True)
    for network, country, city, latitude, longitude in (
        ("1.2.3.0/24", "CH", "Zurich", 47.37, 8.54),
        ("1.2.4.0/24", "CH", "Geneva", 46.2, 6.15),
        ("5.6.7.0/24", "NG", "Lagos", 6.45, 3.39),
    ):
        writer.insert_network(
            IPSet([network]),
            {
                "country": {"iso_code": country},
                "city": {"names": {"en": city}},
                "location": {"latitude": latitude, "longitude": longitude},
            },
        )
    writer.to_db_file(str(path))
    return path


@pytest_asyncio.fixture
async def home(sqlite_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place that knows where addresses are."""
    found = GeoDatabase(places(tmp_path / "places.mmdb"))
    async with place_at(sqlite_url, tmp_path, clock=clock, live=(CARRIER,), places=found) as opened:
        yield opened
    found.close()


async def at_the_screen(home: Place) -> Visitor:
    """Return a browser in Zurich that was asked for a code."""
    await ada(home)
    visitor = Visitor(home, BrowserContext(ip=ZURICH, user_agent="Firefox", locale="en"))
    assert isinstance(await visitor.signs_in(), CodeRequested)
    return visitor


async def test_both_places_are_named_before_a_code_counts_and_no_guess_is_spent(home: Place) -> None:
    visitor = await at_the_screen(home)
    code = await visitor.code()
    there = msgspec.structs.replace(visitor.browser, ip=LAGOS)
    for typed in (code, "000000"):
        far = await verify.check_code(home.accounts, there, typed, remember=False)
        assert far == UnlikelyLocation("Zurich, CH", "Lagos, NG")
    seen = await visitor.sees()
    assert seen is not None
    assert seen.challenge is not None
    assert seen.challenge.guesses == 0
    assert isinstance(await verify.check_code(home.accounts, there, code, remember=False, confirmed=True), SignedIn)


@pytest.mark.parametrize("ip", [ZURICH, "1.2.3.5", GENEVA, NOWHERE, ""])
async def test_a_code_from_near_or_from_an_unknown_place_counts_at_once(home: Place, ip: str) -> None:
    visitor = await at_the_screen(home)
    code = await visitor.code()
    here = msgspec.structs.replace(visitor.browser, ip=ip)
    assert isinstance(await verify.check_code(home.accounts, here, code, remember=False), SignedIn)


async def test_a_code_of_an_app_is_held_back_in_the_same_way(home: Place) -> None:
    secret = await enrols_app(await ada(home))
    home.clock.forward(5 * STEP)
    visitor = Visitor(home, BrowserContext(ip=ZURICH, locale="en"))
    assert isinstance(await visitor.signs_in(), CodeRequested)
    there = msgspec.structs.replace(visitor.browser, ip=LAGOS)
    code = code_at(secret, home.clock() // STEP)
    assert isinstance(await prove_with_app(home.accounts, there, code, remember=False), UnlikelyLocation)
    assert isinstance(await prove_with_app(home.accounts, there, code, remember=False, confirmed=True), SignedIn)


def test_two_countries_are_far_apart_and_so_are_five_hundred_kilometres() -> None:
    zurich = Where("CH", "Zurich", 47.37, 8.54)
    assert far_apart(zurich, Where("DE", "Konstanz", 47.66, 9.18))
    assert not far_apart(zurich, Where("CH", "Geneva", 46.2, 6.15))
    assert far_apart(Where("US", "New York", 40.71, -74.0), Where("US", "Chicago", 41.88, -87.63))
    assert not far_apart(Where("US"), Where("US", "Chicago", 41.88, -87.63))
    assert not far_apart(Where(), Where("US"))
