"""An account that was disabled or locked cannot be entered in any way, whatever was right, trusted or under way before."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest
from tests.flows.authenticators import app_code, enrols_app
from tests.flows.passkeys import SYNCED, asked, enrols, signs_in
from tests.flows.people import Visitor, ada
from tests.peers.authenticator import Authenticator

from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, InvalidCredentials, SignedIn
from countersign.flows.sign_in.passkeys import begin_passkey_proof, prove_with_passkey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.flows.place import Place

Attempt: TypeAlias = "Callable[[], Awaitable[object]]"
"""The last step of a sign-in."""


async def with_the_password(owner: Visitor) -> tuple[Visitor, Attempt]:
    """Sign in on a browser that the account does not know."""
    browser = Visitor(owner.place)
    return browser, browser.signs_in


async def on_a_trusted_browser(owner: Visitor) -> tuple[Visitor, Attempt]:
    """Sign in where no code is asked for."""
    browser = Visitor(owner.place)
    await browser.is_let_in(remember=True)
    assert isinstance(await browser.signs_in(), SignedIn)
    return browser, browser.signs_in


async def with_a_passkey(owner: Visitor) -> tuple[Visitor, Attempt]:
    """Sign in without a password."""
    passkey, browser = await enrols(owner, Authenticator(flags=SYNCED)), Visitor(owner.place)
    answer = passkey.uses(await asked(browser))
    return browser, lambda: signs_in(browser, answer)


async def with_a_code_under_way(owner: Visitor) -> tuple[Visitor, Attempt]:
    """Type a code that was sent before."""
    browser = Visitor(owner.place)
    assert isinstance(await browser.signs_in(), CodeRequested)
    code = await browser.code()
    return browser, lambda: browser.types(code)


async def with_an_app_after_the_password(owner: Visitor) -> tuple[Visitor, Attempt]:
    """Give the code of an app where one was asked for before."""
    secret, browser = await enrols_app(owner), Visitor(owner.place)
    assert isinstance(await browser.signs_in(), CodeRequested)
    return browser, lambda: app_code(browser, secret, 1)


async def with_a_passkey_after_the_password(owner: Visitor) -> tuple[Visitor, Attempt]:
    """Use a passkey where one was asked for before."""
    passkey, browser = await enrols(owner, Authenticator(flags=SYNCED)), Visitor(owner.place)
    assert isinstance(await browser.signs_in(), CodeRequested)
    options = await begin_passkey_proof(owner.place.accounts, browser.browser)
    assert options is not None
    answer = passkey.uses(options)
    return browser, lambda: prove_with_passkey(owner.place.accounts, browser.browser, answer, remember=False)


async def with_a_step_up_under_way(owner: Visitor) -> tuple[Visitor, Attempt]:
    """Raise the session of a browser that was signed in."""
    assert isinstance(await owner.steps_up(ProofRequirement(Level.MAIL_CODE, 0)), CodeRequested)
    code = await owner.code()
    return owner, lambda: owner.types(code)


WAYS_IN = (
    with_the_password,
    on_a_trusted_browser,
    with_a_passkey,
    with_a_code_under_way,
    with_an_app_after_the_password,
    with_a_passkey_after_the_password,
    with_a_step_up_under_way,
)


@pytest.mark.parametrize("column", ["disabled_at", "locked_at"])
@pytest.mark.parametrize("way", WAYS_IN, ids=lambda way: way.__name__)
async def test_no_way_leads_into_a_closed_account(
    home: Place, way: Callable[[Visitor], Awaitable[tuple[Visitor, Attempt]]], column: str
) -> None:
    """S1: and the answer does not say which it was."""
    browser, attempt = await way(await ada(home))
    before = await home.count("sessions")
    await home.change(f"UPDATE accounts SET {column} = $1", home.clock())  # noqa: S608 - names are ours
    assert isinstance(await attempt(), InvalidCredentials | FlowNotFound)
    assert await browser.session() is None
    assert await home.count("sessions") == before


@pytest.mark.parametrize("way", WAYS_IN[1:], ids=lambda way: way.__name__)
async def test_these_ways_lead_into_an_open_account(
    home: Place, way: Callable[[Visitor], Awaitable[tuple[Visitor, Attempt]]]
) -> None:
    """Otherwise the test above would show nothing. The password alone leads to a code, not into the account."""
    _, attempt = await way(await ada(home))
    assert isinstance(await attempt(), SignedIn)
