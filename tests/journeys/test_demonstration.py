"""The demonstration page, gone through as a developer would."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, Route, expect
from tests.journeys.chromium import DESKTOP, PHONE

if TYPE_CHECKING:
    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def code_in(text: str) -> str:
    """Return the code that a message's text holds."""
    found = re.search(r"\b(\d{3}) ?(\d{3})\b", text)
    assert found is not None
    return found[1] + found[2]


async def ask(page: Page, site: Site, to: str, channel: str = "") -> None:
    """Open the page and ask for a code."""
    await page.goto(site.url)
    await page.get_by_label("Email address or phone number").fill(to)
    if channel:
        await page.get_by_text(channel, exact=True).click()
    await page.get_by_role("button", name="Send code").click()
    await expect(page.get_by_role("heading", name="Enter the code")).to_be_visible()


async def answer(page: Page, typed: str) -> None:
    """Type a code and send it."""
    await page.get_by_label("Code", exact=True).fill(typed)
    await page.get_by_role("button", name="Verify").click()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
async def test_a_developer_goes_from_an_address_to_a_verified_proof(
    site: Site, opens: Opens, size: dict[str, int]
) -> None:
    page = await opens(size)
    to = f"grace-{size['width']}@example.org"
    await ask(page, site, to)
    await expect(page.locator("#masked")).to_have_text("g***@example.org")
    await expect(page.locator("#delivery")).to_contain_text("We have sent the message")
    code = code_in(site.letter(to)["text"])
    await answer(page, f" {code[:3]} {code[3:]} ")
    await expect(page.get_by_role("heading", name="Approved")).to_be_focused()
    await expect(page.get_by_text("Signature verified", exact=True)).to_be_visible()
    await expect(page.locator("#claims")).to_contain_text("urn:countersign:acr:mail-code")
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= size["width"]


async def test_what_was_sent_is_shown_as_it_was(site: Site, opens: Opens) -> None:
    page = await opens()
    await ask(page, site, "wire@example.org")
    sent = page.locator(".exchange").filter(has_text="POST")
    await expect(sent.locator(".pill")).to_have_text("201")
    await expect(sent.locator("pre").first).to_contain_text('"to": "wire@example.org"')
    await expect(page.locator(".exchange").filter(has_text="/events")).to_have_count(1)


async def test_wrong_codes_end_the_verification_when_no_guess_is_left(site: Site, opens: Opens) -> None:
    page = await opens()
    await ask(page, site, "guess@example.org")
    right = code_in(site.letter("guess@example.org")["text"])
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    for left in ("2 tries left", "1 try left"):
        await answer(page, wrong)
        await expect(page.get_by_role("alert").filter(has_text="This is not the right code")).to_be_visible()
        await expect(page.locator("#guesses")).to_have_text(left)
    await answer(page, wrong)
    await expect(page.get_by_role("heading", name="No tries left")).to_be_focused()
    await page.get_by_role("button", name="Start again").click()
    await expect(page.get_by_label("Email address or phone number")).to_be_focused()


async def test_the_message_is_sent_again_after_the_wait_and_by_another_way(site: Site, opens: Opens) -> None:
    page = await opens(PHONE)
    await ask(page, site, "+14155550178", "SMS")
    first = site.letter("+14155550178")
    again = page.get_by_role("button", name="Send the code again")
    await expect(again).to_be_enabled()
    await again.click()
    call = page.get_by_role("button", name="Use a call")
    await expect(again).to_be_disabled()
    await expect(call).to_be_enabled()
    await call.click()
    await expect(page.locator("#by")).to_have_text("by phone call")
    await expect(page.locator("#delivery")).to_contain_text("We are calling you")
    assert code_in(first["text"]) == code_in(
        re.sub(r"[,. ]", "", site.letter("+14155550178")["text"].split("The code is:")[1])[:6]
    )


async def test_who_asks_too_soon_sees_how_long_to_wait(site: Site, opens: Opens) -> None:
    page = await opens()
    await page.goto(site.url)
    await page.get_by_text("What the code is for").click()
    await page.get_by_label("Purpose").select_option("step_up")
    await page.get_by_role("button", name="Send code").click()
    await expect(page.get_by_role("button", name="Send the code again")).to_be_disabled()
    await expect(page.locator("#again-word")).to_contain_text(re.compile(r"ask again in (9:\d\d|10:00)"))


async def test_an_address_that_cannot_be_used_is_told_at_its_field(site: Site, opens: Opens) -> None:
    page = await opens()
    await page.goto(site.url)
    field = page.get_by_label("Email address or phone number")
    await field.fill("+1 415")
    await page.get_by_role("button", name="Send code").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(field).to_be_focused()
    assert await field.get_attribute("aria-invalid") == "true"


async def test_the_channel_follows_what_is_typed_and_the_sample_follows_the_channel(site: Site, opens: Opens) -> None:
    page = await opens()
    await page.goto(site.url)
    field = page.get_by_label("Email address or phone number")
    await page.get_by_text("Call", exact=True).click()
    await expect(field).to_have_value("+14155550123")
    await field.fill("ada@example.org")
    await expect(page.get_by_role("radio", name="Email")).to_be_checked()


async def test_a_challenge_that_was_canceled_elsewhere_ends_here_by_itself(site: Site, opens: Opens) -> None:
    page = await opens()
    await ask(page, site, "elsewhere@example.org")
    link = re.search(r"(/not-me\?ref=\S+)", site.letter("elsewhere@example.org")["text"])
    assert link is not None
    beside = await opens()
    await beside.goto(site.url + link[1])
    await beside.get_by_role("button").click()
    await expect(page.get_by_role("heading", name="Cancelled")).to_be_visible()


async def test_the_keyboard_alone_is_enough(site: Site, opens: Opens) -> None:
    page = await opens()
    await page.goto(site.url)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    field = page.get_by_label("Email address or phone number")
    for _ in range(3):
        await page.keyboard.press("Tab")
        if await field.evaluate("element => element === document.activeElement"):
            break
    await expect(field).to_be_focused()
    await page.keyboard.press("Control+A")
    await page.keyboard.type("+14155550188")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("radio", name="SMS")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("radio", name="Call")).to_be_checked()
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Code", exact=True)).to_be_focused()
    await page.keyboard.type(code_in(site.letter("+14155550188")["text"]))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Approved")).to_be_focused()


async def test_without_scripts_the_page_explains_with_a_line_for_the_terminal(site: Site, opens: Opens) -> None:
    page = await opens(scripts=False)
    await page.goto(site.url)
    await expect(page.get_by_role("heading", name="One request sends a code")).to_be_visible()
    await expect(page.get_by_role("button", name="Send code")).to_be_hidden()
    await expect(page.locator("pre").first).to_contain_text(site.demo_key)


async def test_without_a_stream_the_page_looks_by_turns(site: Site, opens: Opens) -> None:
    page = await opens()
    await page.route("**/events", lambda route: route.abort())
    await ask(page, site, "turns@example.org")
    await expect(page.locator("#delivery")).to_contain_text("We have sent the message")


async def test_a_proof_that_was_changed_on_its_way_is_not_trusted(site: Site, opens: Opens) -> None:
    page = await opens()

    async def change(route: Route) -> None:
        answered = await route.fetch()
        told = await answered.json()
        head, claims, signature = told["proof"].split(".")
        said = json.loads(urlsafe_b64decode(claims + "=="))
        changed = urlsafe_b64encode(json.dumps({**said, "sub": "mallory"}).encode()).decode().rstrip("=")
        await route.fulfill(response=answered, json={**told, "proof": f"{head}.{changed}.{signature}"})

    await page.route("**/check", change)
    await ask(page, site, "changed@example.org")
    await answer(page, code_in(site.letter("changed@example.org")["text"]))
    await expect(page.get_by_text("Signature is wrong")).to_be_visible()
