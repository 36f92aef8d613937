"""Completing a flow: once, for its own session, and what is stored of a new account."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.session import (
    Level,
    ProofRequirement,
)
from countersign.flows.accounts.context import (
    AccountExists,
    BrowserContext,
    FlowNotFound,
    SignedIn,
)

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.session import Session

SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")


async def alive(visitor: Visitor) -> Session:
    session = await visitor.session()
    assert session is not None
    return session


async def test_a_hundred_right_answers_make_one_session(home: Place) -> None:
    """C3."""
    await ada(home)
    stranger = Visitor(home, SAFARI)
    await stranger.signs_in()
    code = await stranger.code()
    outcomes = await asyncio.gather(*(Visitor(home, stranger.browser).types(code) for _ in range(100)))
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    assert await home.count("sessions") == 2


async def test_no_name_contact_or_password_stands_readable_in_the_database(home: Place) -> None:
    """C8: what is kept of a person is sealed, and passwords are hashed besides."""
    visitor = await ada(home)
    session = await alive(visitor)
    rows = await home.database.read(everything)
    told = repr(rows).encode()
    for secret in (b"Ada", ADA.encode(), b"argon2", visitor.browser.session.encode(), visitor.browser.device.encode()):
        assert secret not in told
    assert session.account.encode() in told


def everything():  # type: ignore[no-untyped-def] # noqa: ANN201 - a generator of all that is kept of accounts
    from countersign.store.engine.database import Sql

    found = []
    for table in ("accounts", "contacts", "identifiers", "devices", "sessions", "visits", "notices", "deliveries"):
        found += yield Sql(f"SELECT * FROM {table}")  # noqa: S608 - names are ours
    return found


async def test_a_step_up_raises_the_session_that_asked_and_no_other(home: Place) -> None:
    """S8, U2."""
    visitor = await ada(home)
    await visitor.steps_up(ProofRequirement(Level.MAIL_CODE, 0))
    code, flow = await visitor.code(), visitor.browser.flow
    home.clock.forward(1_000)
    await visitor.is_let_in()
    moved = Visitor(home, msgspec.structs.replace(visitor.browser, flow=flow))
    before = await alive(visitor)
    assert isinstance(await moved.types(code), FlowNotFound)
    assert (await alive(visitor)).proofs == before.proofs


async def test_the_loser_of_a_race_for_a_contact_learns_that_the_account_exists(home: Place) -> None:
    one, other = Visitor(home), Visitor(home)
    await one.signs_up()
    first = await one.code()
    await other.signs_up()
    second = await other.code()
    assert isinstance(await one.types(first), SignedIn)
    assert isinstance(await other.types(second), AccountExists)
    assert await home.count("accounts") == 1
    assert await other.session() is None
    assert isinstance(await other.types(second), FlowNotFound)


async def test_a_right_code_makes_one_account_however_often_it_comes(home: Place) -> None:
    """C3."""
    visitor = Visitor(home)
    await visitor.signs_up()
    code = await visitor.code()
    before = visitor.browser
    outcomes = await asyncio.gather(*(Visitor(home, before).types(code) for _ in range(50)))
    assert sum(isinstance(outcome, SignedIn) for outcome in outcomes) == 1
    assert await home.count("accounts") == 1
    assert await home.count("sessions") == 1
