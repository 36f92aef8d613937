"""The documents build into a site without a broken link, and no page of it asks another host for anything."""

import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from tests.journeys.chromium import ARGUMENTS, chromium

ROOT = Path(__file__).resolve().parent.parent
# Elements that a browser loads by itself, with the attribute that says from where; a plain link is followed by a person only.
LOADED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
}
LINKS_OF_A_PAGE = {"a": "href", **LOADED}


class Page(HTMLParser):
    """What a page loads, where it links to, and which anchors it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors = {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.add(given.get("id") or "")
        where = given.get(LINKS_OF_A_PAGE.get(tag, ""))
        if where is not None and given.get("rel") not in {"canonical", "prev", "next"}:
            self.links.append(where)
            if tag in LOADED:
                self.loads.append(where)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site that `make docs` builds."""
    place = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "docs_site.py"), str(place)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return place / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Every page of the site by its path, but the one that answers for whatever is missing."""
    return {str(path.relative_to(site)): Page(path) for path in site.rglob("*.html") if path.name != "404.html"}


def _is_outside(address: str) -> bool:
    return address.startswith("//") or urlsplit(address).scheme in {"http", "https"}


def test_no_page_loads_anything_from_another_host(pages: dict[str, Page]) -> None:
    assert len(pages) > 50
    assert [(name, load) for name, page in pages.items() for load in page.loads if _is_outside(load)] == []


def test_no_style_loads_a_font_or_a_picture_from_another_host(site: Path) -> None:
    styles = list(site.rglob("*.css"))
    assert styles
    texts = [path.read_text(encoding="utf-8") for path in [*styles, *site.rglob("*.html")]]
    loads = [load for text in texts for load in re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')\s;]+)", text)]
    assert [load for load in loads if _is_outside(load)] == []


def test_every_link_of_every_page_leads_to_a_page_and_a_heading_that_are_there(
    site: Path, pages: dict[str, Page]
) -> None:
    dead = []
    for name, page in pages.items():
        for link in page.links:
            if _is_outside(link) or urlsplit(link).scheme:
                continue
            target = urlsplit(urljoin(f"/{name}", link))
            path = unquote(target.path).lstrip("/")
            there = (site / path).is_file() or (site / path / "index.html").is_file()
            if not there or (path in pages and unquote(target.fragment) not in pages[path].anchors):
                dead.append((name, link))
    assert dead == []


def test_the_navigation_names_every_document_but_single_decisions() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    named = re.findall(r"'([\w/.-]+\.md)'", repr(nav))
    documents = [str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]]
    assert sorted(named) == sorted(one for one in documents if not re.match(r"docs/decisions/\d", one))


def test_a_link_that_leads_nowhere_stops_the_building(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    (copy / "docs").mkdir(parents=True)
    (copy / "tools").mkdir()
    for name in ("tools/docs_site.py", "zensical.toml"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    (copy / "docs" / "page.md").write_text("# A page\n\nIt links to [another](gone.md).\n")
    built = subprocess.run(
        [sys.executable, str(copy / "tools" / "docs_site.py")], capture_output=True, text=True, check=False
    )
    assert built.returncode == 1
    assert built.stderr == "docs/page.md links to gone.md, which is no file of this checkout\n"


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine, and give its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.browser
def test_the_search_finds_a_page_and_asks_no_other_host(site: Path) -> None:
    path = chromium()
    if path is None:
        pytest.skip("there is no Chromium")
    from playwright.sync_api import sync_playwright

    with served(site) as address, sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/docs/api.html")
        page.get_by_role("button", name="Search").click()
        page.keyboard.type("revoke integration code")
        page.get_by_text("matching document").or_(page.get_by_text(re.compile(r"\d+ results?"))).first.wait_for()
        browser.close()
    assert len(asked) > 3
    assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []
