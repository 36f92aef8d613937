"""What people type once they do not type again, what they typed they can look at, and help opens without scripts."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, expect
from tests.journeys.chromium import DESKTOP, PHONE

if TYPE_CHECKING:
    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PASSWORD = "correct horse battery"


async def opened(page: Page, site: Site) -> str:
    """Begin to open an account; return its contact."""
    to = f"fields-{secrets.token_hex(4)}@example.org"
    await page.goto(site.url + "/sign-up")
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator("#code")).to_be_visible()
    return to


async def test_a_password_can_be_shown_and_is_a_password_when_it_is_sent(site: Site, opens: Opens) -> None:
    """H4: by keyboard, with its state announced, and hidden again before the browser keeps the form."""
    page = await opens(PHONE)
    await page.goto(site.url + "/sign-in")
    await page.locator("#identifier").fill("nobody@example.org")
    await page.locator("#password").fill("wrong password")
    await page.keyboard.press("Tab")
    box = page.get_by_role("checkbox", name="Show password")
    await expect(box).to_be_focused()
    await page.keyboard.press("Space")
    await expect(box).to_be_checked()
    await expect(page.locator("#password")).to_have_attribute("type", "text")
    await page.evaluate(
        "document.querySelector('form[action=\"/sign-in\"]').addEventListener('submit',"
        " () => sessionStorage.setItem('kind', document.getElementById('password').type))"
    )
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_text("We could not sign you in.")).to_be_visible()
    assert await page.evaluate("sessionStorage.getItem('kind')") == "password"
    await expect(page.locator("#password")).to_have_attribute("type", "password")
    assert (await page.title()).startswith("Error: ")


async def test_without_scripts_no_box_promises_to_show_it(site: Site, opens: Opens) -> None:
    """H4."""
    page = await opens(PHONE, scripts=False)
    await page.goto(site.url + "/sign-in")
    await expect(page.get_by_role("checkbox", name="Show password")).to_have_count(0)


async def test_an_address_that_was_typed_goes_along(site: Site, opens: Opens) -> None:
    """J1: WCAG 3.3.7, from the sign-in to each page beside it and back; the next person finds nothing."""
    page = await opens(DESKTOP)
    await page.goto(site.url + "/sign-in")
    await page.locator("#identifier").fill("ada@example.org")
    for link in (
        "Forgotten your password?",
        "I have lost my phone or cannot get into my mailbox",
        "Recover your account",
        "Sign in",
        "Create an account",
        "Sign in",
    ):
        await page.get_by_role("link", name=link, exact=True).click()
        await expect(page.locator("#identifier")).to_have_value("ada@example.org")
    await page.goto(site.url + "/sign-in")
    await expect(page.locator("#identifier")).to_have_value("")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_help_with_a_code_opens_and_says_what_is_known(site: Site, opens: Opens, *, scripts: bool) -> None:
    """J1, H4: on a phone, and nothing in it runs over."""
    page = await opens(PHONE, scripts=scripts)
    await opened(page, site)
    help_ = page.locator("#code-help")
    await expect(help_.get_by_text("Check your spam")).not_to_be_visible()
    await page.get_by_text("Problems with the code?").click()
    await expect(help_.get_by_text("Check your spam")).to_be_visible()
    await expect(help_.get_by_role("link", name="Use another email address or phone number")).to_be_visible()
    if scripts:
        await expect(page.locator("#sent")).to_contain_text("We have sent 1 message, at ")
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


async def test_no_target_is_too_small(site: Site, opens: Opens, axe: str) -> None:
    """H4: WCAG 2.5.8, which axe does not look at by itself."""
    page = await opens(PHONE)
    await opened(page, site)
    await page.get_by_text("Problems with the code?").click()
    page.context.set_default_timeout(20_000)
    for path in ("", "/sign-in", "/sign-up", "/recover", "/recover/lost", "/is-this-us"):
        if path:
            await page.goto(site.url + path)
        # The policy forbids strings as scripts, but not what the browser's own tools run.
        found = await page.evaluate(
            "async (source) => { (0, eval)(source); return (await axe.run(document, { runOnly: ['target-size'] })).violations; }",
            axe,
        )
        assert [[node["target"] for node in rule["nodes"]] for rule in found] == [], path
