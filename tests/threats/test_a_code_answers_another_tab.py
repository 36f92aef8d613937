"""Two tabs of one browser wait for a code. What is typed in one must not answer the question of the other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec
import pytest
import pytest_asyncio
from tests.web.browser import PASSWORD, Browser
from tests.web.conftest import _made_home, app, open_house, runtime

from countersign.domain.shared.application import ApplicationDraft, ApplicationMode
from countersign.flows.maintenance.applications import add_application
from countersign.flows.oidc.pushed_request import PushedRequest, push_request
from countersign.store.engine.database import Rows, Sql

if TYPE_CHECKING:
    from countersign.web.http.application import WebApplication
    from countersign.wiring import Runtime

__all__ = ["_made_home", "app", "open_house", "runtime"]

BACK = "https://shop.example/signed-in"
OUT_OF_DATE = "This page is out of date"


@pytest_asyncio.fixture
async def ada(app: WebApplication, runtime: Runtime) -> Browser:
    """A person who is signed in."""
    person = Browser(app, runtime)
    await person.sign_up()
    return person


async def pays(browser: Browser, runtime: Runtime, name: str = "shop") -> str:
    """Let an application ask for a payment in this browser; return its name."""
    draft = ApplicationDraft(name, ApplicationMode.LIVE, "Evil", "localhost", redirect_uris=(BACK,))
    database, log, keyring = runtime.core.database, runtime.accounts.log, runtime.core.keyring
    shop, _ = await add_application(database, log, keyring, draft, runtime.core.clock(), os.urandom)
    act = {"type": "urn:countersign:action", "summary": "Pay EUR 5", "hash": "h"}
    params = {
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "authorization_details": msgspec.json.encode([act]).decode(),
    }
    pushed = await push_request(runtime.accounts, shop, params)
    assert isinstance(pushed, PushedRequest)
    query = urlencode({"client_id": shop.id, "request_uri": pushed.request_uri})
    assert (await browser.get(f"/oauth/authorize?{query}")).location == "/verify"
    return "Evil"


async def guesses(runtime: Runtime) -> int:
    """Return how many guesses the newest challenge has left behind."""

    async def newest() -> Rows:
        return await Sql("SELECT guesses FROM challenges ORDER BY begun_at DESC, id DESC LIMIT 1")

    rows = await runtime.core.database.read(newest)
    found: int = rows[0][0]
    return found


async def test_a_code_typed_under_another_question_answers_nothing_there(ada: Browser, runtime: Runtime) -> None:
    """P6: it counts for the question of its own tab, and costs the other one nothing."""
    assert (await ada.post("/account/methods/recovery-codes")).location == "/verify"
    first = await ada.get("/verify")
    await pays(ada, runtime)
    second = await ada.get("/verify")
    assert "Pay EUR 5" in second.text
    assert second.hidden("/verify")["flow"] != first.hidden("/verify")["flow"]
    code = await ada.code()
    answer = await ada.post("/verify", code=code, **first.hidden("/verify"))
    page = await ada.get(answer.location)
    assert "This is not the right code" in page.text
    assert page.hidden("/verify")["flow"] == first.hidden("/verify")["flow"]
    assert await guesses(runtime) == 0
    approved = await ada.post("/verify", code=code, **second.hidden("/verify"))
    assert approved.location.startswith("/oauth/authorize?")


async def test_both_codes_of_two_tabs_are_good_in_their_own_tab(ada: Browser, runtime: Runtime) -> None:
    """J1, P6: the earlier tab is answered first, and neither costs the other one a guess."""
    await pays(ada, runtime)
    first, first_code = await ada.get("/verify"), await ada.code()
    await pays(ada, runtime, "another shop")
    second, second_code = await ada.get("/verify"), await ada.code()
    approved = await ada.post("/verify", code=first_code, **first.hidden("/verify"))
    assert approved.location.startswith("/oauth/authorize?")
    assert await guesses(runtime) == 0
    also = await ada.post("/verify", code=second_code, **second.hidden("/verify"))
    assert also.location.startswith("/oauth/authorize?")
    assert also.location != approved.location


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/verify", {"code": "000000"}),
        ("/verify/resend", {}),
        ("/verify/new", {}),
        ("/verify/address", {"identifier": "eve@example.org"}),
        ("/verify/cancel", {}),
        ("/verify/way", {"contact": "x", "channel": "email"}),
        ("/verify/app", {"code": "000000"}),
        ("/verify/recovery-code", {"code": "x"}),
        ("/verify/passkey", {"credential": "{}"}),
        ("/recover/password", {"password": "a better battery staple"}),
        ("/account/methods/app/confirm", {"code": "000000"}),
        ("/account/methods/passkey/made", {"credential": "{}"}),
    ],
)
async def test_no_form_of_a_flow_acts_on_another_one(
    ada: Browser, runtime: Runtime, path: str, fields: dict[str, str]
) -> None:
    """P6: a mark that is made up, empty, or another browser's."""
    assert (await ada.post("/account/methods/recovery-codes")).location == "/verify"
    stale = (await ada.get("/verify")).hidden("/verify")["flow"]
    del ada.cookies["__Host-visit"]
    await pays(ada, runtime)
    for mark in (stale, "", "0" * 32, "\u00e9"):
        page = await ada.post(path, flow=mark, **fields)
        assert page.status == 409, page
        assert OUT_OF_DATE in page.text
    assert await guesses(runtime) == 0
    assert (await ada.get("/verify")).status == 200


async def test_the_options_and_the_stream_are_those_of_the_page(ada: Browser, runtime: Runtime) -> None:
    """P6: a page of another browser gets neither the passkey options nor the progress of a flow."""
    assert (await ada.post("/account/methods/recovery-codes")).location == "/verify"
    stale = (await ada.get("/verify")).hidden("/verify")["flow"]
    del ada.cookies["__Host-visit"]
    await pays(ada, runtime)
    assert (await ada.post("/verify/passkey/begin", flow=stale)).status == 404
    assert (await ada.get(f"/verify/events?flow={stale}")).status == 404


async def test_every_form_of_the_screen_carries_the_mark(ada: Browser) -> None:
    """P6: and the mark says nothing of the secret."""
    await ada.post("/account/methods/recovery-codes")
    page = await ada.get("/verify")
    forms = page.text.count('action="/verify')
    assert forms >= 2
    assert page.text.count('name="flow"') == forms
    mark = page.hidden("/verify")["flow"]
    assert len(mark) == 32
    assert not any(mark in cookie or cookie in page.text for cookie in ada.cookies.values())


async def test_a_program_that_sends_no_mark_answers_the_flow_of_its_cookie(
    app: WebApplication, runtime: Runtime
) -> None:
    """P6: the field names of the contract are enough, because a cookie names one flow."""
    program = Browser(app, runtime)
    await program.sign_up()
    other = Browser(app, runtime)
    begun = await other.post("/sign-in", identifier="ada@example.org", password=PASSWORD)
    assert begun.location == "/verify"
    assert (await other.post("/verify", code=await other.code(), remember="yes")).location == "/account"
