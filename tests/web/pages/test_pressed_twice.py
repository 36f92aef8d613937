"""A form that is sent twice acts once, also in a browser that has no cookie yet (semantics J4)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.web.browser import Page
from tests.web.pages.page_browser import ADA, PASSWORD, PageBrowser, signed_up

from countersign.store.engine.database import Sql
from countersign.web.http.cookies import DEVICE, FLOW, SESSION

if TYPE_CHECKING:
    from tests.web.client import Answer

    from countersign.wiring import Runtime


async def sent(runtime: Runtime) -> int:
    """Return how many messages were promised."""

    async def count() -> int:
        found: int = (await Sql("SELECT count(*) FROM deliveries"))[0][0]
        return found

    return await runtime.core.database.read(count)


def hidden(answer: Answer, action: str) -> dict[str, str]:
    """Return the hidden fields of the form of a page."""
    return Page(answer.status, "", answer.body.decode()).hidden(action)


async def twice(browser: PageBrowser, path: str, fields: dict[str, str]) -> Answer:
    """Send a form twice at once; return the second answer, which alone the browser keeps."""
    lost = PageBrowser(browser.runtime)
    lost.cookies = dict(browser.cookies)
    _, kept = await asyncio.gather(lost.post(path, fields), browser.post(path, fields))
    return kept


@pytest.mark.parametrize("path", ["/sign-up", "/sign-in", "/recover"])
async def test_one_code_is_sent_to_a_browser_that_has_never_been_here(runtime: Runtime, path: str) -> None:
    """J4: the page brings the cookie, so both presses come from one browser."""
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    page = await browser.get(path)
    assert set(browser.cookies) == {DEVICE}
    to = "bob@example.org" if path == "/sign-up" else ADA
    before = await sent(runtime)
    fields = {"name": "Bob", "identifier": to, "password": PASSWORD, **hidden(page, path)}
    assert (await twice(browser, path, fields)).headers["location"] == "/verify"
    assert await sent(runtime) == before + 1
    assert (await browser.types()).headers["location"] in {"/account", "/recover/password"}


async def test_the_second_press_of_a_right_code_lets_the_person_in(runtime: Runtime) -> None:
    """J4: the answer to the first one never arrives."""
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    await browser.signs_in(return_to="/account/contacts")
    page = await browser.get("/verify")
    fields = {"code": await browser.code(), **hidden(page, "/verify")}
    lost = PageBrowser(runtime)
    lost.cookies = dict(browser.cookies)
    assert (await lost.post("/verify", fields)).headers["location"] == "/account/contacts"
    assert (await browser.post("/verify", fields)).headers["location"] in {"/account/contacts", "/verify"}
    await browser.get("/verify")
    assert browser.cookies[SESSION] == lost.cookies[SESSION]
    assert await browser.session() is not None


async def test_presses_at_one_moment_let_the_person_in(runtime: Runtime) -> None:
    """J4: whichever of the two is the first."""
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    await browser.signs_in()
    page = await browser.get("/verify")
    await twice(browser, "/verify", {"code": await browser.code(), **hidden(page, "/verify")})
    await browser.get("/verify")
    assert await browser.session() is not None


async def test_a_session_is_handed_over_to_its_own_browser_alone_and_not_for_long(runtime: Runtime) -> None:
    """J4, S2: the secret of the flow alone gives nothing, nor after two minutes, nor after signing out."""
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    await browser.signs_in()
    begun, code = dict(browser.cookies), await browser.code()
    await browser.types()
    other = PageBrowser(runtime)
    other.cookies = {FLOW: begun[FLOW], DEVICE: "x" * 43}
    await other.post("/verify", {"code": code})
    await other.get("/verify")
    assert SESSION not in other.cookies
    await browser.post("/sign-out", {})
    late = PageBrowser(runtime)
    late.cookies = begun
    await late.post("/verify", {"code": code})
    await late.get("/verify")
    assert SESSION not in late.cookies


async def test_a_wrong_code_that_is_sent_twice_costs_one_guess(runtime: Runtime) -> None:
    """J4, C5: and another one counts, whatever was sent before it."""
    browser = PageBrowser(runtime)
    await browser.post("/sign-up", {"name": "Ada", "identifier": ADA, "password": PASSWORD})
    right = int(await browser.code())
    fields = hidden(await browser.get("/verify"), "/verify")
    await twice(browser, "/verify", {"code": f"{(right + 1) % 1_000_000:06}", **fields})
    view = await browser.sees()
    assert view is not None
    assert view.challenge is not None
    assert view.challenge.guesses == 1
    await browser.post("/verify", {"code": f"{(right + 2) % 1_000_000:06}", **fields})
    view = await browser.sees()
    assert view is not None
    assert view.challenge is not None
    assert view.challenge.guesses == 2


async def test_the_buttons_of_the_screen_act_once(runtime: Runtime) -> None:
    """J4: a new code, and another address."""
    browser = PageBrowser(runtime)
    await browser.post("/sign-up", {"name": "Ada", "identifier": ADA, "password": PASSWORD})
    before = await sent(runtime)
    fields = hidden(await browser.get("/verify"), "/verify/address")
    answer = await twice(browser, "/verify/address", {"identifier": "ada@example.com", **fields})
    assert answer.headers["location"] == "/verify"
    assert await sent(runtime) == before + 1
    assert (await browser.types()).headers["location"] == "/account"


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up", "/recover", "/recover/lost"])
async def test_a_browser_that_drops_cookies_is_told_so_before_a_message_is_sent(runtime: Runtime, path: str) -> None:
    """J1: every time, and the way back is kept."""
    await signed_up(runtime)
    before = await sent(runtime)
    for _ in range(3):
        browser = PageBrowser(runtime)
        page = await browser.get(f"{path}?return_to=/account/contacts")
        fields = hidden(page, path)
        browser.cookies.clear()
        typed = {"name": "A", "identifier": ADA, "contact": "b@example.org", "password": PASSWORD}
        answer = await browser.post(path, {**typed, **fields})
        assert b"Allow cookies" in answer.body
        assert f'href="{path}?return_to=/account/contacts"'.encode() in answer.body
    assert await sent(runtime) == before
