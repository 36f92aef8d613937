"""Relying parties that are not ours complete a sign-in with step-up: the npm package openid-client, and Apache."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import expect
from tests.journeys import apache
from tests.journeys.conftest import SETTINGS
from tests.journeys.site import open_site
from tests.journeys.test_account import code, sign_in, sign_up
from tests.peers.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.peers, pytest.mark.asyncio(loop_scope="session")]

ROOT = Path(__file__).resolve().parent.parent.parent
MAIL_CODE = "urn:countersign:acr:mail-code"


class CameBack(BaseHTTPRequestHandler):
    """The page that a person comes back to."""

    def do_GET(self) -> None:
        """Say that they are back."""
        self.send_response(200)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"came back")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def back() -> Iterator[str]:
    """Give the address that a person comes back to."""
    server = HTTPServer(("127.0.0.1", 0), CameBack)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/came-back"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, back: str) -> Iterator[tuple[Site, str, str]]:
    """Give a site with an application that people are sent back to, its id and its key."""
    folder = tmp_path_factory.mktemp("parties")
    program = Program(folder, ENVIRONMENT="development")
    added = json.loads(program.run("apps", "add", "party", "--redirect", back, "--json").stdout)
    with open_site(folder, SETTINGS) as site:
        yield site, added["id"], added["key"]


class Party:
    """The relying party, as a process."""

    def __init__(self, registered: tuple[Site, str, str], back: str, **more: str) -> None:
        site, id_, key = registered
        node = shutil.which("node")
        if node is None or not (ROOT / "node_modules" / "openid-client").exists():
            pytest.skip("openid-client is not installed; node and `npm ci` bring it.")
        self._process = subprocess.Popen(
            [node, str(ROOT / "tests" / "journeys" / "relying_party.mjs"), site.url, id_, key, back, json.dumps(more)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.where = self._process.stdout.readline().strip()
        assert self.where.startswith(site.url + "/oauth/authorize?"), self._process.communicate(timeout=10)

    async def learns(self, back: str) -> Any:
        """Hand it the address that the person came back to; return what it then knows."""
        told, wrong = await asyncio.to_thread(self._process.communicate, back + "\n", 20)
        assert self._process.returncode == 0, wrong
        return json.loads(told)


async def test_openid_client_completes_a_sign_in_and_a_step_up(
    registered: tuple[Site, str, str], back: str, opens: Opens
) -> None:
    """S2, U1: with PKCE, nonce, state and iss checked by somebody else's code."""
    site, page = registered[0], await opens()
    to = "party@example.org"
    first = await sign_up(page, site, to)
    party = Party(registered, back)
    await page.goto(party.where)
    await page.wait_for_url(f"{back}*")
    known = await party.learns(page.url)
    assert known["claims"]["acr"] == MAIL_CODE
    assert known["person"]["email"] == to
    assert known["person"]["email_verified"] is True
    assert (known["alive"], known["after"]) == (True, False)

    await page.goto(site.url + "/account")
    await page.get_by_role("button", name="Sign out", exact=True).click()
    party = Party(registered, back, acr_values=MAIL_CODE, max_age="0")
    await page.goto(party.where)
    await sign_in(page, site, to, path=page.url.removeprefix(site.url))
    await page.locator("#code").fill(code(site, to, first))
    await page.locator("#answer button").click()
    await page.wait_for_url(f"{back}*")
    again = await party.learns(page.url)
    assert again["claims"]["acr"] == MAIL_CODE
    assert again["claims"]["sub"] == known["claims"]["sub"]
    assert again["claims"]["auth_time"] >= known["claims"]["auth_time"]


async def test_openid_client_hears_that_nobody_is_signed_in(
    registered: tuple[Site, str, str], back: str, opens: Opens
) -> None:
    page = await opens()
    party = Party(registered, back, prompt="none")
    await page.goto(party.where)
    await page.wait_for_url(f"{back}*")
    assert "error=login_required" in page.url
    with pytest.raises(AssertionError, match="login_required"):
        await party.learns(page.url)


async def test_apache_asks_for_a_level_by_path(tmp_path: Path, opens: Opens) -> None:
    """U1: Debian's mod_auth_openidc signs a person in with what they have, and steps them up where a path asks for more."""
    if not apache.is_here():
        pytest.skip(
            "Apache with mod_auth_openidc is not installed (apt-get install apache2 libapache2-mod-auth-openidc)."
        )
    port = apache.free_port()
    (tmp_path / "site").mkdir()
    (tmp_path / "apache").mkdir()
    program = Program(tmp_path / "site", ENVIRONMENT="development")
    back = f"http://localhost:{port}/back"
    added = json.loads(program.run("apps", "add", "party", "--redirect", back, "--json").stdout)
    with (
        open_site(tmp_path / "site", SETTINGS) as site,
        apache.apache(tmp_path / "apache", port, site.url, added["id"], added["key"]) as address,
    ):
        page = await opens()
        to = "apache@example.org"
        first = await sign_up(page, site, to, remember=True)
        await page.get_by_role("button", name="Sign out", exact=True).click()
        await sign_in(page, site, to)
        await expect(page.get_by_text("on a browser you trust")).to_be_visible()
        await page.goto(address + "/")
        await expect(page).to_have_title("apache start")
        await page.goto(address + "/orders/")
        await expect(page).to_have_url(site.url + "/verify")
        await page.locator("#code").fill(code(site, to, first))
        await page.locator("#answer button").click()
        await expect(page).to_have_title("apache orders")
