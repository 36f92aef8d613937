"""The journey of a person who is sent to type a code far from where it was asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect
from tests.flows.accounts.test_location_check import LAGOS, ZURICH, places
from tests.journeys.chromium import PHONE
from tests.journeys.conftest import SETTINGS
from tests.journeys.site import open_site
from tests.journeys.test_account import code, sign_in, sign_up

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.conftest import Opens

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_the_screen_names_both_places_and_asks(tmp_path: Path, opens: Opens) -> None:
    """H4: what was typed is judged only after the person has said that both was them."""
    where = places(tmp_path / "places.mmdb")
    with open_site(tmp_path, SETTINGS, RISK_PLACES_FILE=str(where)) as site:
        to = "travels@example.org"
        last = await sign_up(await opens(), site, to)
        page = await opens(PHONE, scripts=False)
        await page.set_extra_http_headers({"X-Forwarded-For": ZURICH})
        await sign_in(page, site, to)
        await page.set_extra_http_headers({"X-Forwarded-For": LAGOS})
        sent = code(site, to, last)
        await page.locator("#code").fill(sent)
        await page.locator("#answer button").click()
        await expect(page.get_by_text("You seem to be in")).to_contain_text("Lagos, NG")
        await expect(page.get_by_text("A passkey cannot be passed on like this.")).to_be_visible()
        await page.locator("#code").fill(sent)
        await page.locator("[name=far]").check()
        await page.locator("#answer button").click()
        await expect(page).to_have_url(re.compile("/account$"))
