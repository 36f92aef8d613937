"""Threat: somebody asks about an address by another door: an application, a passkey, or an account of their own."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pytest
from tests.clock import DAY
from tests.flows.people import Visitor, ada
from tests.flows.place import UNLIMITED
from tests.threats.walks import STRANGER, Walk, assert_alike, assert_as_costly, open_world
from tests.threats.work import Work
from tests.web.client import Client

from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.application import ApplicationDraft, ApplicationMode
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.maintenance.applications import add_application

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.flows.place import Place
    from tests.threats.conftest import NewUrl

MAIL: Final = "kim@example.org"
PHONE: Final = "+14155550123"
OTHERS: Final = {MAIL: "ben@example.com", PHONE: "+14155550177"}
MINE: Final = "zoe@example.net"
BACK: Final = "https://shop.example/signed-in"
CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""RFC 7636, appendix B."""


async def walked(
    new_url: NewUrl,
    folder: Path,
    address: str,
    asks: Callable[[Walk, str], Awaitable[None]],
    *,
    owner: Callable[[Place, str], Awaitable[object]] = ada,
    rules: InstallationPolicy = UNLIMITED,
) -> tuple[Walk, Walk]:
    """Ask the same in two worlds: in one the address has an account, in the other another one has it."""
    done: list[Walk] = []
    for name, holder in (("known", address), ("unknown", OTHERS[address])):
        work = Work()
        async with open_world(new_url(), folder / name, rules, work=work) as (place, app):
            await owner(place, holder)
            walk = Walk(place, app, work=work)
            await asks(walk, address)
            done.append(walk)
    return done[0], done[1]


@pytest.mark.parametrize("address", [MAIL, PHONE])
async def test_a_login_hint_is_answered_alike(new_url: NewUrl, tmp_path: Path, address: str) -> None:
    """S1: an application that names a person learns nothing of them, nor does the page to which it sends a browser."""

    async def asks(walk: Walk, address: str) -> None:
        place = walk.place
        draft = ApplicationDraft("shop", ApplicationMode.LIVE, redirect_uris=(BACK,))
        shop, _ = await add_application(
            place.database, place.accounts.log, place.keyring, draft, 1, secrets.token_bytes
        )
        query = (
            f"client_id={shop.id}&redirect_uri={quote(BACK)}&response_type=code&scope=openid&state=s&nonce=n"
            f"&code_challenge={CHALLENGE}&code_challenge_method=S256&login_hint={quote(address)}"
        )
        for more in ("", "&prompt=none", "&prompt=login", "&max_age=0", "&acr_values=urn:countersign:acr:passkey"):
            await walk.get(f"/oauth/authorize?{query}{more}")
        path = f"/oauth/authorize?{query}"
        await walk.get(f"/sign-in?return_to={quote(path)}")
        await walk.post("/sign-in", identifier=address, password="wrong one", return_to=path)
        await walk.post("/recover", identifier=address)
        await walk.get("/verify")

    known, unknown = await walked(new_url, tmp_path, address, asks)
    assert_alike(known, unknown)
    assert_as_costly(known, unknown)
    assert known.statuses[:2] == [303, 303]


async def test_the_options_for_a_passkey_name_none(new_url: NewUrl, tmp_path: Path) -> None:
    """S1: a list of passkeys would tell of an account, so any passkey is asked for, and no name is looked at."""

    async def asks(walk: Walk, address: str) -> None:
        await walk.post("/sign-in/passkey/begin", identifier=address, username=address)
        await walk.post("/sign-in/passkey", credential="{}", identifier=address)
        await walk.post("/recover", identifier=address)
        await walk.post("/verify/passkey/begin")
        await walk.post("/verify/passkey", credential="{}")

    known, unknown = await walked(new_url, tmp_path, MAIL, asks)
    assert_alike(known, unknown)
    assert_as_costly(known, unknown)
    assert not re.search(r'"allowCredentials": ?\[\{', known.answers[0])


@pytest.mark.parametrize("address", [MAIL, PHONE])
async def test_adding_anothers_contact_to_an_account_says_nothing_before_it_is_proved(
    new_url: NewUrl, tmp_path: Path, address: str
) -> None:
    """A6, R1: the code goes to its owner, and without it every page is the same."""

    async def asks(walk: Walk, address: str) -> None:
        place = walk.place
        stranger = await ada(place, MINE)
        place.clock.forward(61_000)
        walk.cookies = {"__Host-session": stranger.browser.session, "__Host-device": stranger.browser.device}
        walk.work.take()
        await walk.post("/account/contacts", contact=address)
        await walk.get("/verify")
        await walk.post("/verify", code=await stranger.code(MINE))
        for page in ("/verify", "/account/contacts", "/account/changes", "/account"):
            await walk.get(page)
        await walk.stream()
        await walk.deliver()
        await walk.stream()
        for code in ("000001", "abc", "000002", "000003", "000004", "000005"):
            await walk.post("/verify", code=code)
        for channel in ("email", "sms", "voice"):
            walk.wait(31_000)
            await walk.post("/verify/way", contact="", channel=channel)
            await walk.get("/verify")
        await walk.post("/account/contacts", contact=address)
        await walk.get("/verify")

    known, unknown = await walked(new_url, tmp_path, address, asks)
    assert_alike(known, unknown)
    assert_as_costly(known, unknown)
    assert known.statuses[:3] == [303, 200, 303]


@pytest.mark.parametrize("address", [MAIL, PHONE])
async def test_an_application_learns_nothing_of_our_own_accounts(new_url: NewUrl, tmp_path: Path, address: str) -> None:
    """S1: a verification is the application's own, whatever `subject` it names."""
    told: list[list[str]] = []
    for name, holder in (("known", address), ("unknown", OTHERS[address])):
        async with open_world(new_url(), tmp_path / name, InstallationPolicy()) as (place, app):
            await ada(place, holder)
            draft = ApplicationDraft("shop", ApplicationMode.TEST, "Shop", "shop.example")
            _, key = await add_application(
                place.database, place.accounts.log, place.keyring, draft, 1, secrets.token_bytes
            )
            client, answers = Client(app, key, STRANGER), []
            for subject in ("", address, "u1"):
                for _ in range(4):
                    begun = await client.post("/v1/verifications", {"to": address, "subject": subject or "nobody"})
                    answers.append(begun)
                    if begun.status in {200, 201}:
                        id_ = begun.json["id"]
                        answers.append(await client.get(f"/v1/verifications/{id_}"))
                        answers.append(await client.post(f"/v1/verifications/{id_}/check", {"code": "000001"}))
                        answers.append(await client.post(f"/v1/verifications/{id_}/resend", {}))
                        answers.append(await client.post(f"/v1/verifications/{id_}/cancel", {}))
            answers += [await client.get(path) for path in ("/v1/me", "/v1/me/contacts", "/oauth/userinfo")]
            shown = [f"{one.status} {sorted(one.headers.items())} {one.body.decode()}" for one in answers]
            told.append([re.sub(r"ver_[0-9a-z]{26}|ref_[0-9a-f]{16}", "ID", one) for one in shown])
    assert told[0] == told[1]
    assert len(told[0]) > 20


async def busy(place: Place, address: str) -> None:
    """An owner who signs in several times on new browsers."""
    await ada(place, address)
    place.clock.forward(2 * DAY)
    for _ in range(6):
        place.clock.forward(61_000)
        assert isinstance(await Visitor(place).signs_in(address), CodeRequested)


@pytest.mark.parametrize("path", ["/recover", "/sign-up"])
async def test_what_the_owner_does_uses_up_nothing_that_a_stranger_sees(
    new_url: NewUrl, tmp_path: Path, path: str
) -> None:
    """L1, R1: a stranger who meets a limit early would learn that somebody signs in with this address."""

    async def asks(walk: Walk, address: str) -> None:
        for number in range(14):
            walk.ip = f"192.0.2.{number}"
            await walk.post(path, identifier=address, name="Kim", password="correct horse battery")
            await walk.get("/verify")
            walk.forget()

    known, unknown = await walked(new_url, tmp_path, MAIL, asks, owner=busy, rules=InstallationPolicy())
    assert_alike(known, unknown)
    assert 429 in known.statuses or path == "/recover"  # which goes on without a message, for recovery codes
