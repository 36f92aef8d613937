"""Threat: a thief knows e-mail and password, has every page and parameter, and an account of his own; none of it gets him in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest_asyncio
from tests.flows.people import ADA, CARRIER, Visitor, ada
from tests.flows.place import BANK, SHOP, place_at

from countersign.domain.accounts.account import ContactMethod
from countersign.domain.shared.contact import Channel
from countersign.flows.accounts.context import BrowserContext, CodeRequested, SignedIn
from countersign.flows.verifications.check import check_challenge
from countersign.flows.verifications.results import Missing, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.flows.place import Place

OWNERS = BrowserContext(ip="198.51.100.7", user_agent="Safari on Ada's phone", locale="en")
THIEFS = BrowserContext(ip="192.0.2.66", user_agent="Safari on Ada's phone", locale="en")
HIS = "mallory@example.org"


@pytest_asyncio.fixture
async def home(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Place]:
    """A place whose own pages can send."""
    async with place_at(sqlite_url, tmp_path, live=(CARRIER,)) as opened:
        yield opened


async def at_the_screen(home: Place) -> Visitor:
    """Return the thief's browser, where the password was right and the code is asked for."""
    await ada(home)
    thief = Visitor(home, THIEFS)
    assert isinstance(await thief.signs_in(), CodeRequested)
    return thief


async def test_a_hundred_requests_at_once_have_five_guesses(home: Place) -> None:
    """C5, S2."""
    thief = await at_the_screen(home)
    seen = await thief.sees()
    assert seen is not None
    assert seen.challenge is not None
    wrong = [f"{number:06}" for number in range(101) if f"{number:06}" != home.code(seen.challenge)][:100]
    outcomes = await asyncio.gather(*(Visitor(home, thief.browser).types(code) for code in wrong))
    compared = [one for one in outcomes if isinstance(one, Refused) and one.refusal.value == "wrong_code"]
    assert len(compared) == 5
    assert not any(isinstance(one, SignedIn) for one in outcomes)
    assert isinstance(await thief.types(home.code(seen.challenge)), Refused)


async def test_the_code_of_his_own_account_is_worth_nothing_for_hers(home: Place) -> None:
    """C4: nor does his flow's cookie lead into her account."""
    thief = await at_the_screen(home)
    hers = thief.browser
    await ada(home, HIS)
    own = Visitor(home, msgspec.structs.replace(hers, flow=""))
    await own.signs_in(HIS)
    his = await own.code(HIS)
    assert isinstance(await Visitor(home, hers).types(his), Refused)
    entered = await own.types(his)
    assert isinstance(entered, SignedIn)
    session = await own.session()
    assert session is not None
    assert session.account == entered.account
    mixed = Visitor(home, msgspec.structs.replace(own.browser, flow=hers.flow))
    still = await mixed.session()
    assert still is not None
    assert still.account == session.account


async def test_no_application_answers_a_challenge_of_our_own_pages(home: Place) -> None:
    """C4, I2: by its id, with the right code, through the API."""
    thief = await at_the_screen(home)
    seen = await thief.sees()
    assert seen is not None
    assert seen.challenge is not None
    for application in (SHOP, BANK):
        outcome = await check_challenge(home.core, application, seen.challenge.id, home.code(seen.challenge))
        assert isinstance(outcome, Missing)
    assert await thief.session() is None


async def test_his_own_phone_is_no_way_to_her_code(home: Place) -> None:
    """U5: a contact of another account cannot be named."""
    thief = await at_the_screen(home)
    await ada(home, "+14155550166")
    sent = home.carriers[CARRIER].sent
    before = len(sent)
    home.clock.forward(30_000)
    for _, contact in await home.database.read(_contacts):
        for channel in Channel:
            await thief.asks_another_way(ContactMethod(contact, channel, ""))
    await thief.reads()
    assert {message.to for message in sent[before:]} == {ADA}


async def test_what_she_ended_opens_nothing_any_more(home: Place) -> None:
    """S8: a session that was copied before she signed out, a flow that was copied before she finished it."""
    await ada(home)
    owner = Visitor(home, OWNERS)
    await owner.signs_in()
    copied = owner.browser
    code = await owner.code()
    assert isinstance(await owner.types(code), SignedIn)
    assert not isinstance(await Visitor(home, copied).types(code), SignedIn)
    before = owner.browser
    await owner.is_let_in()
    assert await Visitor(home, before).session() is None


def _contacts():  # type: ignore[no-untyped-def] # noqa: ANN202 - a generator of accounts and contacts
    from countersign.store.engine.database import Sql

    return (yield Sql("SELECT account, id FROM contacts"))
