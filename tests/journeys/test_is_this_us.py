"""The journey of a person who does not trust a message: they paste it, and learn whether it is ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect
from tests.journeys.chromium import PHONE

if TYPE_CHECKING:
    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize("locale", ["en-GB", "ar-EG"])
async def test_a_message_is_pasted_and_judged(site: Site, opens: Opens, locale: str) -> None:
    """H4: without JavaScript, on a phone, and nothing that was pasted becomes a link or markup."""
    page = await opens(PHONE, scripts=False, locale=locale)
    await page.goto(site.url + "/sign-in")
    await page.locator("footer a[href='/is-this-us']").click()
    long = "https://localhost.evil.example/" + "x" * 200
    await page.locator("#text").fill(f"Open http://localhost/x or {long} <b>now</b>")
    await page.locator("form button").click()
    await expect(page.locator(".note.good")).to_have_count(1)
    await expect(page.locator(".note.bad")).to_have_count(1)
    await expect(page.locator(".note.bad")).to_contain_text("localhost.evil.example")
    assert await page.locator(".note b, .note a").count() == 0
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
