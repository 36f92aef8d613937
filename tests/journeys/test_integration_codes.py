"""The journey of a person who lets a program act for them: a static code is made, used, renewed and revoked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect
from tests.journeys.chromium import PHONE
from tests.journeys.test_account import sign_up
from tests.journeys.test_changes import confirm

if TYPE_CHECKING:
    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

VERIFY = "/v1/integration-codes/verify"


async def test_a_code_is_made_used_renewed_and_revoked(site: Site, opens: Opens) -> None:
    """I1, I3: without JavaScript, on a phone."""
    to = "integrates@example.org"
    page = await opens(PHONE, scripts=False)
    last = await sign_up(page, site, to)
    await page.goto(site.url + "/account/integration-codes")
    await page.locator("#name").fill("Bookkeeping")
    await page.get_by_role("button", name="Create code").click()
    await expect(page.locator("#scopes-fault")).to_have_text("Choose at least one thing it can do.")
    await page.locator("#name").fill("Bookkeeping")
    await page.locator("[name=scope-read]").check()
    await page.locator("#days").select_option("90")
    await page.get_by_role("button", name="Create code").click()
    last = await confirm(page, site, to, last)
    old = await page.locator("#made").input_value()
    assert "csi_" not in page.url
    opened = site.call("POST", VERIFY, {"code": old, "requester": {"ip": "192.0.2.7"}})
    assert opened["active"]
    assert opened["scopes"] == ["read"]
    assert set(opened) == {"active", "subject", "scopes", "expires_at"}

    await page.get_by_role("button", name="I have saved it").click()
    await expect(page.get_by_text("192.0.2.7")).to_be_visible()
    assert old not in await page.content()
    await page.get_by_role("button", name=re.compile("^Renew")).click()
    last = await confirm(page, site, to, last)
    new = await page.locator("#made").input_value()
    assert [site.call("POST", VERIFY, {"code": one})["active"] for one in (old, new)] == [True, True]

    await page.get_by_role("button", name="I have saved it").click()
    await page.get_by_role("button", name=re.compile("^Revoke")).first.click()
    await confirm(page, site, to, last)
    await expect(page.get_by_text("It no longer works.")).to_be_visible()
    assert sorted(site.call("POST", VERIFY, {"code": one})["active"] for one in (old, new)) == [False, True]
