"""The ways on from a new password, a step-up and the contacts, each by a journey of its own; docs/ways-on.md has the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, expect
from tests.journeys.asking import PASSWORD, SHOP, Asking, is_back, open_asking, signs_in, types, waits
from tests.journeys.chromium import DESKTOP, PHONE
from tests.journeys.test_ways_on_with_two import SCRIPTS, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Opens

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """Give one installation to all journeys of this file."""
    with open_asking(tmp_path_factory.mktemp("asking")) as started:
        yield started


async def may_choose(asking: Asking, page: Page, to: str, *before: str) -> str:
    """Come from the application, forget the password, and prove the account; return the code."""
    await asking.come(page)
    await page.locator("a[href^='/recover']").click()
    await page.locator("#identifier").fill(to)
    await page.locator("form[action='/recover'] button").click()
    await waits(page)
    code = asking.code(to, *before)
    await types(page, code)
    await expect(page).to_have_url(re.compile("/recover/password$"))
    return code


async def begins_a_step_up(page: Page, new: str) -> None:
    """Ask for new contact details on their page."""
    await page.locator("#contact").fill(new)
    await page.locator("form[action='/account/contacts'] button").click()
    await waits(page)


@SCRIPTS
async def test_a_new_password_is_left_and_taken_up_and_canceled(asking: Asking, opens: Opens, *, scripts: bool) -> None:
    """J1, J2: by a reload, a new tab and the way back; what is canceled changes nothing."""
    to = f"chooses-{str(scripts).lower()}@example.org"
    first = await opened(asking, await opens(DESKTOP), to)
    page = await opens(PHONE, scripts=scripts)
    second = await may_choose(asking, page, to, first)
    await page.reload()
    await expect(page.locator("#password")).to_be_visible()
    await page.locator("#password").fill("password")
    await page.locator("form[action='/recover/password'] button").click()
    await expect(page.locator("#password-fault")).to_be_visible()
    await page.reload()
    await expect(page.locator("#password-fault")).to_have_count(0)
    other = await page.context.new_page()
    await other.goto(asking.site.url + "/recover/password")
    await expect(other.locator("#password")).to_be_visible()
    await page.goto(asking.site.url + "/is-this-us")
    await page.go_back()
    await expect(page.locator("#password")).to_be_visible()
    await page.locator("form[action='/verify/cancel'] button").click()
    await is_back(page, error="access_denied")
    # The other tab has nothing to choose for any more, and says so.
    await other.locator("#password").fill("a better battery staple")
    await other.locator("form[action='/recover/password'] button").click()
    await expect(other.locator("#password")).to_have_count(0)
    await expect(other.locator("a.button")).to_be_visible()
    await asking.come(page)
    await signs_in(page, to)
    await waits(page)
    await types(page, asking.code(to, first, second))
    await is_back(page)


async def test_a_new_password_that_is_chosen_too_late_begins_again(asking: Asking, opens: Opens) -> None:
    """J1: the page says so, and the application still waits."""
    to = "chooses-late@example.org"
    page = await opens(PHONE)
    first = await opened(asking, page, to)
    await page.locator("form.leave button").click()
    second = await may_choose(asking, page, to, first)
    asking.later(31)
    await page.locator("#password").fill("a better battery staple")
    await page.locator("form[action='/recover/password'] button").click()
    await expect(page.locator("h1")).to_have_text("You cannot continue from here")
    await page.reload()
    await page.locator("a.button").click()
    await expect(page.locator("form[action='/sign-in/cancel'] button")).to_contain_text(SHOP)
    await page.locator("#identifier").fill(to)
    await page.locator("form[action='/recover'] button").click()
    await waits(page)
    await types(page, asking.code(to, first, second))
    await expect(page.locator("#password")).to_be_visible()


@SCRIPTS
async def test_who_has_lost_what_a_step_up_asks_for_gets_back_in(
    asking: Asking, opens: Opens, *, scripts: bool
) -> None:
    """J1: from the screen of the code, signed in as before, and back to the contacts."""
    to = f"steps-lost-{str(scripts).lower()}@example.org"
    page = await opens(DESKTOP, scripts=scripts)
    await opened(asking, page, to)
    await page.goto(asking.site.url + "/account/contacts")
    await begins_a_step_up(page, f"new-{to}")
    await page.locator("#lost summary").click()
    await page.locator("#lost a[href^='/recover/lost']").click()
    await page.locator("#identifier").fill(to)
    await page.locator("#contact").fill(f"new-{to}")
    await page.locator("form[action='/recover/lost'] button").click()
    await waits(page)
    await types(page, asking.code(f"new-{to}"))
    await expect(page.locator("h1")).to_contain_text("The waiting time has started")
    await page.locator("a.button").click()
    await expect(page.locator("h1")).to_have_text("You have asked to get back in")
    await page.locator("a[href^='/recover?']").last.click()
    await page.locator("a[href^='/sign-in']").last.click()
    await expect(page).to_have_url(re.compile("/account/contacts"))
    await page.goto(asking.site.url + "/account/changes")
    await expect(page.get_by_text("Nothing happens before")).to_be_visible()


async def test_a_step_up_in_another_browser_is_not_answered_there(asking: Asking, opens: Opens) -> None:
    """J1: it says what to do, a sign-in there leads to the contacts, and the first browser goes on."""
    to, new = "steps-elsewhere@example.org", "new-steps-elsewhere@example.org"
    page, other = await opens(DESKTOP), await opens(PHONE)
    first = await opened(asking, page, to)
    await page.goto(asking.site.url + "/account/contacts")
    await begins_a_step_up(page, new)
    second = asking.code(to, first)
    mark = await page.locator("#answer [name=flow]").get_attribute("value")
    for path in (f"/verify?flow={mark}", "/verify"):
        await other.goto(asking.site.url + path)
        await expect(other.locator("#code")).to_have_count(0)
        await expect(other.locator("a.button")).to_be_visible()
    await expect(other.get_by_text("another browser")).to_be_visible()
    await other.goto(asking.site.url + "/account/contacts")
    await signs_in(other, to, PASSWORD)
    await waits(other)
    await types(other, asking.code(to, first, second))
    await expect(other).to_have_url(re.compile("/account/contacts"))
    await types(page, second)
    await waits(page)
    await types(page, asking.code(new))
    await expect(page).to_have_url(re.compile(r"/account/contacts\?done="))
    await expect(page.locator(".list bdi", has_text=new)).to_be_visible()
