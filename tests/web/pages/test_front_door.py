"""What people and their programs find at the addresses that any site has: `/`, forgiven slips, icons, manifest, well-known ones (J5)."""

from __future__ import annotations

import json
import re
import struct
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from tests.web.client import Answer, Client
from tests.web.pages.page_browser import PageBrowser, signed_up

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.conftest import Opener

    from countersign.wiring import Runtime

HOST = "verify.example.org"
PERSON = {"accept": "text/html"}
GATEWAY = f"""
[routes]
email = ["gateway"]

[providers.gateway]
kind = "webhook"
url = "https://sender.example.org/messages"
secret = "whsec_{b64encode(bytes(range(32))).decode()}"
"""


async def in_production(open_house: Opener, toml: str = "") -> PageBrowser:
    """Return a browser at an installation of production."""
    return PageBrowser(await open_house(toml, environment="production", public_url=f"https://{HOST}"))


async def test_the_front_door_leads_to_the_sign_in_and_then_to_the_account(open_house: Opener) -> None:
    """J5: pages and messages send people to the bare host."""
    browser = await in_production(open_house, GATEWAY)
    for method in ("GET", "HEAD"):
        answer = await browser.client.ask(method, "/", headers={"host": HOST})
        assert (answer.status, answer.headers["location"]) == (303, "/sign-in")
    own = {"origin": f"https://{HOST}", "host": HOST}
    await browser.post(
        "/sign-up", {"name": "Ada", "identifier": "ada@example.org", "password": "correct horse battery"}, **own
    )
    await browser.post("/verify", {"code": await browser.code()}, **own)
    answer = await browser.get("/", host=HOST)
    assert (answer.status, answer.headers["location"]) == (303, "/account")


async def test_the_start_page_of_development_leads_everywhere(client: Client) -> None:
    """J5: to the pages of people, and to the documents."""
    page = (await client.get("/", headers=PERSON)).body.decode()
    for path in ("/sign-up", "/sign-in", "/account", "/inbox", "/docs", "/openapi.yaml"):
        assert f'href="{path}"' in page, path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("/sign-in/", "/sign-in"),
        ("/Sign-In", "/sign-in"),
        ("/SIGN-UP//", "/sign-up"),
        ("/account/contacts/", "/account/contacts"),
        ("//account//contacts", "/account/contacts"),
        ("/recover.", "/recover"),
        ("/sign-in)", "/sign-in"),
        ("/verify ", "/verify"),
        ("/oauth/authorize/", "/oauth/authorize"),
        ("/.well-known/Change-Password/", "/.well-known/change-password"),
    ],
)
async def test_slips_in_an_address_are_forgiven(client: Client, typed: str, meant: str) -> None:
    """J5: with the query as it was."""
    for query in ("", "?return_to=%2FAccount%2F&x=Y"):
        answer = await client.get(typed + query, headers=PERSON)
        assert (answer.status, answer.headers["location"]) == (301, meant + query)
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "//evil.example/",
        "///evil.example/sign-in",
        "/\\evil.example/",
        "/sign-in/@evil.example",
        "//evil.example//sign-in",
        "/%2f%2fevil.example/",
        "/https://evil.example/",
        "/sign-in\r\nlocation: https://evil.example",
        "/sign-in/../evil",
        "/static/x/",
        "/Sign-In" + "/" * 5_000,
        "/v1/verifications/",
        "/health/ready/",
    ],
)
async def test_no_address_leads_to_another_site(client: Client, path: str) -> None:
    """J5: an open redirect would lend our name to anybody."""
    answer = await client.get(path, headers=PERSON)
    assert answer.status in {404, 405}, answer.headers
    assert "location" not in answer.headers


async def test_only_what_is_read_is_forgiven(runtime: Runtime) -> None:
    """H5: a form is carried out at its own address or not at all."""
    answer = await PageBrowser(runtime).post("/sign-in/", {"identifier": "a", "password": "b"}, **PERSON)
    assert answer.status == 404


async def test_a_password_manager_finds_the_form(runtime: Runtime) -> None:
    """J5: W3C, A Well-Known URL for Changing Passwords. Whoever is signed out comes to it after signing in."""
    answer = await PageBrowser(runtime).get("/.well-known/change-password")
    assert (answer.status, answer.headers["location"]) == (303, "/account/password")
    answer = await PageBrowser(runtime).get("/account/password")
    assert answer.headers["location"] == "/sign-in?return_to=/account/password"
    missing = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert (await PageBrowser(runtime).get(missing)).status == 404
    assert (await (await signed_up(runtime)).get("/account/password")).status == 200


async def test_browsers_and_phones_find_their_icons(client: Client) -> None:
    """J5: unasked, at the addresses where they look."""
    icon = await client.get("/favicon.ico")
    assert (icon.status, icon.headers["content-type"]) == (200, "image/x-icon")
    assert struct.unpack("<HHH", icon.body[:6]) == (0, 1, 2)
    for path in ("/apple-touch-icon.png", "/apple-touch-icon-precomposed.png", "/apple-touch-icon-120x120.png"):
        picture = await client.get(path)
        assert (picture.status, picture.headers["content-type"]) == (200, "image/png")
        assert struct.unpack(">II", picture.body[16:24]) == (180, 180)
        assert picture.headers["cache-control"] == "public, max-age=86400"


async def test_the_manifest_has_the_name_of_the_site(open_house: Opener) -> None:
    """J5: that of the settings, whatever letters it has."""
    browser = await in_production(open_house, 'site = "Ada\'s <Tea> & Kettles"')
    answer = await browser.get("/site.webmanifest", host=HOST)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/manifest+json")
    manifest = json.loads(answer.body)
    assert manifest["name"] == "Ada's <Tea> & Kettles"
    assert (manifest["start_url"], manifest["scope"]) == ("/", "/")
    for icon in manifest["icons"]:
        assert (await browser.get(icon["src"], host=HOST)).headers["content-type"] == icon["type"]
    page = await browser.get("/sign-in", host=HOST)
    assert b'<link rel="manifest" href="/site.webmanifest">' in page.body
    assert "manifest-src 'self'" in page.headers["content-security-policy"]


async def test_icons_and_manifest_are_those_of_the_theme(open_house: Opener, tmp_path: Path) -> None:
    """J5, H7: nobody finds our mark on the home screen for an operator that has one of its own."""
    picture = tmp_path / "icon.png"
    picture.write_bytes(png(180))
    browser = await in_production(open_house, f'[theme]\naccent = "#8c1d40"\nfavicon = "{picture}"')
    for path in ("/favicon.ico", "/apple-touch-icon.png"):
        icon = await browser.get(path, host=HOST)
        assert (icon.body, icon.headers["content-type"]) == (picture.read_bytes(), "image/png")
    manifest = json.loads((await browser.get("/site.webmanifest", host=HOST)).body)
    assert manifest["theme_color"] == "#8c1d40"
    assert [(one["type"], one["sizes"]) for one in manifest["icons"]] == [("image/png", "180x180")]
    source = manifest["icons"][0]["src"]
    assert (await browser.get(source, host=HOST)).body == picture.read_bytes()
    page = await browser.get("/sign-in", host=HOST)
    assert f'<link rel="apple-touch-icon" href="{source}">'.encode() in page.body


async def test_a_theme_with_a_drawn_icon_has_no_touch_icon(open_house: Opener, tmp_path: Path) -> None:
    """J5, H7: phones take no SVG, and then draw a letter; our own mark would be a stranger's."""
    picture = tmp_path / "icon.svg"
    picture.write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path d="M0 0h8v8H0z"/></svg>')
    browser = await in_production(open_house, f'[theme]\nfavicon = "{picture}"')
    icon = await browser.get("/favicon.ico", host=HOST)
    assert icon.headers["content-type"] == "image/svg+xml; charset=utf-8"
    assert "sandbox" in icon.headers["content-security-policy"]
    assert (await browser.get("/apple-touch-icon.png", host=HOST)).status == 404
    assert b"apple-touch-icon" not in (await browser.get("/sign-in", host=HOST)).body
    manifest = json.loads((await browser.get("/site.webmanifest", host=HOST)).body)
    assert [(one["type"], one["sizes"]) for one in manifest["icons"]] == [("image/svg+xml", "any")]


def png(side: int) -> bytes:
    """Return a grey square as a PNG."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress((b"\0" + b"\x80" * side) * side)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def test_search_engines_are_told(client: Client, open_house: Opener) -> None:
    """J5."""
    assert (await client.get("/robots.txt")).body == b"User-agent: *\nDisallow: /\n"
    answer: Answer = await (await in_production(open_house)).get("/robots.txt", host=HOST)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert b"Disallow: /\n" not in answer.body
    assert b"Disallow: /oauth/" in answer.body


async def test_signing_out_asks_by_a_button_and_says_so_afterwards(runtime: Runtime) -> None:
    """J5: a link signs nobody out, and its address is no dead end."""
    browser = await signed_up(runtime)
    asked = await browser.get("/sign-out", **PERSON)
    assert asked.status == 200
    assert b'<form class="stack" method="post" action="/sign-out">' in asked.body
    assert await browser.session() is not None
    left = await browser.post("/sign-out", {})
    assert (left.status, left.headers["location"]) == (303, "/sign-in?done=signed-out")
    landed = await browser.get("/sign-in?done=signed-out")
    assert b'role="status"' in landed.body
    assert "You’re signed out.".encode() in landed.body
    assert "You’re signed out.".encode() not in (await browser.get("/sign-in")).body
    again = await browser.get("/sign-out")
    assert again.status == 200
    assert "You’re signed out".encode() in again.body


async def test_the_word_in_an_address_is_one_of_ours(runtime: Runtime) -> None:
    """J5: a link that somebody made says nothing in our name. Only the link to the languages holds the address, to lead back."""
    page = await PageBrowser(runtime).get("/sign-in?done=You%20won%20at%20evil.example")
    assert b"evil" not in re.sub(rb'href="/language\?back=[^"]*"', b"", page.body)


async def test_a_session_that_ended_in_the_middle_of_a_form_leads_back_to_it(runtime: Runtime) -> None:
    """J1: with a word that says why nothing was changed."""
    for path, page in (
        ("/account/contacts", "/account/contacts"),
        ("/account/contacts/remove", "/account/contacts"),
        ("/account/methods/app", "/account/methods"),
        ("/account/integration-codes", "/account/integration-codes"),
        ("/account/password", "/account/password"),
        ("/account/end", "/account"),
    ):
        browser = PageBrowser(runtime)
        answer = await browser.post(path, {"identifier": "new@example.org"})
        assert (answer.status, answer.headers["location"]) == (
            303,
            f"/sign-in?return_to={page}%3Fdone%3Dsigned_out&done=session-ended",
        )
        assert b"You were signed out, so nothing was changed." in (await browser.get(answer.headers["location"])).body
