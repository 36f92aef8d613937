"""The journey of a person who has had enough of codes: a passkey is made, and used alone and for what is sensitive."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, expect
from tests.journeys.chromium import PHONE
from tests.journeys.test_account import sign_in, sign_up
from tests.journeys.test_changes import confirm

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def with_authenticator(page: Page, *, verifies: bool = True) -> Callable[[bool], Awaitable[object]]:
    """Give a page's browser an authenticator of its own, which keeps passkeys and verifies its person.

    Return what says whether its person is there: otherwise it answers nothing, and fills in no passkey.
    """
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    made = await session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": verifies,
                "automaticPresenceSimulation": True,
            }
        },
    )

    def present(here: bool) -> Awaitable[object]:  # noqa: FBT001 - yes or no
        options = {"authenticatorId": made["authenticatorId"], "enabled": here}
        return session.send("WebAuthn.setAutomaticPresenceSimulation", options)

    return present


async def add_passkey(page: Page, site: Site, to: str, last: str) -> str:
    """Add a passkey on the page for it; return the code that approved it."""
    await page.goto(site.url + "/account/methods")
    await page.locator("#passkey-name").fill("My laptop")
    await page.get_by_role("button", name="Add a passkey").click()
    last = await confirm(page, site, to, last)
    await expect(page).to_have_url(re.compile("/account/methods/passkey$"))
    await page.get_by_role("button", name="Create passkey").click()
    await expect(page).to_have_url(re.compile("/account/methods/recovery-codes$|done=method_added$"))
    if "recovery-codes" in page.url:
        await page.get_by_role("button", name="I have saved them").click()
    await expect(page.get_by_text("We’ll ask for it when you sign in.")).to_be_visible()
    await expect(page.locator("main strong", has_text="My laptop")).to_be_visible()
    return last


async def test_a_passkey_signs_in_alone_and_approves_what_is_sensitive(site: Site, opens: Opens) -> None:
    """U4: no password, no code; and with the password where a code would have been asked."""
    to = "passkey@example.org"
    page = await opens()
    present = await with_authenticator(page)
    last = await sign_up(page, site, to)
    await add_passkey(page, site, to, last)
    await present(False)
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await present(True)
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await expect(page).to_have_url(re.compile("/account$"))
    await expect(page.get_by_text("You’re signed in and confirmed with your passkey.")).to_be_visible()

    await page.goto(site.url + "/account/contacts")
    await page.locator("#contact").fill("+14155550166")
    await page.locator("form:has(#contact) button").click()
    await expect(page.get_by_role("heading", name="Use your passkey")).to_be_visible()
    await expect(page.get_by_text(re.compile(r"Add \W*\+14155550166\W* to your account"))).to_be_visible()
    await page.get_by_role("button", name="Use a passkey").click()
    await confirm(page, site, "+14155550166")
    await expect(page.get_by_text("Your contact details were added.")).to_be_visible()

    await present(False)
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await sign_in(page, site, to)
    await expect(page.get_by_role("heading", name="Use your passkey")).to_be_visible()
    await present(True)
    await page.get_by_role("button", name="Use a passkey").click()
    await expect(page).to_have_url(re.compile("/account$"))


async def test_a_browser_without_the_passkey_is_told_so(site: Site, opens: Opens) -> None:
    """The page says what to do; nobody is in."""
    page = await opens(PHONE)
    await with_authenticator(page)
    await page.goto(site.url + "/sign-in")
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await expect(page.get_by_text("use your password")).to_be_visible()
    await expect(page).to_have_url(re.compile("/sign-in$"))


async def test_without_scripts_another_way_is_offered(site: Site, opens: Opens) -> None:
    """H4."""
    to = "no-scripts-passkey@example.org"
    page = await opens()
    await with_authenticator(page)
    last = await sign_up(page, site, to)
    await page.goto(site.url + "/account/methods")
    await page.get_by_role("button", name="Create new recovery codes").click()
    last = await confirm(page, site, to, last)
    codes = await page.locator(".codes code").all_text_contents()
    await page.get_by_role("button", name="I have saved them").click()
    await add_passkey(page, site, to, last)
    plain = await opens(PHONE, scripts=False)
    await sign_in(plain, site, to)
    await expect(plain.get_by_text("Passkeys need JavaScript.")).to_be_visible()
    await plain.get_by_role("link", name="Use a recovery code").click()
    await plain.locator("#code").fill(codes[0])
    await plain.locator("#answer button").click()
    await expect(plain).to_have_url(re.compile("/account$"))
