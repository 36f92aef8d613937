"""The inbox page, as somebody reads in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect
from tests.journeys.chromium import PHONE

if TYPE_CHECKING:
    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
]

MAIL = "reader@example.org"
PHONE_NUMBER = "+14155550144"


def send(site: Site, to: str, channel: str, subject: str) -> None:
    """Ask for a code, and wait until its message is there."""
    told = site.call("POST", "/v1/verifications", {"to": to, "channel": channel, "subject": subject})
    assert told["status"] == "pending"
    site.letter(to)


async def test_an_empty_inbox_says_how_to_fill_it_and_then_fills_by_itself(site: Site, opens: Opens) -> None:
    page = await opens()
    await page.goto(f"{site.url}/inbox")
    await expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    send(site, MAIL, "email", "fills")
    await expect(page.locator("a.letter")).to_have_count(1)
    await expect(page.get_by_role("heading", name="Your code to sign in")).to_be_visible()


async def test_mail_is_shown_as_it_renders_and_can_do_nothing(site: Site, opens: Opens) -> None:
    page = await opens()
    send(site, MAIL, "email", "renders")
    await page.goto(f"{site.url}/inbox")
    letter = page.frame_locator("iframe")
    await expect(letter.locator(".code-box")).to_be_visible()
    colour = await letter.locator(".code-box").evaluate("element => getComputedStyle(element).backgroundColor")
    assert colour == "rgb(245, 247, 249)"
    assert await letter.locator("body").evaluate("() => self.origin") == "null"
    async with page.context.expect_page() as beside:
        await letter.get_by_role("link", name="This was not me").click()
    opened = await beside.value
    await expect(opened.get_by_role("heading", name="Did you ask for this code?")).to_be_visible()
    await page.get_by_role("link", name="Text", exact=True).click()
    await expect(page.locator("pre.sheet")).to_contain_text("Nobody from Countersign will ever ask you")


async def test_sms_is_a_bubble_and_a_call_is_told_sentence_by_sentence(site: Site, opens: Opens) -> None:
    page = await opens(PHONE)
    send(site, PHONE_NUMBER, "sms", "bubble")
    send(site, "+14155550145", "voice", "call")
    await page.goto(f"{site.url}/inbox")
    await expect(page.locator("#pane")).to_be_hidden()
    await page.get_by_role("link", name=PHONE_NUMBER).click()
    await expect(page.locator(".bubble")).to_contain_text("@localhost #")
    await page.get_by_role("link", name="All messages").click()
    await page.get_by_role("link", name="+14155550145").click()
    await expect(page.locator(".spoken")).to_contain_text("Once more:")
    await page.go_back()
    await expect(page.locator("a.letter")).to_have_count(2)


async def test_what_is_being_read_stays_when_something_arrives(site: Site, opens: Opens) -> None:
    page = await opens()
    send(site, PHONE_NUMBER, "sms", "stays")
    await page.goto(f"{site.url}/inbox")
    await page.get_by_role("link", name=PHONE_NUMBER).click()
    await page.wait_for_url("**message=**")
    await page.locator(".bubble").evaluate("element => { element.dataset.seen = 'yes'; }")
    send(site, MAIL, "email", "arrives")
    await expect(page.locator("a.letter")).to_have_count(2)
    await expect(page.locator(".bubble[data-seen]")).to_be_visible()


async def test_the_list_is_walked_with_the_arrows_and_filtered_by_address(site: Site, opens: Opens) -> None:
    page = await opens()
    send(site, PHONE_NUMBER, "sms", "walked")
    send(site, MAIL, "email", "walked")
    await page.goto(f"{site.url}/inbox")
    await page.locator("a.letter").first.focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".bubble")).to_be_visible()
    await expect(page.get_by_role("link", name=PHONE_NUMBER)).to_be_focused()
    await page.get_by_label("Address or number").fill(" READER@example.org")
    await page.keyboard.press("Enter")
    await expect(page.locator("a.letter")).to_have_count(1)
    await expect(page.locator("iframe")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_reading_and_deleting_work_with_and_without_scripts(site: Site, opens: Opens, *, scripts: bool) -> None:
    page = await opens(scripts=scripts)
    send(site, PHONE_NUMBER, "sms", f"deleting-{scripts}")
    send(site, MAIL, "email", f"deleting-{scripts}")
    await page.goto(f"{site.url}/inbox")
    await page.get_by_role("link", name=PHONE_NUMBER).click()
    await expect(page.locator(".bubble")).to_be_visible()
    await page.get_by_role("button", name="Delete all").click()
    await expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
    assert site.call("GET", "/inbox/messages") == []
