"""Two tabs, two presses, two addresses, two sessions: whatever comes twice, in a real browser; docs/ways-on.md has the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, expect
from tests.journeys.asking import PASSWORD, Asking, is_back, open_asking, signs_in, signs_up, types, waits
from tests.journeys.chromium import DESKTOP, PHONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Opens

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """Give one installation to all journeys of this file."""
    with open_asking(tmp_path_factory.mktemp("asking")) as started:
        yield started


async def opened(asking: Asking, page: Page, to: str) -> str:
    """Create an account; return the code that was used."""
    await page.goto(asking.site.url + "/sign-up")
    await signs_up(page, to)
    await waits(page)
    code = asking.code(to)
    await types(page, code)
    await expect(page).to_have_url(re.compile("/account$"))
    return code


async def is_far(page: Page) -> None:
    """Let each answer take 600 ms more."""
    tools = await page.context.new_cdp_session(page)
    await tools.send("Network.enable")
    far = {"offline": False, "latency": 600, "downloadThroughput": -1, "uploadThroughput": -1}
    await tools.send("Network.emulateNetworkConditions", far)


@SCRIPTS
async def test_pressed_twice_acts_once(asking: Asking, opens: Opens, *, scripts: bool) -> None:
    """J4: in a browser that has never been here, far away: one code, and it lets the person in."""
    to = f"twice-{str(scripts).lower()}@example.org"
    await opened(asking, await opens(DESKTOP), to)
    asking.site.call("DELETE", "/inbox/messages")
    page = await opens(PHONE, scripts=scripts)
    await asking.come(page)
    await is_far(page)
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form[action='/sign-in'] button").dblclick(delay=20)
    await waits(page)
    code = asking.code(to)
    await page.locator("#code").fill(code)
    await page.locator("#answer button").dblclick(delay=20)
    await expect(page).to_have_url(re.compile(r"/signed-in\?"), timeout=15_000)
    assert asking.codes(to) == [code]
    await page.goto(asking.site.url + "/account")
    await expect(page).to_have_url(re.compile("/account$"))


async def test_two_tabs_wait_each_for_its_own_code(asking: Asking, opens: Opens) -> None:
    """J1, P6: the code of the first counts in the first, also after a reload, and costs the second nothing."""
    first = await opens(DESKTOP)
    second = await first.context.new_page()
    await asking.come(first)
    await first.locator("a[href^='/sign-up']").click()
    await signs_up(first, "tab-one@example.org")
    await waits(first)
    await second.goto(asking.site.url + "/sign-up?return_to=/account/contacts")
    await signs_up(second, "tab-two@example.org", "Bob")
    await waits(second)
    await first.reload()
    await expect(first.get_by_text("tab-one@example.org").first).to_be_visible()
    await types(first, asking.code("tab-one@example.org"))
    await is_back(first)
    await types(second, asking.code("tab-two@example.org"))
    await expect(second).to_have_url(re.compile("/account/contacts$"))


async def test_a_tab_that_waits_notices_that_another_one_has_finished(asking: Asking, opens: Opens) -> None:
    """J1: it says so by itself, and leads on."""
    first = await opens(DESKTOP)
    await first.goto(asking.site.url + "/sign-up?return_to=/account/contacts")
    await signs_up(first, "notices@example.org")
    await waits(first)
    second = await first.context.new_page()
    await second.goto(asking.site.url + "/verify")
    await waits(second)
    await types(second, asking.code("notices@example.org"))
    await expect(second).to_have_url(re.compile("/account/contacts$"))
    await expect(first.locator("h1")).to_have_text("Done", timeout=15_000)
    await first.get_by_role("link", name="Continue").click()
    await expect(first).to_have_url(re.compile("/account/contacts$"))


@SCRIPTS
async def test_a_wrong_address_is_shown_whole_and_changed_in_place(
    asking: Asking, opens: Opens, *, scripts: bool
) -> None:
    """J1: nothing else is typed again, and the application still waits."""
    page, wrong, right = (
        await opens(PHONE, scripts=scripts),
        f"slip-{str(scripts).lower()}@example.org",
        f"meant-{str(scripts).lower()}@example.org",
    )
    await asking.come(page)
    await page.locator("a[href^='/sign-up']").click()
    await signs_up(page, wrong)
    await waits(page)
    await expect(page.get_by_text(wrong).first).to_be_visible()
    await page.locator("#change summary").click()
    await expect(page.locator("#identifier")).to_have_value(wrong)
    await page.locator("#identifier").fill("nothing")
    await page.locator("#change button").click()
    await expect(page.locator("#identifier-fault")).to_be_visible()
    await page.locator("#identifier").fill(right)
    await page.locator("#change button").click()
    await expect(page.get_by_text(right).first).to_be_visible()
    assert PASSWORD not in await page.content()
    await types(page, asking.code(right))
    await is_back(page)


@SCRIPTS
async def test_an_address_that_does_not_exist_is_said_to_be_so(asking: Asking, opens: Opens, *, scripts: bool) -> None:
    """J1: the headline follows, the form to change it is open, and nothing more is sent there."""
    page, wrong = await opens(DESKTOP, scripts=scripts), f"no-{str(scripts).lower()}+bounced@example.org"
    await page.goto(asking.site.url + "/sign-up")
    await signs_up(page, wrong)
    await waits(page)
    for _ in range(20):
        if await page.get_by_text("We could not reach").count():
            break
        await page.wait_for_timeout(200)
        if not scripts:
            await page.reload()
    await expect(page.get_by_text(f"We could not reach \u2066{wrong}\u2069.")).to_be_visible(timeout=15_000)
    await expect(page.locator("#resend")).to_have_count(0)
    await expect(page.locator("#identifier")).to_be_visible()


@SCRIPTS
async def test_a_step_up_is_canceled_or_renewed_and_its_form_goes_on(
    asking: Asking, opens: Opens, *, scripts: bool
) -> None:
    """J1, U1: back to the section; and the form that was sent is carried out after a code that was renewed in place."""
    page, to = await opens(DESKTOP, scripts=scripts), f"step-{str(scripts).lower()}@example.org"
    first = await opened(asking, page, to)
    await page.goto(asking.site.url + "/account/contacts")
    await page.locator("#contact").fill("nothing")
    await page.locator("form[action='/account/contacts'] button").click()
    await expect(page.locator("#contact-fault")).to_be_visible()
    await page.locator("#contact").fill(f"new-{to}")
    await page.locator("form[action='/account/contacts'] button").click()
    await waits(page)
    await page.locator("form[action='/verify/cancel'] button").click()
    await expect(page).to_have_url(re.compile("/account/contacts$"))
    second = asking.code(to, first)
    await page.locator("#contact").fill(f"new-{to}")
    await page.locator("form[action='/account/contacts'] button").click()
    await waits(page)
    third = asking.code(to, first, second)
    asking.later(11)
    await page.reload()
    await page.locator("form[action='/verify/new'] button").click()
    await waits(page)
    await types(page, asking.code(to, first, second, third))
    await waits(page)
    await types(page, asking.code(f"new-{to}"))
    await expect(page).to_have_url(re.compile(r"/account/contacts\?done="))


async def test_a_form_of_a_session_that_has_ended_is_filled_again(asking: Asking, opens: Opens) -> None:
    """J1: after the sign-in, on its own page."""
    page, to = await opens(PHONE), "ended@example.org"
    first = await opened(asking, page, to)
    await page.goto(asking.site.url + "/account/contacts")
    await page.locator("#contact").fill(f"new-{to}")
    other = await page.context.new_page()
    await other.goto(asking.site.url + "/account")
    await other.locator("form.leave button").click()
    await expect(other).to_have_url(re.compile(r"/sign-in\?done=signed-out$"))
    await page.locator("form[action='/account/contacts'] button").click()
    await signs_in(page, to)
    await waits(page)
    await types(page, asking.code(to, first))
    await expect(page).to_have_url(re.compile("/account/contacts"))
    await expect(page.locator("#contact")).to_have_value(f"new-{to}")
