"""What a journey needs: the real site, a real browser, and the rules that axe checks."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright
from tests.journeys.chromium import ARGUMENTS, DESKTOP, chromium
from tests.journeys.site import Site, open_site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

AXE = Path(__file__).resolve().parent.parent.parent / "node_modules" / "axe-core" / "axe.min.js"
SETTINGS = """
trusted_proxies = ["127.0.0.1"]

[purposes.sign_in]
guesses = 3
resend_after = 1

[purposes.step_up]
resend_after = 600

[limits]
requester = ["10000/1m"]
destination = ["10000/1m"]
"""


_networks = itertools.count(1)
"""Addresses of 198.18.0.0/15, which are for tests (RFC 2544)."""


class Opens(Protocol):
    """Opens a page of the browser, of a size and with colours of choice."""

    async def __call__(
        self, size: dict[str, int] = DESKTOP, *, colours: str = "light", scripts: bool = True, locale: str = "en-GB"
    ) -> Page:
        """Return a page that fails its test if a script of ours broke or the policy stopped something."""
        ...


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the site of all journeys, whose policies are short of patience."""
    with open_site(tmp_path_factory.mktemp("site"), SETTINGS) as started:
        yield started


@pytest.fixture
def site(served: Site) -> Site:
    """Give the site with an empty inbox, so that no journey takes another one's letter for its own."""
    served.call("DELETE", "/inbox/messages")
    return served


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Give the browser of all journeys."""
    path = chromium()
    if path is None:
        pytest.skip("There is no Chromium here; install one to run the journeys.")
    async with async_playwright() as tools:
        started = await tools.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="session")
async def opens(browser: Browser) -> AsyncIterator[Opens]:
    """Give what opens pages; each in a context of its own, and none may complain."""
    contexts: list[BrowserContext] = []
    # Each context comes from a network of its own, as people do: what one network may ask for is counted.
    complaints: list[str] = []

    async def opening(
        size: dict[str, int] = DESKTOP, *, colours: str = "light", scripts: bool = True, locale: str = "en-GB"
    ) -> Page:
        context = await browser.new_context(
            viewport=ViewportSize(width=size["width"], height=size["height"]),
            color_scheme="dark" if colours == "dark" else "light",
            java_script_enabled=scripts,
            locale=locale,
            extra_http_headers={"X-Forwarded-For": str(IPv4Address("198.18.0.0") + next(_networks))},
        )
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda word: complaints.append(word.text) if "Content Security Policy" in word.text else None
        )
        return page

    yield opening
    for context in contexts:
        await context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def axe() -> str:
    """Give the source of axe-core."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed; `npm ci` puts it into node_modules.")
    return AXE.read_text()
