"""Every budget of the account flows is spent here to its end: so much is allowed, no more, and after its time one more."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, TypeAlias

import pytest
from tests.flows.authenticators import app_code, enrols_app, recovery_codes
from tests.flows.people import ADA, Visitor, ada

from countersign import flows
from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.accounts.context import BrowserContext, CodeRequested, InvalidCredentials, InvalidInput
from countersign.flows.changes.apply import Applied
from countersign.flows.sign_in.authenticator import prove_with_recovery_code
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.passkeys import begin_passkey_sign_in, sign_in_with_passkey
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.flows.verifications.results import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.flows.place import Place

Spend: TypeAlias = "Callable[[int], Awaitable[bool]]"
"""Spends once, the so-and-so-manyth time; says whether it was allowed."""

PHONE = "+14155550123"
HERE = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")


async def sign_ups(place: Place) -> Spend:
    """Sign up from one network."""

    async def spend(number: int) -> bool:
        return not isinstance(await Visitor(place, HERE).signs_up(f"u{number}@example.org"), Refused)

    return spend


async def recoveries(place: Place) -> Spend:
    """Recover from one network."""

    async def spend(number: int) -> bool:
        return not isinstance(await Visitor(place, HERE).recovers(f"u{number}@example.org"), Refused)

    return spend


async def claims_of_everything_lost(place: Place) -> Spend:
    """Say from one network that everything is lost."""

    async def spend(number: int) -> bool:
        begun = await begin_delayed_recovery(place.accounts, HERE, ADA, f"u{number}@example.org")
        return not isinstance(begun, Refused)

    return spend


async def passwords_from_one_network(place: Place) -> Spend:
    """Try a password on a name that nobody tried before."""

    async def spend(number: int) -> bool:
        return not isinstance(await Visitor(place, HERE).signs_in(f"u{number}@example.org"), Refused)

    return spend


async def passkeys(place: Place) -> Spend:
    """Try to sign in with a passkey from one network."""

    async def spend(_: int) -> bool:
        return not isinstance(await sign_in_with_passkey(place.accounts, HERE, "{}"), Refused)

    return spend


async def passkeys_begun(place: Place) -> Spend:
    """Begin a sign-in with a passkey from one network; one that is refused stores nothing."""

    async def spend(_: int) -> bool:
        before = await place.count("visits")
        begun = await begin_passkey_sign_in(place.accounts, HERE, InterruptedRequest())
        assert await place.count("visits") == before + (not isinstance(begun, Refused))
        return not isinstance(begun, Refused)

    return spend


async def codes_of_an_app(place: Place) -> Spend:
    """Type a wrong code of an app, in a new flow after each fourth."""
    owner = await ada(place)
    secret = await enrols_app(owner)
    browsers: list[Visitor] = []

    async def spend(number: int) -> bool:
        if number % 4 == 0:
            browsers.append(Visitor(place))
            assert isinstance(await browsers[-1].signs_in(), CodeRequested)
        return not isinstance(await app_code(browsers[-1], secret, 40), Refused)

    return spend


async def recovery_codes_of_an_account(place: Place) -> Spend:
    """Type a wrong recovery code, in a new flow after each fourth."""
    owner = await ada(place)
    await recovery_codes(owner)
    place.clock.forward(61_000)
    await enrols_app(owner)
    browsers: list[Visitor] = []

    async def spend(number: int) -> bool:
        if number % 4 == 0:
            browsers.append(Visitor(place))
            assert isinstance(await browsers[-1].signs_in(), CodeRequested)
        context, browser = place.accounts, browsers[-1].browser
        return not isinstance(
            await prove_with_recovery_code(context, browser, "0000-0000-0000-0000", remember=False), Refused
        )

    return spend


async def old_passwords(place: Place) -> Spend:
    """Say a wrong old password while recovering; when it is judged no more, the right one is refused too."""
    await ada(place)
    thief = Visitor(place)
    assert isinstance(await thief.recovers(), CodeRequested)
    assert isinstance(await thief.types(await thief.code()), PasswordResetAllowed)

    async def spend(number: int) -> bool:
        if number < limits()["recover_password"].burst:
            assert isinstance(await thief.chooses("a better battery staple", "wrong"), InvalidInput)
            return True
        return not isinstance(await thief.chooses("a better battery staple", "correct horse battery"), InvalidInput)

    return spend


async def changes_of_one_account(place: Place) -> Spend:
    """Make the other contact the first, each time with an approval of its own."""
    owner = await ada(place)
    assert isinstance(await owner.adds(PHONE), Applied)

    async def spend(number: int) -> bool:
        place.clock.forward(100)
        contact = await owner.contact(ADA if number % 2 else PHONE)
        wanted = ChangeRequest(ChangeKind.CONTACT_PRIMARY, contact.id, contact.masked, "Send codes here first")
        first = PHONE if number % 2 else ADA
        return not isinstance(await owner.changes(wanted, first), Refused)

    return spend


BUDGETS = {
    "sign_up_network": [sign_ups],
    "recover_network": [recoveries, claims_of_everything_lost],
    "sign_in_network": [passwords_from_one_network],
    "sign_in_passkey": [passkeys],
    "begin_passkey": [passkeys_begun],
    "factor_codes": [codes_of_an_app],
    "recovery_codes": [recovery_codes_of_an_account],
    "recover_password": [old_passwords],
    "changes": [changes_of_one_account],
}
"""How each budget is spent, by its name. That of one person's name, `sign_in_name`, gives no answer, and has its own test."""

SPENT_BEFORE = {"changes": 1}
"""What is spent while a scene is set: the change that added the second contact."""

ENDS_WITH_ITS_FLOW = frozenset({"factor_codes", "recovery_codes", "recover_password"})
"""Budgets whose share comes back after the flow that spends them has ended."""


def limits() -> dict[str, RateLimit]:
    """Return every budget that a module of the flows declares, by its name."""
    found = {}
    for module in pkgutil.walk_packages(flows.__path__, "countersign.flows."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, RateLimit):
                found[value.name] = value
    return found


def test_every_budget_of_the_flows_is_spent_here() -> None:
    """H1: a budget that no test spends may be counted and not enforced."""
    assert set(limits()) - {"sign_in_name"} - set(BUDGETS) == set()


@pytest.mark.parametrize(
    ("name", "prepare"),
    [(name, prepare) for name in sorted(limits()) for prepare in BUDGETS.get(name, ())],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_a_budget_is_spent_to_its_end_and_comes_back_with_time(
    home: Place, name: str, prepare: Callable[[Place], Awaitable[Spend]]
) -> None:
    """H1, S1, R1: as many as it says, then none, and one more after a share of its period."""
    limit = limits()[name]
    spend = await prepare(home)
    left = limit.burst - SPENT_BEFORE.get(name, 0)
    assert [await spend(number) for number in range(left)] == [True] * left
    assert not await spend(left)
    if name not in ENDS_WITH_ITS_FLOW:
        home.clock.forward(limit.interval)
        assert await spend(left + 1)


async def test_passwords_of_one_name_are_judged_ten_times(home: Place) -> None:
    """S1, S7: then the right one is refused as a wrong one is, from every network, until time has passed."""
    limit = limits()["sign_in_name"]
    await ada(home)
    for number in range(limit.burst):
        network = BrowserContext(ip=f"192.0.2.{number}", locale="en")
        assert isinstance(await Visitor(home, network).signs_in(password="wrong password"), InvalidCredentials)
    assert isinstance(await Visitor(home, HERE).signs_in(), InvalidCredentials)
    assert isinstance(await Visitor(home, HERE).signs_in("+14155550199"), InvalidCredentials)
    home.clock.forward(limit.interval)
    assert isinstance(await Visitor(home, HERE).signs_in(), CodeRequested)
