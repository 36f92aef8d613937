"""Each page by the rules of axe, in both colours, and by its weight."""

from __future__ import annotations

import itertools
import re
import secrets
from typing import TYPE_CHECKING, Any, Final, Literal

import pytest
from playwright.async_api import Browser, Page, expect
from tests.journeys.chromium import PHONE

if TYPE_CHECKING:
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

MOST_BYTES = 60_000
AXE = """async () =>
  (await axe.run(document, { resultTypes: ["violations"], preload: false, iframes: false })).violations"""
COLOURS: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
ONE_ROUND_TRIP = 14_000
"""Bytes that ten segments of a first flight hold (RFC 6928)."""

_turns = itertools.count()
"""An address for each visit: a second request to the same one soon after sends nothing."""


async def the_start(page: Page, site: Site) -> None:
    await page.goto(site.url)
    await page.get_by_text("What the code is for").click()


async def the_answer(page: Page, site: Site) -> None:
    await page.goto(site.url)
    await page.get_by_label("Email address or phone number").fill("+14155550166")
    await page.get_by_role("button", name="Send code").click()
    await page.get_by_label("Code", exact=True).fill("000000")
    await page.get_by_role("button", name="Verify").click()
    await expect(page.locator("#code-fault")).to_be_visible()


async def the_proof(page: Page, site: Site) -> None:
    await page.goto(site.url)
    await page.get_by_label("Email address or phone number").fill("axe@example.org")
    await page.get_by_role("button", name="Send code").click()
    await expect(page.locator("#delivery")).to_contain_text("We have sent the message")
    found = re.search(r"(\d{3}) ?(\d{3})", site.letter("axe@example.org")["text"])
    assert found is not None
    await page.get_by_label("Code", exact=True).fill(found[1] + found[2])
    await page.get_by_role("button", name="Verify").click()
    await expect(page.get_by_text("Signature verified", exact=True)).to_be_visible()
    await page.get_by_text("The proof as it was signed").click()


async def the_inbox(page: Page, site: Site) -> None:
    to = f"inbox-axe-{next(_turns)}@example.org"
    site.call("POST", "/v1/verifications", {"to": to})
    site.letter(to)
    await page.goto(f"{site.url}/inbox?to={to}")


async def the_inbox_with_a_bubble(page: Page, site: Site) -> None:
    to = f"+141555502{next(_turns):02}"
    site.call("POST", "/v1/verifications", {"to": to})
    letter = site.letter(to)
    await page.goto(f"{site.url}/inbox?message={letter['id']}")
    await expect(page.locator(".bubble")).to_be_visible()


async def the_empty_inbox(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/inbox?to=nobody@example.org")


async def not_me(page: Page, site: Site) -> None:
    to = f"not-me-axe-{next(_turns)}@example.org"
    site.call("POST", "/v1/verifications", {"to": to, "action": {"summary": "Pay €49.90"}})
    link = re.search(r"(/not-me\?ref=\S+)", site.letter(to)["text"])
    assert link is not None
    await page.goto(site.url + link[1])


async def not_me_of_nothing(page: Page, site: Site) -> None:
    await page.goto(f"{site.url}/not-me?ref=ver_1.x")


async def sign_up(page: Page, site: Site) -> None:
    await page.goto(site.url + "/sign-up")
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill("not an address")
    await page.locator("#password").fill("password1")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator(".fault").first).to_be_visible()


async def sign_in(page: Page, site: Site) -> None:
    await page.goto(site.url + "/sign-in")
    await page.locator("#identifier").fill("nobody@example.org")
    await page.locator("#password").fill("wrong password")
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_text("We could not sign you in.")).to_be_visible()


async def verify(page: Page, site: Site) -> None:
    await _opened(page, site)
    await page.locator("#code").fill("000000")
    await page.get_by_role("button", name="Confirm").click()
    await expect(page.locator("#fault")).to_contain_text("not the right code")


async def account(page: Page, site: Site) -> None:
    to = await _opened(page, site)
    found = re.search(r"(\d{3}) ?(\d{3})", site.letter(to)["text"])
    assert found is not None
    await page.locator("#code").fill(found[1] + found[2])
    await page.get_by_role("button", name="Confirm").click()
    await expect(page.get_by_role("heading", name="Where you’re signed in")).to_be_visible()


async def contacts(page: Page, site: Site) -> None:
    await account(page, site)
    await page.goto(site.url + "/account/contacts")
    await page.locator("#contact").fill("nothing")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator("#contact-fault")).to_be_visible()


async def password(page: Page, site: Site) -> None:
    await account(page, site)
    await page.goto(site.url + "/account/password")
    await page.locator("#password").fill("password1")
    await page.get_by_role("button", name="Change password").click()
    await expect(page.locator("#password-fault")).to_be_visible()


async def methods(page: Page, site: Site) -> None:
    await account(page, site)
    await page.goto(site.url + "/account/methods")
    await expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()


async def an_app(page: Page, site: Site) -> None:
    to = await _opened(page, site)
    found = re.search(r"(\d{3}) ?(\d{3})", site.letter(to)["text"])
    assert found is not None
    await page.locator("#code").fill(found[1] + found[2])
    await page.get_by_role("button", name="Confirm").click()
    await page.goto(site.url + "/account/methods")
    await page.get_by_role("button", name="Add an authenticator app").click()
    await expect(page.locator("#state")).to_have_text("Sent")
    found = re.search(r"(\d{3}) ?(\d{3})", site.letter(to)["text"])
    assert found is not None
    await page.locator("#code").fill(found[1] + found[2])
    await page.get_by_role("button", name="Confirm").click()
    await page.get_by_text("If you cannot scan it").click()


async def integration_codes(page: Page, site: Site) -> None:
    await account(page, site)
    await page.goto(site.url + "/account/integration-codes")
    await page.locator("#name").fill("Bookkeeping")
    await page.get_by_role("button", name="Create code").click()
    await expect(page.locator(".fault")).to_be_visible()


async def changes(page: Page, site: Site) -> None:
    await account(page, site)
    await page.goto(site.url + "/account/changes")
    await expect(page.get_by_text("There are no changes.")).to_be_visible()


async def recover(page: Page, site: Site) -> None:
    await page.goto(site.url + "/recover")
    await page.locator("#identifier").fill("nothing")
    await page.get_by_role("button", name="Send code").click()
    await expect(page.locator(".fault")).to_be_visible()


async def lost(page: Page, site: Site) -> None:
    await page.goto(site.url + "/recover/lost")
    await expect(page.locator("#contact")).to_be_visible()


async def sign_out_asked(page: Page, site: Site) -> None:
    await account(page, site)
    await page.goto(site.url + "/oauth/sign-out")
    await expect(page.get_by_role("heading", name="Do you want to sign out?")).to_be_visible()


async def nothing_waits(page: Page, site: Site) -> None:
    await page.goto(site.url + "/verify")


async def _opened(page: Page, site: Site) -> str:
    """Begin to open an account; return its contact."""
    to = f"axe-{secrets.token_hex(4)}@example.org"
    await page.goto(site.url + "/sign-up")
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill("correct horse battery")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator("#state")).to_have_text("Sent")
    return to


PAGES = [
    sign_up,
    sign_in,
    verify,
    account,
    contacts,
    password,
    methods,
    an_app,
    integration_codes,
    changes,
    recover,
    lost,
    sign_out_asked,
    nothing_waits,
    the_start,
    the_answer,
    the_proof,
    the_inbox,
    the_inbox_with_a_bubble,
    the_empty_inbox,
    not_me,
    not_me_of_nothing,
]


@pytest.mark.parametrize("reach", PAGES, ids=lambda reach: reach.__name__)
async def test_axe_finds_nothing(site: Site, browser: Browser, axe: str, reach: Any) -> None:
    """H4: axe finds nothing serious; here, nothing at all by the rules of WCAG 2.2 AA and its own best practices, in both colours."""
    context = await browser.new_context(color_scheme="light", bypass_csp=True, viewport={"width": 1280, "height": 900})
    try:
        page = await context.new_page()
        await reach(page, site)
        await page.evaluate(axe)
        for colours in COLOURS:
            await page.emulate_media(
                color_scheme=colours, reduced_motion="reduce"
            )  # else a colour is judged on its way
            assert await page.evaluate(f"matchMedia('(prefers-color-scheme: {colours})').matches")
            found = await page.evaluate(AXE)
            assert [(rule["id"], rule["impact"], [node["target"] for node in rule["nodes"]]) for rule in found] == []
    finally:
        await context.close()


@pytest.mark.parametrize(
    "path", ["/", "/inbox?to=nobody@example.org", "/inbox", "/not-me?ref=x", "/sign-up", "/sign-in"]
)
async def test_a_page_is_light_and_its_words_come_at_once(site: Site, browser: Browser, path: str) -> None:
    for number in range(45 if path == "/inbox" else 0):
        site.call("POST", "/v1/verifications", {"to": f"+1415555{number:04}"})
        site.letter(f"+1415555{number:04}")
    context = await browser.new_context(viewport={"width": PHONE["width"], "height": PHONE["height"]})
    try:
        page = await context.new_page()
        sizes: dict[str, int] = {}

        async def weigh(response: Any) -> None:
            if "/inbox/messages" not in response.url:
                sizes[response.url] = len(await response.body())

        page.on("response", weigh)
        await page.goto(site.url + path)
        await page.wait_for_timeout(700)
        assert sum(sizes.values()) < MOST_BYTES
        if path != "/inbox":  # its list goes on for as long as it is, the newest first
            assert sizes[site.url + path] < ONE_ROUND_TRIP
        assert len(sizes) >= 2
        assert all(url.startswith(site.url) for url in sizes)
    finally:
        await context.close()
