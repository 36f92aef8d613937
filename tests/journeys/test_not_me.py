"""The page that "this wasn't me" leads to, as its reader comes to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect
from tests.journeys.chromium import PHONE

if TYPE_CHECKING:
    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def asked(site: Site, to: str) -> tuple[str, str]:
    """Ask for a code; return the verification's id and the path that its message links to."""
    told = site.call("POST", "/v1/verifications", {"to": to, "action": {"summary": "Pay €49.90"}})
    link = re.search(r"(/not-me\?ref=\S+)", site.letter(to)["text"])
    assert link is not None
    return str(told["id"]), link[1]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_the_button_ends_the_challenge_and_opening_the_page_does_not(
    site: Site, opens: Opens, *, scripts: bool
) -> None:
    """R3: links in mail change nothing on GET; a person presses a button."""
    page = await opens(PHONE, scripts=scripts)
    name, path = asked(site, f"not-me-{scripts}@example.org")
    await page.goto(site.url + path)
    await expect(page.get_by_text("n***@example.org")).to_be_visible()
    await expect(page.get_by_text("Pay €49.90")).to_be_visible()
    assert site.call("GET", f"/v1/verifications/{name}")["status"] == "pending"
    await page.get_by_role("button", name="No, stop this code").click()
    await expect(page.get_by_role("heading", name="You have stopped this code")).to_be_visible()
    assert site.call("GET", f"/v1/verifications/{name}")["status"] == "canceled"
    await page.goto(site.url + path)
    await expect(page.get_by_role("heading", name="This code was already stopped")).to_be_visible()


async def test_another_sites_form_ends_nothing(site: Site, opens: Opens) -> None:
    """H5: state-changing requests are refused across origins."""
    name, path = asked(site, "foreign@example.org")
    page = await opens()
    reference = path.removeprefix("/not-me?ref=")
    await page.goto("about:blank")
    await page.set_content(
        f'<form method="post" action="{site.url}/not-me"><input name="ref" value="{reference}"><button>Win</button></form>'
    )
    async with page.expect_response("**/not-me") as answered:
        await page.get_by_role("button").click()
    assert (await answered.value).status == 403
    assert site.call("GET", f"/v1/verifications/{name}")["status"] == "pending"


async def test_the_page_speaks_the_readers_language(site: Site, opens: Opens) -> None:
    _, path = asked(site, "deutsch@example.org")
    page = await opens(locale="de-AT")
    await page.goto(site.url + path)
    await expect(page.get_by_role("heading", name="Haben Sie diesen Code angefordert?")).to_be_visible()
    assert await page.evaluate("document.documentElement.lang") == "de"


async def test_a_link_that_was_cut_off_is_told_kindly(site: Site, opens: Opens) -> None:
    _, path = asked(site, "cut@example.org")
    page = await opens()
    answered = await page.goto(site.url + path[:-4])
    assert answered is not None
    assert answered.status == 404
    await expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
