"""Every exit of every screen leads on, in a real browser: docs/ways-on.md names the test of each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from tests.journeys.asking import PASSWORD, SHOP, Asking, is_back, open_asking, signs_in, signs_up, types, waits
from tests.journeys.chromium import DESKTOP, PHONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Opens

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DRESSES: Final = (
    pytest.param((DESKTOP, True, "en-GB"), id="desktop"),
    pytest.param((PHONE, False, "en-GB"), id="phone-without-scripts"),
)
ARABIC: Final = pytest.param((PHONE, True, "ar-EG"), id="phone-arabic")


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """Give one installation to all journeys of this file."""
    with open_asking(tmp_path_factory.mktemp("asking")) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session", params=DRESSES)
async def page(opens: Opens, request: pytest.FixtureRequest) -> Page:
    """Give the page of a person with a desktop, or with a phone that runs no scripts."""
    size, scripts, locale = request.param
    return await opens(size, scripts=scripts, locale=locale)


@pytest.fixture
def to(request: pytest.FixtureRequest) -> str:
    """Give an address of one's own to each journey."""
    name = re.sub(r"[^a-z]+", "-", request.node.name).strip("-")
    return f"{name[:34]}-{name[-14:]}@example.org"


async def opened(asking: Asking, page: Page, to: str) -> str:
    """Create an account and sign out again; return the code that was used."""
    await page.goto(asking.site.url + "/sign-up")
    await signs_up(page, to)
    await waits(page)
    code = asking.code(to)
    await types(page, code)
    await expect(page).to_have_url(re.compile("/account$"))
    await page.locator("form.leave button").click()
    await expect(page).to_have_url(re.compile(r"/sign-in\?done=signed-out$"))
    return code


@pytest.mark.parametrize("page", [*DRESSES, ARABIC], indirect=True)
async def test_success_leads_back_to_the_application(asking: Asking, page: Page, to: str) -> None:
    """J1: over the links between the forms, and back and forth between them."""
    await asking.come(page)
    for link in ("a[href^='/sign-up']", "a[href^='/sign-in']", "a[href^='/recover?']", "a[href^='/recover/lost']"):
        await page.locator(link).click()
    for link in ("a[href^='/recover?']", "a[href^='/sign-in']", "a[href^='/sign-up']"):
        await page.locator(link).click()
    await signs_up(page, to)
    await waits(page)
    await types(page, asking.code(to))
    assert "code" in await is_back(page)


async def test_a_new_password_leads_back_to_the_application(asking: Asking, page: Page, to: str) -> None:
    """J1: forgotten password, code, new password, sign-in."""
    first = await opened(asking, page, to)
    await asking.come(page)
    await page.locator("a[href^='/recover']").click()
    await page.locator("#identifier").fill(to)
    await page.locator("form[action='/recover'] button").click()
    await waits(page)
    second = asking.code(to, first)
    await types(page, second)
    await page.locator("#password").fill("a better battery staple")
    await page.locator("form[action='/recover/password'] button").click()
    await expect(page).to_have_url(re.compile("/outcome$"))
    await page.reload()
    await page.locator("a.button").click()
    await signs_in(page, to, "a better battery staple")
    await waits(page)
    await types(page, asking.code(to, first, second))
    await is_back(page)


@pytest.mark.parametrize("page", [*DRESSES, ARABIC], indirect=True)
async def test_cancel_tells_the_application(asking: Asking, page: Page, to: str) -> None:
    """J1: `access_denied` with the state, from each form and from the code, which is then worth nothing."""
    for path in ("/sign-in", "/sign-up", "/recover"):
        await asking.come(page)
        if path != "/sign-in":
            await page.locator(f"a[href^='{path}']").first.click()
        await expect(page.locator("form[action='/sign-in/cancel'] button")).to_contain_text(SHOP)
        await page.locator("form[action='/sign-in/cancel'] button").click()
        await is_back(page, error="access_denied")
    await asking.come(page)
    await page.locator("a[href^='/sign-up']").click()
    await signs_up(page, to)
    await waits(page)
    await page.locator("form[action='/verify/cancel'] button").click()
    await is_back(page, error="access_denied")
    await page.goto(asking.site.url + "/verify")
    await expect(page.locator("#code")).to_have_count(0)
    await page.locator("a.button").click()
    await expect(page.locator("form[action='/sign-in/cancel'] button")).to_contain_text(SHOP)


async def test_a_reload_repeats_nothing(asking: Asking, page: Page, to: str) -> None:
    """J2: neither a wrong password, nor a form with a fault, nor a wrong code."""
    await asking.come(page)
    await signs_in(page, to, "not the right one")
    await expect(page.locator("#wrong")).to_be_visible()
    await expect(page.locator("#identifier")).to_have_value(to)
    await page.reload()
    await expect(page.locator("#wrong")).to_have_count(0)
    await page.locator("a[href^='/sign-up']").click()
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill("not an address")
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form[action='/sign-up'] button").click()
    await expect(page.locator("#identifier-fault")).to_be_visible()
    await expect(page.locator("#name")).to_have_value("Ada")
    await expect(page.locator("#password")).to_have_value("")
    await page.reload()
    await expect(page.locator("#identifier-fault")).to_have_count(0)
    await signs_up(page, to)
    await waits(page)
    wrong = "000000" if asking.code(to) != "000000" else "000001"
    await types(page, wrong)
    await expect(page.locator("#fault")).to_contain_text("2")
    for _ in range(4):
        await page.reload()
        await waits(page)
    await types(page, wrong)
    await expect(page.locator("#fault")).to_contain_text("1")
    await types(page, asking.code(to))
    await is_back(page)


async def test_a_reopened_tab_shows_what_waits(asking: Asking, page: Page, to: str) -> None:
    """J2: the addresses of the buttons send nothing and count nothing."""
    await asking.come(page)
    await page.locator("a[href^='/sign-up']").click()
    await signs_up(page, to)
    await waits(page)
    code = asking.code(to)
    for path in ("resend", "way", "new", "address", "app", "recovery-code", "passkey", "cancel"):
        await page.goto(f"{asking.site.url}/verify/{path}")
        await waits(page)
    other = await page.context.new_page()
    await other.goto(asking.site.url + "/verify")
    await waits(other)
    assert asking.codes(to) == [code]
    await types(page, code)
    await is_back(page)


async def test_back_after_success_says_so(asking: Asking, page: Page, to: str) -> None:
    """J1: with the way on to where the person was going."""
    await page.goto(asking.site.url + "/sign-up?return_to=/account/contacts")
    await signs_up(page, to)
    await waits(page)
    await types(page, asking.code(to))
    await expect(page).to_have_url(re.compile("/account/contacts$"))
    await page.goto(asking.site.url + "/verify")
    await expect(page.locator("h1")).to_have_text("Done")
    await page.get_by_role("link", name="Continue").click()
    await expect(page).to_have_url(re.compile("/account/contacts$"))
    await page.go_back()
    await expect(page.locator("h1")).to_have_text("Done")


@pytest.mark.parametrize("page", [*DRESSES, ARABIC], indirect=True)
async def test_a_code_that_ran_out_is_renewed_in_place(asking: Asking, page: Page, to: str) -> None:
    """J1: and the flow begins again, for the same thing, when that has run out too."""
    await asking.come(page)
    await page.locator("a[href^='/sign-up']").click()
    await signs_up(page, to)
    await waits(page)
    first = asking.code(to)
    asking.later(11)
    await page.reload()
    await page.locator("form[action='/verify/new'] button").click()
    await waits(page)
    second = asking.code(to, first)
    asking.later(31)
    await page.goto(asking.site.url + "/verify")
    await page.locator("a.button").click()
    await expect(page).to_have_url(re.compile(r"/sign-up\?return_to="))
    await signs_up(page, to)
    await waits(page)
    await types(page, asking.code(to, first, second))
    await is_back(page)


async def test_a_code_that_was_used_up_is_renewed_in_place(asking: Asking, page: Page, to: str) -> None:
    """J1, C5: after three wrong ones, by this site's policy."""
    await asking.come(page)
    await page.locator("a[href^='/sign-up']").click()
    await signs_up(page, to)
    await waits(page)
    first = asking.code(to)
    for wrong in ("000000", "000001", "000002"):
        await types(page, wrong if wrong != first else "000003")
    await expect(page.locator("#code")).to_have_count(0)
    await page.reload()
    await page.locator("form[action='/verify/new'] button").click()
    await waits(page)
    await types(page, asking.code(to, first))
    await is_back(page)


async def test_a_browser_without_cookies_is_told_so(asking: Asking, page: Page, to: str) -> None:
    """J1: before any message is sent."""
    await opened(asking, page, to)
    asking.site.call("DELETE", "/inbox/messages")
    await asking.come(page)
    address = page.url
    for path, fill in (("/sign-in", signs_in), ("/sign-up", signs_up)):
        await page.goto(address.replace("/sign-in", path))
        await page.context.clear_cookies()
        await fill(page, to)
        await expect(page.locator("h1")).to_have_text("Allow cookies to continue")
    assert asking.codes(to) == []
    await page.locator("a.button").click()
    await page.locator("a[href^='/sign-in']").click()
    await signs_in(page, to)
    await waits(page)
    await types(page, asking.code(to))
    await is_back(page)


async def test_another_browser_is_told_what_to_do(asking: Asking, page: Page, opens: Opens) -> None:
    """J1: it waits for nothing, and says why that may be."""
    other = await opens(PHONE)
    for path in ("/verify", "/verify/resend", "/recover/password"):
        await other.goto(asking.site.url + path)
        await expect(other.get_by_text("another browser")).to_be_visible()
        await expect(other.get_by_text("cookies")).to_be_visible()
    await other.get_by_role("link", name="Sign in").click()
    await expect(other.locator("#identifier")).to_be_visible()
    await page.goto(asking.site.url + "/outcome")
    await expect(page.locator("#identifier")).to_be_visible()


async def test_who_is_signed_in_goes_on_at_once(asking: Asking, page: Page, to: str) -> None:
    """J1: from the sign-in, from the code, and from what the application asks."""
    await page.goto(asking.site.url + "/sign-up")
    await signs_up(page, to)
    await waits(page)
    await types(page, asking.code(to))
    await expect(page).to_have_url(re.compile("/account$"))
    await page.goto(asking.site.url + "/sign-in?return_to=/account/contacts")
    await expect(page).to_have_url(re.compile("/account/contacts$"))
    for path in ("/verify", "/recover/password"):
        await page.goto(asking.site.url + path)
        await expect(page.locator("h1")).to_have_text("Done")
    await asking.come(page)
    await is_back(page)


async def test_who_has_lost_everything_keeps_the_application(asking: Asking, page: Page, to: str) -> None:
    """J1: the form for it says what it needs, and leads back."""
    await asking.come(page)
    await page.locator("a[href^='/recover']").click()
    await page.locator("a[href^='/recover/lost']").click()
    await page.locator("#identifier").fill(to)
    await page.locator("#contact").fill("not an address")
    await page.locator("form[action='/recover/lost'] button").click()
    await expect(page.locator("#contact-fault")).to_be_visible()
    await expect(page.locator("#identifier")).to_have_value(to)
    await page.locator("#contact").fill(f"new-{to}")
    await page.locator("form[action='/recover/lost'] button").click()
    await waits(page)
    await types(page, asking.code(f"new-{to}"))
    await expect(page).to_have_url(re.compile("/outcome$"))
    await page.locator("a.button").click()
    await page.locator("form[action='/sign-in/cancel'] button").click()
    await is_back(page, error="access_denied")
