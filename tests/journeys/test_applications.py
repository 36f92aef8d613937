"""An application in front of the pages: the way there and back in a real browser, whose redirects it may make as it likes."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import re
import secrets
import threading
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page, expect
from tests.journeys.chromium import PHONE
from tests.journeys.site import Site
from tests.peers.program import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Opens

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PASSWORD: Final = "correct horse battery"
SETTINGS: Final = """
trusted_proxies = ["127.0.0.1"]

[limits]
requester = ["10000/1m"]
destination = ["10000/1m"]
"""


class _Home(http.server.BaseHTTPRequestHandler):
    """The second origin: where the application's person is at home. It is called 127.0.0.1, and the application localhost."""

    def do_GET(self) -> None:
        """Show a page."""
        body = b"<!doctype html><title>home</title><h1>Home</h1>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Callback(_Home):
    """The application: its callback and its page after signing out lead on to the second origin. It can send a form of its own."""

    home = ""
    form = b""

    def do_GET(self) -> None:
        """Lead on, but for the page with the form."""
        if self.path.startswith("/form"):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(self.form)
            return
        self.send_response(302)
        self.send_header("Location", f"{self.home}/home?from={self.path.partition('?')[0][1:]}")
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextlib.contextmanager
def _listening(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class Application:
    """A registered application: its own origin, the second one, and the site that signs its people in."""

    def __init__(self, site: Site, client: str, origin: str, home: str) -> None:
        self.site = site
        self.client = client
        self.origin = origin
        self.home = home

    def asks(self, **more: str) -> str:
        """Return the address of an authorization request."""
        challenge = urlsafe_b64encode(hashlib.sha256(secrets.token_bytes(8)).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": self.client,
            "redirect_uri": f"{self.origin}/cb",
            "response_type": "code",
            "scope": "openid",
            "state": "s",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **more,
        }
        return f"{self.site.url}/oauth/authorize?{urlencode(asked)}"

    def code(self, to: str) -> str:
        """Return the code of the newest letter."""
        found = re.search(r"\b(\d{3}) (\d{3})\b", self.site.letter(to)["text"])
        assert found is not None
        return found[1] + found[2]

    async def is_left_for(self, page: Page, path: str = "cb") -> None:
        """Check that the browser has arrived at the second origin."""
        await expect(page).to_have_url(f"{self.home}/home?from={path}")
        await expect(page.get_by_role("heading", name="Home")).to_be_visible()


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """One site with one application, for all journeys of this file."""
    folder = tmp_path_factory.mktemp("applications")
    (folder / "countersign.toml").write_text(SETTINGS)
    program = Program(folder, ENVIRONMENT="development")
    with _listening(_Home) as home, _listening(_Callback) as callback:
        _Callback.home = f"http://127.0.0.1:{home}"
        origin = f"http://localhost:{callback}"
        words = ("--redirect", f"{origin}/cb", "--sign-out", f"{origin}/out", "--site", "Leaf & <b>Kettle</b>")
        added = json.loads(program.run("apps", "add", "rp", *words, "--json").stdout)
        with program.serving() as server:
            yield Application(Site(server), added["id"], origin, _Callback.home)


async def opens_account(application: Application, page: Page, to: str, *, remember: bool = False) -> None:
    """Come from the application, open an account, and go back."""
    await page.goto(application.asks())
    await page.get_by_role("link", name="Create an account").click()
    await page.locator("#name").fill("Ada")
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").click()
    await expect(page).to_have_url(f"{application.site.url}/verify")
    if remember:
        await page.locator("[name=remember]").check()
    await page.locator("#code").fill(application.code(to))
    await page.locator("#answer button").click()
    await application.is_left_for(page)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_a_callback_that_redirects_again_is_followed(
    application: Application, opens: Opens, *, scripts: bool
) -> None:
    """J1: after a code, after a password alone on a trusted browser, and after a step-up; with scripts and without.

    Chromium holds every redirect after a form against `form-action`, those of the application too.
    """
    to = f"chain-{scripts}@example.org"
    page = await opens(PHONE, scripts=scripts)
    await opens_account(application, page, to, remember=True)
    await page.go_back()
    assert "/oauth/authorize" not in page.url  # what leads on by itself is no page to come back to
    await page.goto(f"{application.site.url}/sign-out")
    await page.get_by_role("button", name="Sign out", exact=True).last.click()
    await expect(page.get_by_text("You’re signed out.")).to_be_visible()
    await page.goto(application.asks())
    await page.locator("#identifier").fill(to)
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").first.click()
    await application.is_left_for(page)
    await page.goto(application.asks(acr_values="urn:countersign:acr:mail-code", max_age="0"))
    await expect(page).to_have_url(f"{application.site.url}/verify")
    await page.locator("#code").fill(application.code(to))
    await page.locator("#answer button").click()
    await application.is_left_for(page)


async def test_whoever_is_signed_in_already_passes_through(application: Application, opens: Opens) -> None:
    page = await opens(PHONE)
    await opens_account(application, page, "through@example.org")
    await page.goto(application.asks())
    await application.is_left_for(page)


async def test_the_application_is_named_on_every_page_of_the_way(application: Application, opens: Opens) -> None:
    """J6: by its registered name, as text; and its hint fills the field, which the person can change."""
    page = await opens(PHONE)
    to = "named@example.org"
    await page.goto(application.asks(login_hint=to))
    named = page.get_by_text("To continue to \u2068Leaf & <b>Kettle</b>\u2069")
    await expect(named).to_be_visible()
    await expect(page.locator("#identifier")).to_have_value(to)
    await page.get_by_role("link", name="Create an account").click()
    await expect(named).to_be_visible()
    await expect(page.locator("#identifier")).to_have_value(to)
    await page.locator("#name").fill("Ada")
    await page.locator("#password").fill(PASSWORD)
    await page.locator("form button.full").click()
    await expect(page).to_have_url(f"{application.site.url}/verify")
    await expect(named).to_be_visible()
    letter = application.site.letter(to)
    assert "To continue to: Leaf & <b>Kettle</b>" in letter["text"]
    assert "Leaf &amp; &lt;b&gt;Kettle&lt;/b&gt;" in letter["html"]


async def test_the_languages_that_an_application_asks_for_are_spoken(application: Application, opens: Opens) -> None:
    """J6: the first that we have, on every page of the way; the browser speaks English."""
    page = await opens(PHONE)
    await page.goto(application.asks(ui_locales="tlh de-AT ar"))
    await expect(page.locator("html")).to_have_attribute("lang", "de")
    await page.goto(f"{application.site.url}/sign-up")
    await expect(page.locator("html")).to_have_attribute("lang", "de")


async def test_a_form_of_the_application_asks_for_signing_out(application: Application, opens: Opens) -> None:
    """H5: the person is asked, though the form brings no cookie; then the application's page redirects as it likes."""
    page = await opens(PHONE)
    await opens_account(application, page, "out@example.org")
    _Callback.form = (
        f'<!doctype html><form method="post" action="{application.site.url}/oauth/sign-out">'
        f'<input name="client_id" value="{application.client}">'
        f'<input name="post_logout_redirect_uri" value="{application.origin}/out"><button>Leave</button></form>'
    ).encode()
    await page.goto(f"{application.origin}/form")
    await page.get_by_role("button", name="Leave").click()
    await expect(page.get_by_role("heading", name="Do you want to sign out?")).to_be_visible()
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await application.is_left_for(page, "out")
    await page.goto(f"{application.site.url}/account")
    await expect(page).to_have_url(re.compile("/sign-in"))


async def test_a_form_of_the_application_asks_for_signing_in(application: Application, opens: Opens) -> None:
    """OpenID Connect Core, 3.1.2.1: by POST as by GET, and whoever is signed in passes through."""
    page = await opens(PHONE)
    await opens_account(application, page, "posted@example.org")
    fields = dict(part.split("=", 1) for part in application.asks().partition("?")[2].split("&"))
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields.items())
    inputs = inputs.replace("%3A", ":").replace("%2F", "/")
    _Callback.form = (
        f'<!doctype html><form method="post" action="{application.site.url}/oauth/authorize">{inputs}<button>In</button></form>'
    ).encode()
    await page.goto(f"{application.origin}/form")
    await page.get_by_role("button", name="In").click()
    await application.is_left_for(page)
