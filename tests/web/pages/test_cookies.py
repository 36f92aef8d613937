"""The cookies of pages: kept from scripts and other hosts, and worth nothing if there are two of a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.web.pages.page_browser import PageBrowser, signed_up

from countersign.web.http.cookies import DEVICE, FLOW, SESSION

if TYPE_CHECKING:
    from countersign.wiring import Runtime


async def test_every_cookie_is_the_hosts_own_and_no_script_reads_it(runtime: Runtime) -> None:
    """H5: in a sign-up, in a sign-in and when it ends."""
    browser = PageBrowser(runtime)
    asked = await browser.post(
        "/sign-up", {"name": "Ada", "identifier": "ada@example.org", "password": "correct horse battery"}
    )
    entered = await browser.types()
    left = await browser.post("/sign-out", {})
    lines = [*asked.cookies, *entered.cookies, *left.cookies]
    assert {line.partition("=")[0] for line in lines} == {SESSION, DEVICE, FLOW}
    for line in lines:
        _, *attributes = [part.strip() for part in line.split(";")]
        assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(attributes), line
        assert not any(attribute.startswith("Domain") for attribute in attributes), line
        assert line.startswith("__Host-")


async def test_a_session_that_ended_leaves_no_cookie(runtime: Runtime) -> None:
    """S8: neither the flow's cookie after a sign-in, nor the session's after signing out."""
    browser = await signed_up(runtime)
    assert set(browser.cookies) == {SESSION, DEVICE}
    session = browser.cookies[SESSION]
    await browser.post("/sign-out", {})
    assert set(browser.cookies) == {DEVICE}
    browser.cookies[SESSION] = session
    assert await browser.session() is None
    assert (await browser.get("/account")).status == 303


@pytest.mark.parametrize("order", ["first", "last"])
async def test_of_two_cookies_of_one_name_neither_counts(runtime: Runtime, order: str) -> None:
    """H5: another host wrote one of them, and nobody knows which."""
    browser = await signed_up(runtime)
    session = browser.cookies[SESSION]
    pair = f"{SESSION}={session}; {SESSION}=another" if order == "first" else f"{SESSION}=another; {SESSION}={session}"
    assert (await browser.get("/account")).status == 200
    answer = await browser.get("/account", cookie=pair)
    assert (answer.status, answer.headers["location"][:8]) == (303, "/sign-in")


@pytest.mark.parametrize("value", ["", "x" * 65, "with space", "ä"])
async def test_a_cookie_that_is_no_secret_counts_as_none(runtime: Runtime, value: str) -> None:
    """H5."""
    answer = await PageBrowser(runtime).get("/account", cookie=f"{SESSION}={value}")
    assert answer.status == 303
