"""Completing a flow: once, for its own session, and what is stored of a new account."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.people import ADA, Visitor, ada, alive

from countersign.domain.accounts.login_flow import LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import (
    Level,
    Method,
    ProofRequirement,
    SessionProof,
)
from countersign.flows.accounts.context import (
    AccountExists,
    BrowserContext,
    FlowNotFound,
    SignedIn,
)
from countersign.flows.accounts.login_flow import StoredFlow
from countersign.flows.changes.apply import Applied
from countersign.flows.sign_in.complete import complete_flow
from countersign.store.engine.database import Row, Sql
from countersign.store.tables import devices

if TYPE_CHECKING:
    from tests.flows.place import Place


SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")


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


async def everything() -> list[Row]:
    """Return every row in which something is stored of accounts."""
    tables = ("accounts", "contacts", "identifiers", "devices", "sessions", "visits", "notices", "deliveries")
    return [row for table in tables for row in await Sql(f"SELECT * FROM {table}")]  # noqa: S608 - names are ours


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


async def test_a_flow_ends_when_the_password_of_its_account_changes(home: Place) -> None:
    """A5: also if its code is right."""
    await ada(home)
    stranger, owner = Visitor(home, SAFARI), Visitor(home)
    await stranger.signs_in()
    code = await stranger.code()
    home.clock.forward(61_000)
    await owner.recovers()
    await owner.types(await owner.code())
    assert isinstance(await owner.chooses("a better battery staple"), Applied)
    assert isinstance(await stranger.types(code), FlowNotFound)
    assert await stranger.session() is None


async def test_a_flow_ends_when_its_account_is_disabled(home: Place) -> None:
    """S1."""
    await ada(home)
    stranger = Visitor(home, SAFARI)
    await stranger.signs_in()
    code = await stranger.code()
    await home.change("UPDATE accounts SET disabled_at = 1")
    assert isinstance(await stranger.types(code), FlowNotFound)
    assert await home.count("sessions") == 1


async def test_a_raised_session_keeps_its_id_and_trusts_no_browser(home: Place) -> None:
    """S8, S4: whatever the form says, a step-up does not offer trust, and gives none."""
    visitor = await ada(home)
    before, secret = await alive(visitor), visitor.browser.session
    home.clock.forward(1_000)
    await visitor.steps_up(ProofRequirement(Level.MAIL_CODE, 0))
    assert isinstance(await visitor.types(await visitor.code(), remember=True), SignedIn)
    raised = await alive(visitor)
    assert visitor.browser.session != secret
    assert (raised.id, raised.expires_at) == (before.id, before.expires_at)
    (device,) = await home.database.read(devices.list_active, raised.account)
    assert device.trusted_at is None


@pytest.mark.parametrize(
    "kind",
    [LoginFlowKind.ENROL_APP, LoginFlowKind.ENROL_PASSKEY, LoginFlowKind.PASSKEY, LoginFlowKind.KEEP_CODES],
)
async def test_a_flow_that_no_code_belongs_to_is_not_completed_by_a_proof(home: Place, kind: LoginFlowKind) -> None:
    """C4."""
    stranger = Visitor(home, SAFARI)
    stored = StoredFlow(b"m", b"", LoginFlow(kind, home.clock(), home.clock() + 1, "ab"))
    proof = SessionProof(Method.MAIL_CODE, home.clock())
    outcome = await complete_flow(home.accounts, stranger.browser, stored, proof, remember=True)
    assert isinstance(outcome, FlowNotFound)
