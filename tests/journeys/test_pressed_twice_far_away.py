"""Every button is pressed twice, far away: what people open, sign in to, recover and change acts once, and ends where it should."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, Response, expect
from tests.journeys.asking import PASSWORD, Asking, signs_in, signs_up, types, waits
from tests.journeys.chromium import DESKTOP, PHONE
from tests.peers.program import PATIENCE

if TYPE_CHECKING:
    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

BETTER = "a better battery staple"
WAIT = 15_000
"""Milliseconds that a page may take. Each way there and back takes 600."""


@pytest.fixture
def asking(site: Site) -> Asking:
    """Give what reads the codes of the shared site, to which no application leads."""
    return Asking(site, "", "")


async def goes_far(page: Page) -> list[str]:
    """Let each answer take 600 ms more; return where error pages are written down."""
    tools = await page.context.new_cdp_session(page)
    await tools.send("Network.enable")
    far = {"offline": False, "latency": 600, "downloadThroughput": -1, "uploadThroughput": -1}
    await tools.send("Network.emulateNetworkConditions", far)
    page.set_default_timeout(WAIT)
    errors: list[str] = []

    def note(response: Response) -> None:
        if response.request.resource_type == "document" and response.status >= 400:
            errors.append(f"{response.status} {response.url}")

    page.on("response", note)
    return errors


async def twice(page: Page, selector: str, leads_to: str) -> None:
    """Press twice, as people do who see nothing happen, and wait for the page to which it leads."""
    await page.locator(selector).dblclick(delay=20)
    await expect(page).to_have_url(re.compile(leads_to), timeout=WAIT)
    await page.wait_for_load_state("load")


async def opened(asking: Asking, page: Page, to: str) -> str:
    """Create an account; return the code that was used."""
    await page.goto(asking.site.url + "/sign-up")
    await signs_up(page, to)
    await waits(page)
    code = asking.code(to)
    await types(page, code)
    await expect(page).to_have_url(re.compile("/account$"))
    return code


def both(asking: Asking, to: str) -> list[str]:
    """Return the codes that came to an address, once there are two of them."""
    until = time.monotonic() + PATIENCE
    while len(asking.codes(to)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    return asking.codes(to)


async def test_an_account_is_opened(asking: Asking, opens: Opens) -> None:
    """J4: one code to each address that was typed, one account, and out again."""
    slip, to = "twice-slip@example.org", "twice-meant@example.org"
    page = await opens(PHONE)
    await page.goto(asking.site.url + "/sign-up")
    errors = await goes_far(page)
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill(slip)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("[data-reveals]").dblclick(delay=20)
    await expect(page.locator("#password")).to_have_attribute("type", "password")
    await twice(page, "form[action='/sign-up'] button", "/verify")
    asking.code(slip)
    await page.locator("#change summary").click()
    await page.locator("#identifier").fill(to)
    await page.locator("#change button").dblclick(delay=20)
    await expect(page.get_by_text(to).first).to_be_visible(timeout=WAIT)
    await page.locator("#code").fill(asking.code(to))
    await twice(page, "#answer button", "/account$")
    await expect(page.locator("h1")).to_have_text("Ada")
    await twice(page, "form.leave button", r"/sign-in\?done=signed-out$")
    await expect(page.get_by_role("status")).to_be_visible()
    assert [len(asking.codes(one)) for one in (slip, to)] == [1, 1]
    assert errors == []


async def test_a_person_signs_in_with_a_code(asking: Asking, opens: Opens) -> None:
    """J4: the form, the code that is sent again, and the code that is confirmed."""
    to = "twice-in@example.org"
    await opened(asking, await opens(DESKTOP), to)
    asking.site.call("DELETE", "/inbox/messages")
    page = await opens(PHONE)
    await page.goto(asking.site.url + "/sign-in")
    errors = await goes_far(page)
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await twice(page, "form[action='/sign-in'] button", "/verify")
    first = asking.code(to)
    await expect(page.locator("#resend")).to_have_attribute("aria-disabled", "false", timeout=WAIT)
    await page.locator("#resend").dblclick(delay=20)
    sent = both(asking, to)
    await page.wait_for_load_state("load")
    await page.locator("#code").fill(sent[0])
    await twice(page, "#answer button", "/account$")
    assert first in sent
    assert asking.codes(to) == sent
    assert len(sent) == 2
    assert errors == []


async def test_a_password_is_recovered(asking: Asking, opens: Opens) -> None:
    """J4: one code, one new password, one notice, and the sign-in with it."""
    to = "twice-recovers@example.org"
    await opened(asking, await opens(DESKTOP), to)
    asking.site.call("DELETE", "/inbox/messages")
    page = await opens(PHONE)
    await page.goto(asking.site.url + "/recover")
    errors = await goes_far(page)
    await page.locator("#identifier").fill(to)
    await twice(page, "form[action='/recover'] button", "/verify")
    first = asking.code(to)
    await page.locator("#code").fill(first)
    await twice(page, "#answer button", "/recover/password$")
    await page.locator("#password").fill(BETTER)
    await twice(page, "form[action='/recover/password'] button", "/outcome$")
    await expect(page.locator("h1")).to_have_text("You have a new password")
    await twice(page, "a.button", "/sign-in")
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(BETTER)
    await twice(page, "form[action='/sign-in'] button", "/verify")
    await page.locator("#code").fill(asking.code(to, first))
    await twice(page, "#answer button", "/account$")
    assert len(asking.codes(to)) == 2
    told = [one["subject"] for one in asking.site.call("GET", f"/inbox/messages?to={to}")]
    assert len([subject for subject in told if "password was reset" in subject]) == 1
    assert errors == []


async def test_a_change_is_approved(asking: Asking, opens: Opens) -> None:
    """J4, U1: canceled once, approved once, made once."""
    to, new = "twice-steps@example.org", "twice-added@example.org"
    page = await opens(DESKTOP)
    first = await opened(asking, page, to)
    await page.goto(asking.site.url + "/account/contacts")
    errors = await goes_far(page)
    await page.locator("#contact").fill(new)
    await twice(page, "form[action='/account/contacts'] button", "/verify")
    second = asking.code(to, first)
    await twice(page, "form[action='/verify/cancel'] button", "/account/contacts$")
    await page.locator("#contact").fill(new)
    await twice(page, "form[action='/account/contacts'] button", "/verify")
    await page.locator("#code").fill(asking.code(to, first, second))
    await page.locator("#answer button").dblclick(delay=20)
    await expect(page.get_by_text(new).first).to_be_visible(timeout=WAIT)
    await page.locator("#code").fill(asking.code(new))
    await twice(page, "#answer button", r"/account/contacts\?done=")
    await expect(page.locator(".list bdi")).to_have_text([to, new])
    assert [len(asking.codes(one)) for one in (to, new)] == [3, 1]
    assert errors == []


async def test_who_signs_in_again_after_two_presses_is_signed_in(asking: Asking, opens: Opens) -> None:
    """J4: a wrong password that is sent twice is said once, and costs no more than one try on the page."""
    to = "twice-wrong@example.org"
    await opened(asking, await opens(DESKTOP), to)
    page = await opens(PHONE)
    await page.goto(asking.site.url + "/sign-in")
    errors = await goes_far(page)
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill("not the right one")
    await page.locator("form[action='/sign-in'] button").dblclick(delay=20)
    await expect(page.locator("#wrong")).to_be_visible(timeout=WAIT)
    await signs_in(page, to)
    await waits(page)
    assert [error[:3] for error in errors] == ["422"]
