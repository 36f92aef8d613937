"""Sign-in: the password comes first, then a code, unless the account trusts this browser; every failure gives the same answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from tests.flows.people import Visitor, ada, alive

from countersign.domain.accounts.device import TRUST_LIFETIME
from countersign.domain.accounts.session import (
    Level,
    ProofRequirement,
    amr_values,
    current_level,
    satisfies,
)
from countersign.flows.accounts.context import BrowserContext, CodeRequested, InvalidCredentials, SignedIn, SignInDenied
from countersign.flows.sign_in.guess_counters import ATTEMPTS_PER_NETWORK
from countersign.flows.verifications.results import Refused
from countersign.geolocation import GeoDatabase

if TYPE_CHECKING:
    from tests.flows.place import Place


SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")
DAY = 86_400_000


async def test_a_password_alone_does_not_get_in(home: Place) -> None:
    """S2, M3: no session before the code, and a wrong password causes no code."""
    await ada(home)
    sent = await home.count("challenges")
    stranger = Visitor(home, SAFARI)
    assert isinstance(await stranger.signs_in(password="wrong password"), InvalidCredentials)
    assert await home.count("challenges") == sent
    assert isinstance(await stranger.signs_in(), CodeRequested)
    assert await stranger.session() is None
    assert await home.count("sessions") == 1
    assert isinstance(await stranger.types(await stranger.code()), SignedIn)
    assert current_level(await alive(stranger), home.clock()) is Level.MAIL_CODE


async def test_unknown_wrong_locked_and_disabled_get_the_same_answer(home: Place) -> None:
    """S1."""
    await ada(home)
    stranger = Visitor(home, SAFARI)
    unknown = await stranger.signs_in("grace@example.org")
    nonsense = await stranger.signs_in("no address at all")
    wrong = await stranger.signs_in(password="wrong password")
    for _ in range(10):
        await stranger.signs_in(password="wrong password")
    locked = await stranger.signs_in()
    await home.change("UPDATE accounts SET disabled_at = 1")
    home.clock.forward(DAY)
    disabled = await stranger.signs_in()
    assert unknown == nonsense == wrong == locked == disabled == InvalidCredentials()


async def test_a_flood_against_a_name_leaves_its_owners_remembered_browser_alone(home: Place) -> None:
    """S7."""
    await ada(home)
    owner = Visitor(home, SAFARI)
    await owner.is_let_in(remember=True)
    for number in range(40):
        flood = BrowserContext(ip=f"192.0.2.{number}", user_agent="x", locale="en")
        assert isinstance(await Visitor(home, flood).signs_in(password="wrong password"), InvalidCredentials)
    assert isinstance(await Visitor(home, BrowserContext(ip="192.0.2.99")).signs_in(), InvalidCredentials)
    assert isinstance(await owner.signs_in(), SignedIn)


async def test_a_trusted_browser_skips_the_code_and_only_that(home: Place) -> None:
    """S4, S5: its session does not claim `mfa` and does not pass a step-up."""
    await ada(home)
    owner = Visitor(home, SAFARI)
    await owner.is_let_in(remember=True)
    assert isinstance(await owner.signs_in(), SignedIn)
    session, now = await alive(owner), home.clock()
    assert current_level(session, now) is Level.TRUSTED_DEVICE
    assert "mfa" not in amr_values(session, now)
    assert not satisfies(session, ProofRequirement(Level.MAIL_CODE), now)
    assert isinstance(await owner.signs_in(password="wrong password"), InvalidCredentials)


async def test_trust_ends_after_thirty_days_however_often_it_is_used(home: Place) -> None:
    """S4."""
    await ada(home)
    owner = Visitor(home, SAFARI)
    await owner.is_let_in(remember=True)
    for _ in range(29):
        home.clock.forward(DAY)
        assert isinstance(await owner.signs_in(), SignedIn)
    home.clock.forward(TRUST_LIFETIME - 29 * DAY)
    assert isinstance(await owner.signs_in(), CodeRequested)


async def test_a_copied_user_agent_is_a_new_device(home: Place) -> None:
    """S3."""
    await ada(home)
    owner = Visitor(home, SAFARI)
    await owner.is_let_in(remember=True)
    thief = Visitor(home, msgspec.structs.replace(SAFARI))
    assert isinstance(await thief.signs_in(), CodeRequested)


async def test_trust_is_each_accounts_own(home: Place) -> None:
    """S4."""
    await ada(home)
    await ada(home, "grace@example.org")
    shared = Visitor(home, SAFARI)
    await shared.is_let_in(remember=True)
    assert isinstance(await shared.signs_in("grace@example.org"), CodeRequested)


async def test_right_passwords_use_up_no_budget(home: Place) -> None:
    """S7, S1."""
    await ada(home)
    owner = Visitor(home, SAFARI)
    await owner.is_let_in(remember=True)
    for _ in range(30):
        assert isinstance(await owner.signs_in(), SignedIn)


async def test_one_network_may_try_a_limited_number_of_passwords_on_any_identifiers(home: Place) -> None:
    """S1, H1: the refusal says nothing about any of them."""
    await ada(home)
    browser = BrowserContext(ip="192.0.2.7", locale="en")
    for number in range(ATTEMPTS_PER_NETWORK.burst):
        assert isinstance(await Visitor(home, browser).signs_in(f"u{number}@example.org"), InvalidCredentials)
    refused = await Visitor(home, browser).signs_in()
    assert isinstance(refused, Refused)
    assert refused.limit == ATTEMPTS_PER_NETWORK.name
    assert refused.retry_after > 0


async def test_a_denied_sign_in_names_its_findings_only_after_the_right_password(home: Place, tmp_path: Path) -> None:
    """S1: and sends no code."""
    await ada(home)
    (tmp_path / "tor.txt").write_text(f"{SAFARI.ip}/32\n")
    home.accounts = msgspec.structs.replace(
        home.accounts,
        core=msgspec.structs.replace(home.core, geolocation=GeoDatabase(None, {"tor": tmp_path / "tor.txt"})),
        risk=msgspec.structs.replace(home.accounts.risk, deny_lists=("tor",)),
    )
    sent = await home.count("challenges")
    stranger = Visitor(home, SAFARI)
    assert isinstance(await stranger.signs_in(password="wrong password"), InvalidCredentials)
    denied = await stranger.signs_in()
    assert isinstance(denied, SignInDenied)
    assert "refused_list" in denied.reasons
    assert await home.count("challenges") == sent
