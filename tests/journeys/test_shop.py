"""The example shop with the real provider, as `make run` starts them: sign in, step up, approve an order, sign out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Browser, Page, expect
from tests.journeys.chromium import DESKTOP, PHONE
from tests.peers.pair import Pair, open_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Opens

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Give both, started as `make run` starts them."""
    with open_pair(tmp_path_factory.mktemp("shop")) as started:
        yield started


async def open_account(page: Page, pair: Pair, to: str) -> str:
    """Come from the shop, open an account, and come back; return the code that was used."""
    await page.goto(pair.shop)
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_role("link", name="Create an account").click()
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").click()
    await expect(page).to_have_url(re.compile("/verify$"))
    sent = pair.code(to)
    await page.locator("[name=remember]").check()
    await page.locator("#code").fill(sent)
    await page.locator("#answer button").click()
    await expect(page).to_have_url(pair.shop + "/")
    await expect(page.get_by_text("Ada", exact=True)).to_be_visible()
    return sent


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_an_order_is_approved_and_the_history_asks_again(pair: Pair, opens: Opens, *, scripts: bool) -> None:
    """U1, U2: a large order by a code that names it; after signing in anew on a trusted browser, orders ask for a code."""
    to = f"shop-{scripts}@example.org"
    page = await opens(DESKTOP, scripts=scripts)
    first = await open_account(page, pair, to)
    await page.get_by_role("button", name="Put Aged Pu-erh").click()
    await page.get_by_role("link", name="Cart").click()
    await page.get_by_role("button", name="Order for €129.00").click()
    await expect(page.get_by_text("Pay €129.00 to Leaf & Kettle")).to_be_visible()
    second = pair.code(to, first)
    await page.locator("#code").fill(second)
    await page.locator("#answer button").click()
    await expect(page.get_by_text("is on its way to being packed")).to_be_visible()
    await page.get_by_role("link", name="Orders").click()
    await expect(page.get_by_text("approved by a code")).to_be_visible()

    await page.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_url(pair.shop + "/")
    await page.get_by_role("link", name="Sign in").click()
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").click()
    await expect(page).to_have_url(pair.shop + "/")
    await page.get_by_role("link", name="Orders").click()
    await expect(page).to_have_url(pair.provider + "/verify")
    await page.locator("#code").fill(pair.code(to, second))
    await page.locator("#answer button").click()
    await expect(page).to_have_url(pair.shop + "/orders")
    await expect(page.get_by_text("approved by a code")).to_be_visible()


async def test_a_changed_address_survives_the_step_up_and_is_carried_out_once(pair: Pair, opens: Opens) -> None:
    """U1: a POST with its body."""
    page = await opens(PHONE)
    to = "shop-address@example.org"
    first = await open_account(page, pair, to)
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("link", name="Sign in").click()
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").click()
    await page.goto(pair.shop + "/address")
    await page.locator("#address").fill("1 Analytical Row, <b>London</b>")
    await page.get_by_role("button", name="Change the address").click()
    await expect(page).to_have_url(pair.provider + "/verify")
    await page.locator("#code").fill(pair.code(to, first))
    await page.locator("#answer button").click()
    await expect(page).to_have_url(pair.shop + "/address")
    await expect(page.locator("#address")).to_have_value("1 Analytical Row, <b>London</b>")
    await expect(page.get_by_text("Your delivery address is changed.")).to_be_visible()


async def test_an_answer_that_comes_again_or_to_another_browser_is_refused(pair: Pair, opens: Opens) -> None:
    """S2: the state is the browser's own, and an authorization code works once."""
    page, other = await opens(), await opens()
    answers: list[str] = []
    page.on("request", lambda request: answers.append(request.url) if "/signed-in?" in request.url else None)
    await open_account(page, pair, "shop-again@example.org")
    for visitor in (page, other):
        await visitor.goto(answers[0])
        await expect(visitor.get_by_role("heading", name="Not confirmed")).to_be_visible()


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_axe_finds_nothing_in_the_shop(pair: Pair, browser: Browser, axe: str, colours: str) -> None:
    """H4."""
    context = await browser.new_context(
        color_scheme="dark" if colours == "dark" else "light", bypass_csp=True, viewport={"width": 390, "height": 844}
    )
    try:
        page = await context.new_page()
        for path in ("/", "/cart", "/signed-in"):
            await page.goto(pair.shop + path)
            await page.evaluate(axe)
            found = await page.evaluate("async () => (await axe.run()).violations")
            assert [(rule["id"], [node["target"] for node in rule["nodes"]]) for rule in found] == []
    finally:
        await context.close()
