"""What the sign-in page and the screen of the code cost on the wire: no more requests and bytes than they once did with less on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.journeys.asking import PASSWORD
from tests.journeys.chromium import PHONE

if TYPE_CHECKING:
    from playwright.async_api import Page
    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SIGN_IN = ((4, 18_335), (1, 3_315))
VERIFY = ((7, 20_506), (2, 3_971))
"""The most requests and bytes, headers too: of a first visit, and of a second one in the same tab."""


class Sent(msgspec.Struct):
    """A request that went out, and the bytes that came back for it."""

    size: float = 0
    kept: bool = False


async def weight(page: Page, address: str) -> tuple[int, int]:
    """Open an address; return the requests that it sent, and the bytes that came back."""
    tools = await page.context.new_cdp_session(page)
    await tools.send("Network.enable")
    sent: dict[str, Sent] = {}

    def asked(event: dict[str, Any]) -> None:
        sent.setdefault(event["requestId"], Sent())

    def kept(event: dict[str, Any]) -> None:
        sent[event["requestId"]].kept = True

    def answered(event: dict[str, Any]) -> None:
        one, answer = sent[event["requestId"]], event["response"]
        one.size = answer["encodedDataLength"]
        one.kept |= bool(answer.get("fromDiskCache"))

    def arrived(event: dict[str, Any]) -> None:
        sent[event["requestId"]].size = event["encodedDataLength"]

    tools.on("Network.requestWillBeSent", asked)
    tools.on("Network.requestServedFromCache", kept)
    tools.on("Network.responseReceived", answered)
    tools.on("Network.loadingFinished", arrived)
    await page.goto(address)
    await page.wait_for_timeout(400)  # the event stream stays open: there is no end to wait for
    await tools.detach()
    gone = [one for one in sent.values() if not one.kept]
    return len(gone), int(sum(one.size for one in gone))


async def twice(page: Page, address: str) -> list[tuple[int, int]]:
    """Return the weight of an address for whoever has never been there, and for whoever comes again."""
    first = await weight(page, address)
    await page.goto("about:blank")
    return [first, await weight(page, address)]


async def test_the_sign_in_is_as_light_as_it_was(site: Site, opens: Opens) -> None:
    measured = await twice(await opens(PHONE), f"{site.url}/sign-in")
    for (requests, size), (most, largest) in zip(measured, SIGN_IN, strict=True):
        assert requests <= most
        assert size <= largest


async def test_the_screen_of_the_code_is_as_light_as_it_was(site: Site, opens: Opens) -> None:
    to = "weight@example.org"
    page, other = await opens(PHONE), await opens(PHONE)
    await page.goto(f"{site.url}/sign-up")
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form[action='/sign-up'] button").click()
    await page.wait_for_url("**/verify")
    site.letter(to)
    # The same flow in a browser whose cache is empty.
    kept = await page.context.cookies()
    await other.context.add_cookies(
        [
            {
                "name": one["name"],
                "value": one["value"],
                "domain": one["domain"],
                "path": one["path"],
                "secure": one["secure"],
            }
            for one in kept
        ]
    )
    measured = await twice(other, f"{site.url}/verify")
    for (requests, size), (most, largest) in zip(measured, VERIFY, strict=True):
        assert requests <= most
        assert size <= largest
