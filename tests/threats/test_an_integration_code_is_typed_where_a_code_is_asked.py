"""A thief has an integration code, or hopes that some other secret passes for one: neither opens what it is not for (semantics I2)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from tests.flows.authenticators import enrols_app, recovery_codes
from tests.flows.integration_codes import made
from tests.flows.people import ADA, PASSWORD, Visitor, ada

from countersign.flows.accounts.authenticator import InvalidCode
from countersign.flows.accounts.context import BrowserContext, CodeRequested, InvalidCredentials
from countersign.flows.accounts.sessions import find_session
from countersign.flows.changes.integration_codes import verify_code
from countersign.flows.maintenance.applications import ApplicationDirectory
from countersign.flows.oidc.token import exchange_code, userinfo
from countersign.flows.sign_in.authenticator import prove_with_app, prove_with_recovery_code
from countersign.flows.verifications.results import Refused

if TYPE_CHECKING:
    from tests.flows.place import Place


async def test_it_is_accepted_nowhere_else(home: Place) -> None:
    """I2: not as a password, a code, an app's or a recovery code, a cookie, an application's key or an access token."""
    visitor = await ada(home)
    code = await made(visitor)
    thief = Visitor(home)
    assert isinstance(await thief.signs_in(password=code), InvalidCredentials)
    assert isinstance(await thief.signs_in(), CodeRequested)
    refused = await thief.types(code)
    assert isinstance(refused, Refused)
    assert refused.refusal.value == "wrong_code"
    assert await find_session(home.accounts, BrowserContext(session=code)) is None
    assert await ApplicationDirectory(home.database, home.keyring, home.clock).authenticate(code) is None
    assert await userinfo(home.accounts, code) is None
    from tests.flows.place import SHOP

    assert await exchange_code(home.accounts, SHOP, code, "https://shop.example/back", "v") is None
    assert isinstance(await thief.recovers(), CodeRequested)
    assert isinstance(await prove_with_recovery_code(home.accounts, thief.browser, code, remember=False), InvalidCode)
    home.clock.forward(61_000)
    await enrols_app(visitor)
    assert isinstance(await thief.signs_in(), CodeRequested)
    assert isinstance(await prove_with_app(home.accounts, thief.browser, code, remember=False), InvalidCode)


@pytest.mark.parametrize("what", ["password", "one-time code", "session", "device", "recovery code", "application key"])
async def test_nothing_else_is_accepted_for_it(home: Place, what: str) -> None:
    """I2: also not when it is put into the form of one."""
    visitor = await ada(home)
    await made(visitor)
    home.clock.forward(61_000)
    secret = {
        "password": PASSWORD,
        "session": visitor.browser.session,
        "device": visitor.browser.device,
        "application key": "csk_test_" + "a" * 39,
    }.get(what)
    if what == "recovery code":
        secret = (await recovery_codes(visitor))[0]
    elif what == "one-time code":
        other = Visitor(home)
        assert isinstance(await other.signs_in(), CodeRequested)
        secret = await other.code(ADA)
    assert secret
    dressed = "csi_" + base64.b32encode(secret.encode()[:24].ljust(24, b"0")).decode().rstrip("=").lower()
    for text in (secret, f"csi_{secret}", dressed, dressed + "aaaaaaa"):
        assert await verify_code(home.accounts, text, "") is None
