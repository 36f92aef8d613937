"""The answer to a form is a redirect, and what came of it is said once, on the page (semantics J2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.web.pages.page_browser import ADA, PASSWORD, PageBrowser, signed_up

from countersign.web.http.cookies import FLASH

if TYPE_CHECKING:
    from countersign.wiring import Runtime

SIGN_UP = {"name": "Ada", "identifier": ADA, "password": PASSWORD}


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        (
            "/sign-in",
            {"identifier": ADA, "password": "wrong"},
            b"Check your email address or phone number, and your password.",
        ),
        ("/sign-up", {**SIGN_UP, "identifier": "nothing"}, b'id="identifier-fault"'),
        ("/sign-up", {**SIGN_UP, "password": "short"}, b'id="password-fault"'),
        ("/recover", {"identifier": "nothing"}, b'id="identifier-fault"'),
        ("/recover/lost", {"identifier": ADA, "contact": "nothing"}, b'id="contact-fault"'),
    ],
)
async def test_a_fault_is_said_once_and_the_form_is_filled_again(
    runtime: Runtime, path: str, fields: dict[str, str], words: bytes
) -> None:
    """J2: what was typed stands in it, but no password; the way back is kept."""
    browser = PageBrowser(runtime)
    answer = await browser.post(path, {**fields, "return_to": "/account/contacts"})
    assert (answer.status, answer.body) == (303, b"")
    where = answer.headers["location"]
    assert where == f"{path}?return_to=/account/contacts"
    shown = await browser.get(where)
    assert shown.status == 422
    assert words in shown.body
    assert f'value="{fields["identifier"]}"'.encode() in shown.body
    assert PASSWORD.encode() not in shown.body
    assert b'name="return_to" value="/account/contacts"' in shown.body
    again = await browser.get(where)
    assert again.status == 200
    assert words not in again.body


async def test_a_wrong_code_is_counted_once_however_often_the_page_is_loaded(runtime: Runtime) -> None:
    """J2, C5."""
    browser = PageBrowser(runtime)
    await browser.post("/sign-up", SIGN_UP)
    wrong = f"{(int(await browser.code()) + 1) % 1_000_000:06}"
    shown = await browser.submits("/verify", {"code": wrong})
    assert b"4 tries left" in shown.body
    for _ in range(3):
        assert b"tries left" not in (await browser.get("/verify")).body
    assert b"3 tries left" in (await browser.submits("/verify", {"code": wrong})).body


@pytest.mark.parametrize(
    "path",
    [
        "/verify/resend",
        "/verify/new",
        "/verify/way",
        "/verify/address",
        "/verify/app",
        "/verify/recovery-code",
        "/verify/passkey",
        "/verify/cancel",
    ],
)
async def test_the_address_of_a_button_leads_to_the_screen(runtime: Runtime, path: str) -> None:
    """J2: a tab that is opened again, or a reload after an answer was lost, is no raw error and does nothing."""
    browser = PageBrowser(runtime)
    await browser.post("/sign-up", SIGN_UP)
    answer = await browser.get(path)
    assert answer.status == 303
    assert answer.headers["location"].startswith("/verify")
    assert b'id="code"' in (await browser.get(answer.headers["location"].partition("?")[0])).body


async def test_the_addresses_of_the_accounts_buttons_lead_to_their_pages(runtime: Runtime) -> None:
    """J2."""
    browser = await signed_up(runtime)
    for path, page in (
        ("/account/contacts/remove", "/account/contacts"),
        ("/account/methods/app/confirm", "/account/methods/app"),
        ("/account/methods/passkey/made", "/account/methods/passkey"),
        ("/account/end", "/account"),
        ("/account/changes/undo", "/account/changes"),
        ("/account/integration-codes/revoke", "/account/integration-codes"),
        ("/sign-in/cancel", "/sign-in"),
        ("/sign-in/passkey", "/sign-in"),
    ):
        answer = await browser.get(path)
        assert (answer.status, answer.headers.get("location")) == (303, page), path


@pytest.mark.parametrize("written", ["", "x", "A" * 60, "A" * 5_000, "=;", "\u00e4"])
async def test_a_flash_message_that_is_not_ours_says_nothing(runtime: Runtime, written: str) -> None:
    """J2: nobody puts words on our pages by a cookie."""
    browser = PageBrowser(runtime)
    browser.cookies[FLASH] = written.encode().decode("latin-1")
    for path in ("/sign-in", "/sign-up", "/recover"):
        assert (await browser.get(path)).status == 200
    assert (await browser.get("/outcome")).status == 303


async def test_a_flash_message_is_for_its_own_page(runtime: Runtime) -> None:
    """J2: and waits until that page is opened."""
    browser = PageBrowser(runtime)
    await browser.post("/sign-in", {"identifier": ADA, "password": "wrong"})
    assert (await browser.get("/sign-up")).status == 200
    assert (await browser.get("/sign-in")).status == 422
    assert FLASH not in browser.cookies


async def test_an_account_form_with_a_fault_is_filled_again(runtime: Runtime) -> None:
    """J2: contacts, and integration codes."""
    browser = await signed_up(runtime)
    shown = await browser.submits("/account/contacts", {"contact": "nothing", "replaces": ""})
    assert b'id="contact-fault"' in shown.body
    assert b'value="nothing"' in shown.body
    shown = await browser.submits("/account/integration-codes", {"name": "Books", "days": "1"})
    assert b"Choose at least one thing" in shown.body
    assert b'value="Books"' in shown.body


async def test_a_form_of_a_session_that_has_ended_is_filled_again_and_not_sent(runtime: Runtime) -> None:
    """J1: after the sign-in the person sees it, and sends it; whoever signs in may be another one."""
    browser = await signed_up(runtime)
    await browser.post("/sign-out", {})
    answer = await browser.post("/account/contacts", {"contact": "+4915123456789", "password": "a secret"})
    assert answer.headers["location"] == "/sign-in?return_to=/account/contacts%3Fdone%3Dsigned_out&done=session-ended"
    await browser.signs_in(return_to="/account/contacts?done=signed_out")
    back = await browser.types()
    assert back.headers["location"] == "/account/contacts?done=signed_out"
    page = await browser.get(back.headers["location"])
    assert b'value="+4915123456789"' in page.body
    assert b"You were signed out" in page.body
    assert b"a secret" not in page.body
