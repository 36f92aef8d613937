"""An installation with an application that asks people to sign in, as the journeys between the two need it."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.async_api import Page, expect
from tests.journeys.conftest import SETTINGS
from tests.journeys.site import Site
from tests.peers.program import PATIENCE, Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "correct horse battery"
SHOP = "Leaf & Kettle"
STATE = "a state with = and &"


@dataclass
class Asking:
    """The installation, and the application by its id."""

    site: Site
    client_id: str
    callback: str

    @property
    def request(self) -> str:
        """Return the address of an authorization request of the application."""
        query = {
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "response_type": "code",
            "scope": "openid",
            "state": STATE,
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
        }
        return f"{self.site.url}/oauth/authorize?{urlencode(query)}"

    def codes(self, to: str) -> list[str]:
        """Return the codes that came to an address, the newest first."""
        found: list[str] = []
        for message in self.site.call("GET", f"/inbox/messages?to={to.replace('+', '%2B')}"):
            code = re.search(r"\b(\d{3}) ?(\d{3})\b(?! \d)", message["text"].replace(message["to"], ""))
            if code is not None:
                found.append(code[1] + code[2])
        return found

    def code(self, to: str, *before: str) -> str:
        """Return the newest code that came to an address and is none of those `before`."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for code in self.codes(to):
                if code not in before:
                    return code
            time.sleep(0.05)
        raise AssertionError(f"no code came to {to}")

    def later(self, minutes: int) -> None:
        """Let time pass for the installation."""
        self.site.call("POST", "/test/clock", {"advance": minutes * 60})

    async def come(self, page: Page) -> None:
        """Come from the application."""
        await page.goto(self.request)


class _Shop(BaseHTTPRequestHandler):
    """What the application answers at its callback."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>The shop</h1>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base has it
        """Say nothing."""


@contextlib.contextmanager
def _open_shop() -> Iterator[str]:
    """Answer at the callback until the block ends; give its address."""
    shop = ThreadingHTTPServer(("127.0.0.1", 0), _Shop)
    served = threading.Thread(target=shop.serve_forever, daemon=True)
    served.start()
    try:
        yield f"http://localhost:{shop.server_port}/signed-in"
    finally:
        shop.shutdown()
        shop.server_close()
        served.join()


@contextlib.contextmanager
def open_asking(folder: Path) -> Iterator[Asking]:
    """Serve until the block ends."""
    (folder / "countersign.toml").write_text(f"{SETTINGS}\n[purposes.sign_up]\nguesses = 3\n")
    program = Program(folder, ENVIRONMENT="development")
    with _open_shop() as callback, program.serving() as server:
        added = program.run("apps", "add", "shop", "--site", SHOP, "--redirect", callback, "--json")
        yield Asking(Site(server), json.loads(added.stdout)["id"], callback)


async def signs_up(page: Page, to: str, name: str = "Ada") -> None:
    """Fill in the form for a new account."""
    await page.locator("#name").fill(name)
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form[action='/sign-up'] button").click()


async def signs_in(page: Page, to: str, password: str = PASSWORD) -> None:
    """Fill in the form of the sign-in."""
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(password)
    await page.locator("form[action='/sign-in'] button").click()


async def types(page: Page, code: str) -> None:
    """Type a code and confirm it."""
    await page.locator("#code").fill(code)
    await page.locator("#answer button").click()


async def is_back(page: Page, **expected: str) -> dict[str, str]:
    """Wait until the person is back at the application; return what it is told, which holds `expected` and its state."""
    await expect(page).to_have_url(re.compile(r"/signed-in\?"))
    told = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
    assert told["state"] == STATE
    assert expected.items() <= told.items(), told
    return told


async def waits(page: Page) -> None:
    """Wait until the page asks for a code."""
    await expect(page).to_have_url(re.compile("/verify"))
    await expect(page.locator("#code")).to_be_visible()
