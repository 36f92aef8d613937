"""The journeys of a person with an account: open it, sign in elsewhere, be remembered, be asked again, end what is not theirs."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Page, expect
from tests.journeys.chromium import DESKTOP, PHONE
from tests.journeys.conftest import SETTINGS
from tests.journeys.site import open_site
from tests.peers.program import Program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PASSWORD = "correct horse battery"


def code(site: Site, to: str, after: str = "") -> str:
    """Return the code of the newest message with one that is not `after`."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for message in site.call("GET", f"/inbox/messages?to={to.replace('+', '%2B')}"):
            found = re.search(r"\b(\d{3}) ?(\d{3})\b(?! \d)", message["text"].replace(message["to"], ""))
            if found and found[1] + found[2] != after:
                return found[1] + found[2]
        time.sleep(0.1)
    raise AssertionError(f"no code came to {to}")


async def sign_up(page: Page, site: Site, to: str, *, name: str = "Ada", remember: bool = False) -> str:
    """Create an account; return its code."""
    await page.goto(site.url + "/sign-up")
    await page.locator("#name").fill(name)
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").click()
    await expect(page).to_have_url(re.compile("/verify$"))
    sent = code(site, to)
    if remember:
        await page.locator("[name=remember]").check()
    await page.locator("#code").fill(f"{sent[:3]} {sent[3:]}")
    await page.locator("#answer button").click()
    await expect(page).to_have_url(re.compile("/account$"))
    return sent


async def sign_in(page: Page, site: Site, to: str, password: str = PASSWORD, path: str = "/sign-in") -> None:
    """Fill in the form."""
    await page.goto(site.url + path)
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(password)
    await page.locator("form button.full").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_from_opening_an_account_to_ending_the_other_session(site: Site, opens: Opens, *, scripts: bool) -> None:
    """U1, S5: the remembered browser skips the sign-in code and only that; the interrupted form goes on by itself."""
    await _the_whole_way(site, opens, scripts=scripts)


@pytest.mark.postgres
async def test_the_same_way_on_postgresql_with_two_processes(postgres_url: str, tmp_path: Path, opens: Opens) -> None:
    """U1, S5: each request may meet another process."""
    with open_site(tmp_path, SETTINGS, DATABASE_URL=postgres_url, WORKERS="2") as site:
        await _the_whole_way(site, opens, scripts=True)


async def _the_whole_way(site: Site, opens: Opens, *, scripts: bool) -> None:
    to = f"journey-{scripts}@example.org"
    desk, phone = await opens(DESKTOP, scripts=scripts), await opens(PHONE, scripts=scripts)
    first = await sign_up(desk, site, to)

    await sign_in(phone, site, to)
    await expect(phone).to_have_url(re.compile("/verify$"))
    await expect(phone.get_by_text("We ask because this browser is new.")).to_be_visible()
    second = code(site, to, first)
    await phone.locator("[name=remember]").check()
    await phone.locator("#code").fill(second)
    await phone.locator("#answer button").click()
    await expect(phone).to_have_url(re.compile("/account$"))

    await phone.get_by_role("button", name="Sign out", exact=True).click()
    await expect(phone).to_have_url(re.compile("/sign-in"))
    await expect(phone.get_by_text("You’re signed out.")).to_be_visible()
    await sign_in(phone, site, to)
    await expect(phone).to_have_url(re.compile("/account$"))
    await expect(phone.get_by_text("You’re signed in on a browser you trust.")).to_be_visible()

    await phone.get_by_role("button", name="Sign out everywhere else").click()
    await expect(phone).to_have_url(re.compile("/verify$"))
    await phone.locator("#code").fill(code(site, to, second))
    await phone.locator("#answer button").click()
    await expect(phone).to_have_url(re.compile("/account\\?done=others$"))
    await expect(phone.get_by_text("You’re signed out everywhere else.")).to_be_visible()
    await desk.reload()
    await expect(desk).to_have_url(re.compile("/sign-in"))


async def test_wrong_codes_use_up_the_guesses_and_a_new_start_works(site: Site, opens: Opens) -> None:
    """C5, H4: the screen says how many are left, and ends clearly."""
    to = "guesses@example.org"
    first = await sign_up(await opens(), site, to)
    page = await opens(PHONE)
    await sign_in(page, site, to)
    right = code(site, to, first)
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    for left in ("2 tries", "1 try"):
        await page.locator("#code").fill(wrong)
        await page.locator("#answer button").click()
        await expect(page.locator("#fault")).to_contain_text(left)
    await page.locator("#code").fill(wrong)
    await page.locator("#answer button").click()
    await expect(page.get_by_role("heading", name="No tries left")).to_be_visible()
    await page.get_by_role("link", name="Start again").click()
    await sign_in(page, site, to)
    await page.locator("#code").fill(code(site, to, right))
    await page.locator("#answer button").click()
    await expect(page).to_have_url(re.compile("/account$"))


async def test_a_code_is_sent_again_and_its_way_is_told_live(site: Site, opens: Opens) -> None:
    """C7, D1: by server-sent events, without a reload."""
    to = "again@example.org"
    page = await opens(PHONE)
    await page.goto(site.url + "/sign-up")
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").click()
    await expect(page.locator("#state")).to_have_text("Sent")
    sent = code(site, to)
    messages = len(site.call("GET", f"/inbox/messages?to={to}"))
    # The purpose sign_up waits thirty seconds; the button says so and does nothing meanwhile.
    await expect(page.locator("#resend")).to_have_attribute("aria-disabled", "true")
    await page.locator("#resend").click(force=True)
    assert len(site.call("GET", f"/inbox/messages?to={to}")) == messages
    await page.locator("#code").fill(sent)
    await page.locator("#answer button").click()
    await expect(page).to_have_url(re.compile("/account$"))


async def test_a_phone_number_has_an_account_and_another_way(site: Site, opens: Opens) -> None:
    """U5."""
    to = "+14155550177"
    page = await opens(PHONE)
    await page.goto(site.url + "/sign-up")
    await page.locator("#name").fill("Grace")
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").click()
    await expect(page.get_by_text("by SMS")).to_be_visible()
    await page.locator("#ways summary").click()
    await page.get_by_role("button", name=re.compile("^Call")).click()
    await expect(page.locator("#fault")).to_contain_text("a moment ago")
    sent = site.letter(to)["text"]
    found = re.search(r"#(\d{6})$", sent)
    assert found is not None
    await page.locator("#code").fill(found[1])
    await page.locator("#answer button").click()
    await expect(page).to_have_url(re.compile("/account$"))


async def test_everything_goes_by_the_keyboard_alone(site: Site, opens: Opens) -> None:
    """H4."""
    to = "keyboard@example.org"
    page = await opens(DESKTOP)
    await page.goto(site.url + "/sign-up")
    await page.locator("#name").focus()
    for text in ("Ada", to, PASSWORD):
        await page.keyboard.type(text)
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/verify$"))
    await expect(page.locator("#code")).to_be_focused()
    await page.keyboard.type(code(site, to))
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/account$"))


async def test_the_pages_speak_german(site: Site, opens: Opens) -> None:
    page = await opens(PHONE, locale="de-AT")
    await page.goto(site.url + "/sign-in")
    await expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    assert await page.locator("html").get_attribute("lang") == "de"
    await sign_in(page, site, "niemand@example.org", "falsches Passwort")
    await expect(page.get_by_text("Das hat nicht geklappt.")).to_be_visible()


async def test_the_pages_speak_arabic_from_right_to_left(site: Site, opens: Opens) -> None:
    """H4: the code and the contact keep their own direction."""
    to = "arabic@example.org"
    page = await opens(PHONE, locale="ar-EG")
    await page.goto(site.url + "/sign-up")
    await expect(page.get_by_role("heading", name="فتح حساب")).to_be_visible()
    assert await page.locator("html").get_attribute("dir") == "rtl"
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").click()
    await expect(page.get_by_role("heading", name="أكّد أن هذا لك")).to_be_visible()
    assert await page.locator("#code").get_attribute("dir") == "ltr"
    letter = site.letter(to)
    assert 'dir="rtl"' in letter["html"]
    await page.locator("#code").fill(code(site, to))
    await page.locator("#answer button").click()
    await expect(page.get_by_role("heading", name="أين سجّلت الدخول")).to_be_visible()
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


async def test_unknown_and_wrong_look_the_same(site: Site, opens: Opens) -> None:
    """S1: the same page to the letter, but for the name that was typed."""
    await sign_up(await opens(), site, "known@example.org")
    page = await opens()
    seen: list[str] = []
    for name in ("known@example.org", "unknown@example.org"):
        async with page.expect_response("**/sign-in") as answered:
            await sign_in(page, site, name, "wrong password")
            answer = await answered.value
        assert answer.request.method in {"GET", "POST"}
        await expect(page.get_by_text("We could not sign you in.")).to_be_visible()
        # Each page has a challenge for a passkey of its own.
        page_of = re.sub(r'data-challenge="[\w-]+"', "", await page.content())
        seen.append(page_of.replace(name, "NAME"))
    assert seen[0] == seen[1]


async def test_cookies_are_the_hosts_own_and_no_script_reads_them(site: Site, opens: Opens) -> None:
    """H5."""
    page = await opens()
    await sign_up(page, site, "cookies@example.org")
    cookies: list[Any] = await page.context.cookies()
    names = {cookie["name"] for cookie in cookies}
    assert {"__Host-session", "__Host-device"} <= names
    for cookie in cookies:
        assert cookie["secure"]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Lax"
        assert cookie["path"] == "/"
    assert await page.evaluate("document.cookie") == ""


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
async def test_nobody_is_led_elsewhere_after_signing_in(site: Site, opens: Opens, wanted: str) -> None:
    """R3: hosts come from the settings, never from the request."""
    page = await opens()
    name = f"led{abs(hash(wanted))}@example.org"
    await page.goto(site.url + "/sign-up")
    await page.locator("[name=return_to]").evaluate("(field, value) => { field.value = value; }", wanted)
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill(name)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").click()
    await page.locator("#code").fill(code(site, name))
    await page.locator("#answer button").click()
    await expect(page).to_have_url(site.url + "/account")


async def test_another_sites_form_neither_signs_in_nor_out(site: Site, opens: Opens) -> None:
    """H5."""
    page = await opens()
    await sign_up(page, site, "foreign-form@example.org")
    for path in ("/sign-out", "/account/end", "/sign-in", "/verify"):
        await page.goto("about:blank")
        await page.set_content(f'<form method="post" action="{site.url}{path}"><button>Win</button></form>')
        async with page.expect_response(f"**{path}") as answered:
            await page.get_by_role("button").click()
        assert (await answered.value).status == 403
    await page.goto(site.url + "/account")
    await expect(page).to_have_url(re.compile("/account$"))


async def test_a_code_by_mail_is_given_up_for_one_by_sms(tmp_path: Path, opens: Opens) -> None:
    """C5, U5: on an account with two contacts, such as `countersign demo` opens; the first code is worth nothing then."""
    # With the limits of the site: what the default ones have counted would bar its first message for a minute.
    (tmp_path / "countersign.toml").write_text(SETTINGS)
    Program(tmp_path, ENVIRONMENT="development").run("demo")
    with open_site(tmp_path, SETTINGS) as site:
        page = await opens(PHONE)
        site.call("DELETE", "/inbox/messages")
        await sign_in(page, site, "ada@example.org")
        await expect(page.get_by_text("by email")).to_be_visible()
        by_mail = code(site, "ada@example.org")
        await page.locator("#ways summary").click()
        await page.get_by_role("button", name=re.compile("^SMS")).click()
        await expect(page.get_by_text("by SMS")).to_be_visible()
        found = re.search(r"#(\d{6})$", site.letter("+14155550123")["text"])
        assert found is not None
        if by_mail != found[1]:
            await page.locator("#code").fill(by_mail)
            await page.locator("#answer button").click()
            await expect(page.locator("#fault")).to_contain_text("not the right code")
        await page.locator("#code").fill(found[1])
        await page.locator("#answer button").click()
        await expect(page.get_by_text("You’re signed in and confirmed with a code to your phone.")).to_be_visible()
