"""Signing out at the wish of an application: only this session, and back only to an address that it registered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from tests.web.pages.page_browser import PageBrowser, signed_up

from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.maintenance.applications import add_application, remove_application
from countersign.store.tables import applications

if TYPE_CHECKING:
    from countersign.wiring import Runtime

BACK = "https://shop.example/signed-in"
OUT = "https://shop.example/bye?x=1"


async def shop(runtime: Runtime) -> Application:
    """Return a relying party."""
    draft = ApplicationDraft("shop", ApplicationMode.LIVE, redirect_uris=(BACK,), post_logout_redirect_uris=(OUT,))
    added, _ = await add_application(
        runtime.core.database, runtime.accounts.log, runtime.core.keyring, draft, 1, os.urandom
    )
    return added


def hint(runtime: Runtime, client: Application, session: str) -> str:
    """Return an ID token of this session, as the shop got it."""
    return runtime.core.keyring.primary.sign_identity({"aud": client.id, "sid": session, "sub": "acc_x"})


async def leaves(browser: PageBrowser, **asked: str) -> tuple[int, str]:
    """Open the page; return its status and where it leads."""
    answer = await browser.get("/oauth/sign-out?" + urlencode(asked))
    return answer.status, answer.headers.get("location", "")


async def test_a_token_of_this_very_session_signs_out_and_leads_back(runtime: Runtime) -> None:
    client, browser = await shop(runtime), await signed_up(runtime)
    session = await browser.session()
    assert session is not None
    token = hint(runtime, client, session.id)
    assert await leaves(browser, id_token_hint=token, post_logout_redirect_uri=OUT, state="s t") == (
        303,
        f"{OUT}&state=s+t",
    )
    assert await browser.session() is None


async def test_no_other_link_signs_anybody_out(runtime: Runtime) -> None:
    """H5: the page asks; a link in a forum signs nobody out."""
    client, browser = await shop(runtime), await signed_up(runtime)
    proof = runtime.core.keyring.primary.sign({"aud": client.id, "sid": "x"})
    session = await browser.session()
    assert session is not None
    for asked in (
        {},
        {"client_id": client.id},
        {"id_token_hint": hint(runtime, client, "ses_another")},
        {"id_token_hint": "no.token.atall"},
        {"id_token_hint": proof},
        {"id_token_hint": runtime.core.keyring.primary.sign({"aud": client.id, "sid": session.id})},
    ):
        assert await leaves(browser, **asked) == (200, ""), asked
        assert await browser.session() is not None
    assert (await browser.post("/oauth/sign-out", {})).headers["location"] == "/sign-in"
    assert await browser.session() is None


@pytest.mark.parametrize("wanted", ["https://evil.example/", BACK, f"{OUT}&y=2", "//evil.example", "/account", ""])
async def test_it_leads_to_no_address_that_was_not_registered_for_it(runtime: Runtime, wanted: str) -> None:
    """S8: neither for who is signed in, nor for who is not."""
    client, browser = await shop(runtime), PageBrowser(runtime)
    asked = {"client_id": client.id, "post_logout_redirect_uri": wanted}
    assert await leaves(browser, **asked) == (303, "/sign-in")
    assert (await browser.post("/oauth/sign-out", asked)).headers["location"] == "/sign-in"


async def test_it_leads_back_only_while_the_application_is_there(runtime: Runtime) -> None:
    client, browser = await shop(runtime), PageBrowser(runtime)
    asked = {"client_id": client.id, "post_logout_redirect_uri": OUT}
    assert await leaves(browser, **asked) == (303, OUT)
    assert await leaves(browser, client_id="app_unknown", post_logout_redirect_uri=OUT) == (303, "/sign-in")
    await remove_application(runtime.core.database, runtime.accounts.log, "shop", runtime.core.clock())
    assert await leaves(browser, **asked) == (303, "/sign-in")


async def test_the_application_is_that_of_the_token_and_not_of_the_address(runtime: Runtime) -> None:
    """A client_id beside a token of another application does not count."""
    client, browser = await shop(runtime), PageBrowser(runtime)
    draft = ApplicationDraft("other", ApplicationMode.LIVE, post_logout_redirect_uris=("https://other.example/",))
    other, _ = await add_application(
        runtime.core.database, runtime.accounts.log, runtime.core.keyring, draft, 1, os.urandom
    )
    asked = {"id_token_hint": hint(runtime, other, "x"), "client_id": client.id, "post_logout_redirect_uri": OUT}
    assert await leaves(browser, **asked) == (303, "/sign-in")


async def test_a_parameter_that_comes_twice_is_no_request(runtime: Runtime) -> None:
    """RFC 6749, 3.1."""
    client = await shop(runtime)
    browser = PageBrowser(runtime)
    query = urlencode([("client_id", client.id), ("redirect_uri", BACK), ("redirect_uri", BACK)])
    answer = await browser.get(f"/oauth/authorize?{query}")
    assert answer.status == 400
    assert b"twice" in answer.body
    out = urlencode([("client_id", client.id), ("client_id", client.id), ("post_logout_redirect_uri", OUT)])
    assert (await browser.get(f"/oauth/sign-out?{out}")).headers["location"] == "/sign-in"


OTHER = {"origin": "https://shop.example", "sec-fetch-site": "cross-site"}
PERSON = {"accept": "text/html"}


async def test_a_form_of_another_site_asks_the_person(runtime: Runtime) -> None:
    """RP-Initiated Logout 1.0, 2, and H5: served by POST as by GET, and nobody is signed out before the button is pressed."""
    client, browser = await shop(runtime), await signed_up(runtime)
    session = await browser.session()
    assert session is not None
    asked = {"id_token_hint": hint(runtime, client, session.id), "post_logout_redirect_uri": OUT, "state": "s <b>"}
    for headers in (OTHER, {"origin": "null", "sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        answer = await browser.post("/oauth/sign-out", {**asked, "evil": "<script>"}, **headers)
        assert answer.status == 200
        page = answer.body.decode()
        assert "Do you want to sign out?" in page
        assert 'action="/oauth/sign-out"' in page
        assert "<script>" not in page
        assert 'name="state" value="s &lt;b&gt;"' in page
        assert await browser.session() is not None
    left = await browser.post("/oauth/sign-out", asked)
    assert (left.status, left.headers["location"]) == (303, f"{OUT}&state=s+%3Cb%3E")
    assert await browser.session() is None


async def test_the_page_that_asks_names_the_application(runtime: Runtime) -> None:
    """J6: by what the operator registered, and only where it is known."""
    client, browser = await shop(runtime), await signed_up(runtime)
    page = (await browser.get("/oauth/sign-out?" + urlencode({"client_id": client.id, "site": "Evil"}))).body.decode()
    assert "\u2068shop\u2069 asks for this." in page
    assert "asks for this" not in (await browser.get("/oauth/sign-out?client_id=app_unknown")).body.decode()


async def test_a_browser_that_pressed_our_button_leaves_by_a_page_of_ours(runtime: Runtime) -> None:
    """J1: decision 0049; the application's page may redirect as it likes. The address is an attribute, whatever it holds."""
    await shop(runtime)
    browser = await signed_up(runtime)
    client_id = (await runtime.core.database.read(applications.list_all))[-1].id
    fields = {"client_id": client_id, "post_logout_redirect_uri": OUT, "state": '"><script>'}
    answer = await browser.post("/oauth/sign-out", fields, **{"sec-fetch-mode": "navigate"})
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    page = answer.body.decode()
    assert f'<meta http-equiv="refresh" content="0;url={OUT}&amp;state=%22%3E%3Cscript%3E">' in page
    assert await browser.session() is None


@pytest.mark.parametrize("state", ["x" * 2_001, "\u00e9" * 1_000, "x" * 20_000])
async def test_a_state_that_could_not_come_back_whole_signs_nobody_out(runtime: Runtime, state: str) -> None:
    """J1: refused before anything, by GET and by POST; the page has a way on."""
    client, browser = await shop(runtime), await signed_up(runtime)
    session = await browser.session()
    assert session is not None
    asked = {"id_token_hint": hint(runtime, client, session.id), "post_logout_redirect_uri": OUT, "state": state}
    for answer in (
        await browser.get("/oauth/sign-out?" + urlencode(asked)),
        await browser.post("/oauth/sign-out", asked),
        await browser.post("/oauth/sign-out", asked, **OTHER),
    ):
        assert answer.status == 400
        assert b'href="/account"' in answer.body
        assert "location" not in answer.headers
    assert await browser.session() is not None
