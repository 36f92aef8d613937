"""What the owner of an account is shown on its pages, and what the forms there do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
from tests.web.browser import Browser
from tests.web.conftest import change

if TYPE_CHECKING:
    from countersign.web.http.application import WebApplication
    from countersign.wiring import Runtime

ADDRESS: Final = "joanna57@example.org"
MASK: Final = "jo…57@example.org"


@pytest.fixture
def browser(app: WebApplication, runtime: Runtime) -> Browser:
    """A browser that nobody has signed in."""
    return Browser(app, runtime)


async def proves(browser: Browser) -> None:
    """Type the code that was just asked for."""
    done = await browser.post("/verify", code=await browser.code())
    assert done.status == 303, done


async def test_contacts_are_whole_after_a_code_and_masked_later(browser: Browser, runtime: Runtime) -> None:
    """A10: a session whose proof is over sees a mask that it can open by a further proof."""
    await browser.sign_up(ADDRESS)
    for page in ("/account", "/account/contacts", "/account/activity"):
        text = (await browser.get(page)).text
        assert ADDRESS in text, page
        assert "/account/contacts/show" not in text, page
    await change(runtime, "UPDATE sessions SET proofs = '[]'")
    for page in ("/account", "/account/contacts", "/account/activity"):
        text = (await browser.get(page)).text
        assert ADDRESS not in text, page
        assert MASK in text, page
    shown = await browser.post("/account/contacts/show")
    assert shown.location == "/verify"
    assert ADDRESS not in (await browser.get("/verify")).text
    await proves(browser)
    assert ADDRESS in (await browser.get("/account/contacts")).text


async def test_the_page_of_activity_lists_the_first_code_and_promises_nothing_that_is_not_so(browser: Browser) -> None:
    """A10: right after the sign-up; by which way, where to, when, and how far it is."""
    await browser.sign_up(ADDRESS)
    text = (await browser.get("/account/activity")).text
    assert "Your code to create your account" in text
    assert "by email" in text
    assert "did not come from us" not in text
    assert "We have not sent you any messages yet." not in text
    assert "/is-this-us" in text


async def test_times_are_those_of_the_browser_else_of_the_account_else_of_utc(
    browser: Browser, runtime: Runtime
) -> None:
    """J7: a zone that is none is not believed, and no loopback address is called a place."""
    await browser.sign_up(ADDRESS)
    assert "UTC" in (text := (await browser.get("/account/activity")).text)
    assert "127.0.0.1" not in (await browser.get("/account/sessions")).text
    await change(runtime, "UPDATE accounts SET timezone = 'Asia/Tokyo'")
    tokyo = (await browser.get("/account/activity")).text
    assert "UTC+9" in tokyo or "JST" in tokyo
    assert (await browser.post("/zone", zone="Mars/Olympus")).status == 204
    assert "__Host-zone" not in browser.cookies
    assert (await browser.post("/zone", zone="Europe/Berlin")).status == 204
    berlin = (await browser.get("/account/activity")).text
    assert "UTC+1" in berlin or "UTC+2" in berlin or "CET" in berlin or "CEST" in berlin
    for wrong in ("../../etc/passwd", "Mars/Olympus", "x" * 900):
        browser.cookies["__Host-zone"] = wrong
        assert (await browser.get("/account/activity")).text == tokyo, wrong
    assert text != tokyo


async def test_the_profile_is_saved_and_what_is_wrong_is_said(browser: Browser) -> None:
    """J7: by POST, redirect, GET."""
    await browser.sign_up(ADDRESS)
    shown = (await browser.get("/account/profile")).text
    assert 'value="Ada"' in shown
    assert "Deutsch" in shown
    saved = await browser.post("/account/profile", name="Ada L.", language="fr", timezone="Europe/Paris")
    assert saved.location == "/account/profile?done=saved"
    shown = (await browser.get("/account/profile")).text
    assert 'value="Ada L."' in shown
    assert '<option value="fr" lang="fr" selected>' in shown
    wrong = await browser.post("/account/profile", name="", language="xx", timezone="Mars")
    assert wrong.status == 422
    # Each stands at its field, and in the summary above.
    assert wrong.text.count("Choose one from the list.") == 4


async def test_the_data_is_downloaded_once_after_a_proof(browser: Browser) -> None:
    """P1: the message names the act."""
    await browser.sign_up(ADDRESS)
    assert (await browser.post("/account/data/file")).location == "/account/data"
    assert (await browser.post("/account/data")).location == "/verify"
    assert "Download everything we store about you" in (await browser.get("/verify")).text
    await proves(browser)
    assert "/account/data/file" in (await browser.get("/account/data")).text
    found = await browser.post("/account/data/file")
    assert json.loads(found.text)["contacts"][0]["address"] == ADDRESS
    assert (await browser.post("/account/data/file")).location == "/account/data"


async def test_the_account_is_deleted_after_a_proof_and_kept_by_a_press(browser: Browser) -> None:
    """P1: the page says when, and both pages offer to keep it."""
    await browser.sign_up(ADDRESS)
    assert (await browser.post("/account/data/delete")).location == "/verify"
    assert "Delete your account" in (await browser.get("/verify")).text
    await proves(browser)
    for page in ("/account", "/account/data"):
        text = (await browser.get(page)).text
        assert "Your account will be deleted on" in text, page
        assert "/account/data/keep" in text, page
    assert (await browser.post("/account/data/keep")).location == "/account/data?done=kept"
    assert "Your account will be deleted on" not in (await browser.get("/account")).text
    assert (await browser.post("/account/data/keep")).location == "/account/data?done=nothing"
