"""Where a person is led after signing in: to a page of ours or to a registered address, and no form is carried out on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.web.browser import PASSWORD, Browser
from tests.web.test_oidc import BACK, added

from countersign.store.engine.database import Rows, Sql

if TYPE_CHECKING:
    from countersign.web.http.application import WebApplication
    from countersign.wiring import Runtime

ADA = "ada@example.org"


@pytest_asyncio.fixture
async def ada(app: WebApplication, runtime: Runtime) -> Browser:
    """A person with an account."""
    person = Browser(app, runtime)
    await person.sign_up()
    return person


async def signs_in(app: WebApplication, runtime: Runtime, return_to: str) -> str:
    """Sign in with a new browser; return where it is led."""
    browser = Browser(app, runtime)
    await browser.post("/sign-in", identifier=ADA, password=PASSWORD, return_to=return_to)
    page = await browser.get("/verify")
    return (await browser.post("/verify", code=await browser.code(), **page.hidden("/verify"))).location


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "//evil.example/account",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "http://localhost:8000.evil.example/",
        "javascript:alert(1)",
        "evil.example",
        "/\t/evil.example",
        "/\u2028",
        "",
        "/" + "x" * 4_000,
        BACK + "/",
        BACK + "?x=y",
    ],
)
async def test_nobody_is_led_elsewhere(app: WebApplication, runtime: Runtime, ada: Browser, elsewhere: str) -> None:
    """S2."""
    await added(app, runtime, "shop")
    assert (await ada.get("/account")).status == 200
    assert await signs_in(app, runtime, elsewhere) == "/account"


async def test_our_own_pages_and_registered_addresses_are_reached(
    app: WebApplication, runtime: Runtime, ada: Browser
) -> None:
    """S2."""
    await added(app, runtime, "shop")
    assert (await ada.get("/account")).status == 200
    for where in ("/account/contacts", "/account/changes?x=y", BACK):
        assert await signs_in(app, runtime, where) == where


@pytest.mark.parametrize(
    "act", ["/account/methods/recovery-codes", "/account/end", "/account/contacts/remove", "/account/methods/app"]
)
async def test_a_page_that_was_asked_for_carries_no_form_out(
    app: WebApplication, runtime: Runtime, ada: Browser, act: str
) -> None:
    """U1: only a form that was sent goes on after the proof. A link to its address is followed, and that is all."""

    async def made() -> Rows:
        return await Sql("SELECT (SELECT count(*) FROM changes), (SELECT count(*) FROM factors), count(*) FROM visits")

    before = await runtime.core.database.read(made)
    assert await signs_in(app, runtime, act) == act
    assert await runtime.core.database.read(made) == before
    assert (await ada.get("/account")).status == 200
