"""The journey of a person where a code by mail is not enough: they are led to enrol an app, and can do nothing before."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect
from tests.journeys.chromium import PHONE
from tests.journeys.conftest import SETTINGS
from tests.journeys.site import open_site
from tests.journeys.test_changes import confirm, oath

from countersign.totp import STEP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.conftest import Opens

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(shutil.which("oathtool") is None, reason="oathtool is not installed (apt-get install oathtool)"),
]

PASSWORD = "correct horse battery staple"


async def test_a_person_is_led_to_enrol_and_goes_on(tmp_path: Path, opens: Opens) -> None:
    """S9, S10: fifteen characters, no trust to ask for, and every page leads to where an app is added."""
    to = "strict@example.org"
    with open_site(tmp_path, f'profile = "strict"\n{SETTINGS}') as site:
        page = await opens(PHONE)
        await page.goto(site.url + "/sign-up")
        await page.locator("#name").fill("Ada")
        await page.locator("#identifier").fill(to)
        await page.locator("#password").fill("correct horse")
        await expect(page.locator("#password")).to_have_attribute("minlength", "15")
        await page.locator("#password").fill(PASSWORD)
        await page.locator("form button.full").click()
        await expect(page.locator("[name=remember]")).to_have_count(0)
        last = await confirm(page, site, to)
        await expect(page).to_have_url(re.compile(r"/account/methods\?done=enrol$"))
        for path in ("/account/contacts", "/account/password", "/account/activity"):
            await page.goto(site.url + path)
            await expect(page).to_have_url(re.compile(r"/account/methods\?done=enrol$"))
        await page.locator("#name").fill("My phone")
        await page.get_by_role("button", name="Add an authenticator app").click()
        await confirm(page, site, to, last)
        secret = (await page.locator("#secret").text_content() or "").replace(" ", "")
        used = time.time()
        await page.locator("#code").fill(oath(secret, used))
        await page.locator("form:has(#code) button").click()
        await page.locator("[name=kept]").click()
        await expect(page.get_by_text("We’ll ask for it when you sign in.")).to_be_visible()
        await page.goto(site.url + "/account/contacts")
        await expect(page.get_by_role("heading", name="Enter the code from your authenticator app")).to_be_visible()
        # The step that enrolled the app is used up; the one after it is not.
        await page.locator("#code").fill(oath(secret, max(time.time(), used + STEP / 1_000)))
        await page.locator("#answer button").click()
        await expect(page).to_have_url(re.compile("/account/contacts$"))
