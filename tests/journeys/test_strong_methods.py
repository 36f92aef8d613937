"""The journey of a person whose passkey strands nobody: codes kept first, sign-in by autofill, the passkey lost, and in again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import CDPSession, Page, expect
from tests.journeys.chromium import PHONE
from tests.journeys.test_account import code, sign_in, sign_up

if TYPE_CHECKING:
    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def authenticator(page: Page, **more: object) -> tuple[CDPSession, str]:
    """Give a page's browser an authenticator of its own; return its session and id."""
    session = await page.context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options: dict[str, object] = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = await session.send("WebAuthn.addVirtualAuthenticator", {"options": options | more})
    return session, made["authenticatorId"]


async def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus, as somebody without a mouse does."""
    for _ in range(60):
        if await page.evaluate("(selector) => document.activeElement?.matches(selector) ?? false", selector):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {selector} on {page.url}")


async def reads_codes(page: Page) -> list[str]:
    """Read, reload, save, copy and print the recovery codes with the keyboard; return them."""
    await expect(page).to_have_url(re.compile("/account/methods/recovery-codes$"))
    codes = await page.locator(".codes code").all_text_contents()
    assert len(codes) == 10
    await page.reload()
    assert await page.locator(".codes code").all_text_contents() == codes
    await tab_to(page, "[download]")
    async with page.expect_download() as saving:
        await page.keyboard.press("Enter")
    saved = await saving.value
    assert saved.suggested_filename == "localhost-recovery-codes.txt"
    text = (await saved.path()).read_text()
    assert [line for line in text.splitlines() if line in codes] == codes
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await tab_to(page, "[data-copies]")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == "\n".join(codes)
    await page.emulate_media(media="print")
    await expect(page.get_by_role("button", name="I have saved them")).to_be_hidden()
    await expect(page.locator(".codes code").first).to_be_visible()
    await page.emulate_media(media="screen")
    return codes


async def test_a_passkey_is_added_by_keyboard_kept_used_by_autofill_lost_and_replaced(site: Site, opens: Opens) -> None:
    """A11: codes are shown again until they are kept; without the passkey, a recovery code lets in and is named as what it was."""
    to = "strong@example.org"
    page = await opens()
    session, device = await authenticator(page)
    last = await sign_up(page, site, to)
    await page.goto(site.url + "/account/methods")
    await expect(page.get_by_text("Before you can use it, you need to save recovery codes.").first).to_be_visible()
    await tab_to(page, "#passkey-name")
    await page.keyboard.type("My laptop")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/verify$"))
    await tab_to(page, "#code")
    await page.keyboard.type(code(site, to, last))
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/account/methods/passkey$"))
    await tab_to(page, "#passkey button")
    await page.keyboard.press("Enter")

    codes = await reads_codes(page)
    # Nothing counts yet: whoever closes the page signs in as before.
    other = await opens(PHONE)
    await sign_in(other, site, to)
    await expect(other.get_by_text("We sent a security code")).to_be_visible()

    await tab_to(page, "[name=kept]")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("We’ll ask for it when you sign in.")).to_be_visible()
    await page.goto(site.url + "/account/methods/recovery-codes")
    await expect(page).to_have_url(re.compile("/account/methods$"))

    await tab_to(page, ".leave button")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/account$"))
    await expect(page.get_by_text("You’re signed in and confirmed with your passkey.")).to_be_visible()

    await session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": device})
    await page.context.clear_cookies()
    await sign_in(page, site, to)
    await expect(page.get_by_role("heading", name="Use your passkey")).to_be_visible()
    await expect(page.get_by_text("choose “use a phone or tablet”")).to_be_visible()
    await tab_to(page, "#lost summary")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Get back in with new contact details")).to_be_visible()
    await tab_to(page, "#lost a")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Enter a recovery code")).to_be_visible()
    await tab_to(page, "#code")
    await page.keyboard.type(codes[0])
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("/account$"))
    await expect(page.get_by_text("You’re signed in and confirmed with a recovery code.")).to_be_visible()


async def test_a_synced_passkey_that_comes_back_with_a_lower_counter_is_let_in(site: Site, opens: Opens) -> None:
    """A11: a passkey that is copied between devices counts on each of them."""
    to = "synced@example.org"
    page = await opens()
    session, device = await authenticator(page, defaultBackupEligibility=True, defaultBackupState=True)
    last = await sign_up(page, site, to)
    await page.goto(site.url + "/account/methods")
    await page.locator("form[action$=passkey] button").click()
    await page.locator("#code").fill(code(site, to, last))
    await page.locator("#answer button").click()
    await page.get_by_role("button", name="Create passkey").click()
    await page.get_by_role("button", name="I have saved them").click()
    for count in (9, 2, 0):
        found = await session.send("WebAuthn.getCredentials", {"authenticatorId": device})
        credential: dict[str, Any] = found["credentials"][0]
        assert credential["userName"] == to
        assert credential["userDisplayName"] == "Ada"
        await session.send(
            "WebAuthn.removeCredential", {"authenticatorId": device, "credentialId": credential["credentialId"]}
        )
        await session.send(
            "WebAuthn.addCredential", {"authenticatorId": device, "credential": credential | {"signCount": count}}
        )
        await page.get_by_role("button", name="Sign out", exact=True).click()
        await expect(page).to_have_url(re.compile("/account$"))
        await expect(page.get_by_text("You’re signed in and confirmed with your passkey.")).to_be_visible()
