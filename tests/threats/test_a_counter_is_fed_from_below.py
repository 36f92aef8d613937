"""Threat: a counter that strangers feed stands before something that only the owner needs. Every counter, and every lane, is tried."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.flows.authenticators import enrols_app, recovery_codes
from tests.flows.people import ADA, CARRIER, Visitor, ada
from tests.flows.place import place_at

import countersign
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.contact import parse_contact
from countersign.domain.verifications.lanes import COUNTERS, Act, Lane, counter_parts, counters_before
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.sign_in.authenticator import prove_with_app, prove_with_recovery_code
from countersign.flows.sign_in.passkeys import begin_passkey_sign_in, sign_in_with_passkey
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.store.engine.database import Rows, Sql

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.clock import FixedClock
    from tests.flows.place import Place

SOURCE = Path(countersign.__file__).parent
CONFIGURED = {limit.name for limit in (*InstallationPolicy().destination, *InstallationPolicy().requester)} | {
    "application"
}
"""Limits whose number is the operator's; that of an application has none by default."""
NO_RATE = {"contact_failures", "password_failures", "current_password_failures", "app_code_failures"} | {
    "recovery_code_failures"
}
"""Counters without a rate: wrong codes and guesses in a row."""


def rate_limits_in_modules() -> dict[str, RateLimit]:
    """Return every rate limit that a module of the program declares, by its name."""
    found: dict[str, RateLimit] = {}
    for module in pkgutil.walk_packages(countersign.__path__, "countersign."):
        if ".flows." in module.name or ".domain." in module.name or ".web." in module.name:
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, RateLimit):
                    found[value.name] = value
    return found


def test_every_rate_limit_of_the_program_has_a_lane() -> None:
    """L1: one that is declared without a line in COUNTERS fails here, and cannot be used either."""
    declared = rate_limits_in_modules().keys() | CONFIGURED
    assert declared == {counter.name for counter in COUNTERS} - NO_RATE
    with pytest.raises(LookupError):
        counter_parts("a_new_limit", Lane.ANONYMOUS)


def test_counters_are_kept_under_keys_of_their_lane_alone() -> None:
    """L1: what counts is called in a few places, and each of their keys comes from `counter_key` or of a contact's row."""
    callers = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"rate_limits.consume", "guesses.consume"}
    }
    assert callers == {
        "flows/changes/submit.py",
        "flows/sign_in/authenticator.py",
        "flows/sign_in/network_limit.py",
        "flows/sign_in/recover.py",
        "flows/sign_in/renew.py",
        "flows/sign_in/sign_in.py",
    }
    for name in (*callers, "flows/sign_in/guess_counters.py", "flows/verifications/begin.py"):
        text = (SOURCE / name).read_text(encoding="utf-8")
        labels = {
            node.args[0].value
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("blind_index")
            if node.args and isinstance(node.args[0], ast.Constant)
        }
        assert labels <= {"twin", "no contact"}, name


@pytest.mark.parametrize("act", list(Act))
def test_no_counter_is_fed_from_below(act: Act) -> None:
    """L1: of two lanes, no counter that stands before one act stands before another, so none is fed by a weaker one."""
    for weaker in Lane:
        fed = {(counter.name, counter.lane) for one in Act for counter in counters_before(one, weaker)}
        for stronger in Lane:
            if weaker.strength < stronger.strength:
                stopping = {(counter.name, counter.lane) for counter in counters_before(act, stronger)}
                assert not fed & stopping


def test_keys_of_two_lanes_or_two_names_differ() -> None:
    parts = [counter_parts(counter.name, counter.lane) for counter in COUNTERS]
    assert len(set(parts)) == len(parts)


async def _select(table: str) -> Rows:
    return await Sql(f"SELECT * FROM {table}")  # noqa: S608 - names are ours


async def counters(place: Place) -> dict[bytes, tuple[object, ...]]:
    """Return every counter in the database."""
    found: dict[bytes, tuple[object, ...]] = {}
    for table in ("limits", "standings"):
        for key, *values in await place.database.read(_select, table):
            assert isinstance(key, bytes)
            found[key] = tuple(values)
    return found


async def types_wrong(visitor: Visitor) -> None:
    """Give a wrong answer to whatever is asked."""
    place = visitor.place
    seen = await visitor.sees()
    if seen is not None and seen.challenge is not None:
        await visitor.types(place.wrong(seen.challenge))
    await prove_with_app(place.accounts, visitor.browser, "000000", remember=False)
    await prove_with_recovery_code(place.accounts, visitor.browser, "0000-0000-0000-0000", remember=False)


async def anybody(place: Place) -> None:
    """Do what anybody may, to Ada's contact and from her network."""
    visitor = Visitor(place)
    await visitor.signs_in(password="a wrong password")
    await visitor.recovers()
    await types_wrong(visitor)
    visitor._kept(await begin_delayed_recovery(place.accounts, visitor.browser, ADA, ADA))
    await types_wrong(visitor)
    await visitor.signs_up()
    await types_wrong(visitor)
    await begin_passkey_sign_in(place.accounts, visitor.browser, InterruptedRequest())
    await sign_in_with_passkey(place.accounts, visitor.browser, "{}")


async def with_the_password(place: Place) -> None:
    """Do what follows a right password, which was given before."""
    visitor = Visitor(place)
    await visitor.signs_in()
    await types_wrong(visitor)


async def in_a_session(owner: Visitor) -> None:
    """Do what a session may."""
    assert isinstance(await owner.steps_up(ProofRequirement(Level.MAIL_CODE, 0)), CodeRequested)
    await types_wrong(owner)
    seen = await owner.sees()
    assert seen is not None
    owner.place.clock.forward(31_000)
    await owner.asks_another_way(seen.contact_methods[0])
    await types_wrong(owner)


@pytest.mark.parametrize("with_app", [False, True])
async def test_each_lane_writes_counters_of_its_own(
    database_url: str, tmp_path: Path, clock: FixedClock, *, with_app: bool
) -> None:
    """L1: on one network, for one account and contact, as they stand in the database."""
    rules = InstallationPolicy(
        destination=(RateLimit("destination", 100, 1),), requester=(RateLimit("requester", 100, 1),)
    )
    async with place_at(database_url, tmp_path, clock=clock, rules=rules, live=(CARRIER,)) as place:
        owner = await ada(place)
        await recovery_codes(owner)
        if with_app:
            await enrols_app(owner)
        trusted = Visitor(place)
        fresh = await recovery_codes(owner) if not with_app else ()
        if fresh:
            assert isinstance(await trusted.is_let_in(remember=True), SignedIn)

        async def in_a_trusted_browser() -> None:
            await trusted.signs_in(password="a wrong password")
            await in_a_session(trusted)

        acts: list[Callable[[], Awaitable[None]]] = [
            lambda: anybody(place),
            lambda: with_the_password(place),
            lambda: in_a_session(owner),
        ]
        if fresh:
            acts.append(in_a_trusted_browser)
        fed: list[set[bytes]] = []
        row_of_contact = place.keyring.blind_index(
            "standing", place.accounts.own.id, (await owner.holdings()).account.id, parse_contact(ADA).address
        )
        for act in acts:
            await place.change("DELETE FROM limits")
            await place.change("DELETE FROM standings")
            await act()
            fed.append(set(await counters(place)) - {row_of_contact})
        # A right password has passed the counters of passwords, which are the first lane's; nothing else is shared. The row of the
        # contact has a column for each lane: tests/domain/verifications/test_lockout.py.
        passwords = fed[0] & fed[1]
        assert len(passwords) == 2
        for weaker, keys in enumerate(fed):
            assert keys
            for stronger in fed[weaker + 1 :]:
                assert keys & stronger <= passwords
