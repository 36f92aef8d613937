"""Pages bear the theme of the installation, and those of an application's sign-in its own; a person chooses the language."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pytest
from tests.config_files import SHOP, write_themes
from tests.web.client import Client
from tests.web.pages.page_browser import PageBrowser

from countersign.web.app import make_app
from countersign.web.http.browser import preferred_tag
from countersign.web.http.request import Request
from countersign.web.pages.shared.assets import address, contents

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.client import Answer
    from tests.web.conftest import Opener

    from countersign.wiring import Runtime

ASKED: Final = f"/oauth/authorize?client_id={SHOP}&redirect_uri=https%3A%2F%2Fshop.example%2Fback"


@pytest.fixture
async def themed(open_house: Opener, tmp_path: Path) -> Runtime:
    """Give an installation with a theme, and another one for the shop."""
    return await open_house(write_themes(tmp_path).read_text())


def linked(answer: Answer) -> dict[str, str]:
    """Return the address of the sheet and of the icon, and of each picture."""
    text = answer.body.decode()
    found = re.findall(r'<link rel="(icon|stylesheet)" href="([^"]+)"', text)
    return dict(reversed(found)) | dict(enumerate(re.findall(r'(?:srcset|src)="(/theme/[^"]+)"', text)))


async def test_every_file_of_a_theme_is_served_for_good_and_can_do_nothing(themed: Runtime) -> None:
    """J6: logo, icon and sheet are files of ours, whose names hold their content."""
    client = Client(make_app(themed, worker_alive=lambda: True))
    page = await client.get("/sign-in")
    files = linked(page)
    assert len(files) == 4
    for path in files.values():
        answer = await client.get(path)
        assert answer.status == 200, path
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    old = await client.get(re.sub(r"/theme/\w+/", "/theme/000000000000/", files["stylesheet"]))
    assert (old.status, old.headers["cache-control"]) == (200, "no-store")
    assert (await client.get("/theme/x/nothing.css")).status == 404
    assert (await client.get("/theme/x/..%2f..%2fcountersign.toml")).status == 404


async def test_the_sheet_of_a_theme_is_ours_with_its_colours_so_that_it_costs_no_request(themed: Runtime) -> None:
    client = Client(make_app(themed, worker_alive=lambda: True))
    page = (await client.get("/sign-in")).body.decode()
    assert page.count('rel="stylesheet"') == 1
    sheet = (await client.get(linked(await client.get("/sign-in"))["stylesheet"])).body.decode()
    assert "--accent:#0a3d91" in sheet
    assert '--sans:"Georgia",serif,' in sheet
    assert address("chevron.svg") in sheet


async def test_the_pages_of_an_applications_sign_in_bear_its_theme(themed: Runtime) -> None:
    """J6: the application that asks has its own look, from the sign-in to the code, whatever the way there."""
    browser = PageBrowser(themed)
    own = linked(await browser.get("/sign-in"))["stylesheet"]
    shop = linked(await browser.get(f"/sign-in?return_to={quote(ASKED)}"))["stylesheet"]
    assert own.endswith("/own-site.css")
    assert shop.endswith("/shop.css")
    assert linked(await browser.get(f"/sign-up?return_to={quote(ASKED)}"))["stylesheet"] == shop
    form = {"name": "Ada", "identifier": "ada@example.org", "password": "correct horse battery"}
    assert (await browser.post("/sign-up", {**form, "return_to": ASKED})).headers["location"] == "/verify"
    assert linked(await browser.get("/verify"))["stylesheet"] == shop
    wrong = await browser.submits("/verify", {"code": "000000"})
    assert wrong.status == 422
    assert linked(wrong)["stylesheet"] == shop
    assert linked(await PageBrowser(themed).get("/is-this-us"))["stylesheet"] == own


@pytest.mark.parametrize("client", ["app_01jd0000000000000000000009", "own-site", "shop", "", "x" * 400, "%00", "<b>"])
async def test_an_unknown_application_gets_the_installations_theme(themed: Runtime, client: str) -> None:
    asked = f"/oauth/authorize?client_id={quote(client)}"
    page = await PageBrowser(themed).get(f"/sign-in?return_to={quote(asked)}")
    assert linked(page)["stylesheet"].endswith("/own-site.css")


async def test_the_operators_links_stand_at_the_foot_of_every_page_in_the_readers_language(themed: Runtime) -> None:
    browser = PageBrowser(themed, language="de")
    for path in (
        "/sign-in",
        "/sign-up",
        "/recover",
        "/recover/lost",
        "/verify",
        "/not-me?ref=x",
        "/is-this-us",
        "/language",
    ):
        foot = (await browser.get(path)).body.decode().partition('<footer class="foot">')[2]
        assert '<a href="https://firstharbour.example/de/terms">Nutzungsbedingungen</a>' in foot, path
        assert 'href="tel:+442079460000"' in foot


async def test_a_page_without_a_theme_is_as_it_was(open_house: Opener) -> None:
    runtime = await open_house()
    page = await PageBrowser(runtime).get("/sign-in")
    assert linked(page) == {"icon": address("mark.svg"), "stylesheet": address("design.css")}
    assert "font-src" not in page.headers["content-security-policy"]
    assert "design.css" in contents()


async def test_a_chosen_language_is_remembered_and_leads_back(open_house: Opener) -> None:
    """Whoever reads another language than the browser says chooses it at the foot of any page."""
    runtime = await open_house()
    browser = PageBrowser(runtime, language="en-GB")
    page = (await browser.get("/sign-in?return_to=/account/contacts")).body.decode()
    link = re.search(r'href="(/language\?back=[^"]+)"', page)
    assert link is not None
    offered = (await browser.get(link[1].replace("&amp;", "&"))).body.decode()
    assert offered.count('name="language"') == 12
    back = re.search(r'name="back" value="([^"]+)"', offered)
    assert back is not None
    chosen = await browser.post("/language", {"language": "ar", "back": back[1].replace("&amp;", "&")})
    assert chosen.headers["location"] == "/sign-in?return_to=/account/contacts"
    assert '<html lang="ar" dir="rtl">' in (await browser.get("/sign-in")).body.decode()


@pytest.mark.parametrize("language", ["xx", "", "de\r\nSet-Cookie: a=b", "../../x", "en" * 60])
async def test_a_language_that_is_none_of_ours_is_not_remembered(open_house: Opener, language: str) -> None:
    browser = PageBrowser(await open_house())
    answer = await browser.post("/language", {"language": language, "back": "/sign-in"})
    assert answer.status == 303
    assert not any("language" in cookie for cookie in answer.cookies)


@pytest.mark.parametrize(
    "back",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:x", "/a\r\nb", "", "/" + "a" * 3000],
)
async def test_the_way_back_from_the_languages_leads_nowhere_else(open_house: Opener, back: str) -> None:
    browser = PageBrowser(await open_house())
    assert (await browser.post("/language", {"language": "de", "back": back})).headers["location"] == "/account"
    assert "evil" not in (await browser.get(f"/language?back={quote(back)}")).body.decode()


async def test_a_regions_way_of_writing_stays_with_the_language(open_house: Opener) -> None:
    client = Client(make_app(await open_house(), worker_alive=lambda: True))
    headers = {"accept-language": "fr,de-AT;q=0.5", "cookie": "__Host-language=de"}

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    assert preferred_tag(Request(client.scope("GET", "/sign-in", headers), receive)) == "de-AT"
