"""People get a page when something cannot be done: in their language, with a way on. Programs get problem+json (semantics J5)."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from tests.web.client import Answer, Client, assert_problem
from tests.web.pages.page_browser import PageBrowser, signed_up

from countersign.errors import UnavailableError
from countersign.web.app import make_app
from countersign.web.http.application import PAGES, WebApplication
from countersign.web.http.context import WebContext
from countersign.web.http.problems import PROBLEMS, ProblemError
from countersign.web.pages.shared.error_pages import TEXTS

if TYPE_CHECKING:
    from tests.web.conftest import Opener

    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.wiring import Runtime

PERSON = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
OWN = {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}
OTHER = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


def assert_page(answer: Answer, status: int, title: str) -> str:
    """J5: a page of the house, whole, kept by nobody and listed nowhere; return its text."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-robots-tag"] == "noindex"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    text = unescape(answer.body.decode())
    assert re.findall(r"<h1>(.*?)</h1>", text) == [title]
    assert f"<title>{title} " in text
    assert re.search(r'<a class="button full" href="[^"]*">[^<]+</a>', text)
    return text


def way_on(text: str) -> tuple[str, str]:
    """Return where the button of a page leads, and its words."""
    found = re.search(r'<a class="button full" href="([^"]*)">([^<]+)</a>', text)
    assert found is not None
    return found[1], found[2]


@pytest.mark.parametrize("path", ["/nope", "/account/nope", "/oauth/nope", "/verify/nope/more", "/.well-known/nope"])
async def test_an_unknown_address_is_a_page_that_repeats_nothing_of_it(runtime: Runtime, path: str) -> None:
    """J5, H1."""
    answer = await PageBrowser(runtime).get(f"{path}?x=%3Cscript%3E&evil=1", **PERSON)
    text = assert_page(answer, 404, "Page not found")
    assert way_on(text) == ("/sign-in", "Sign in")
    assert "nope" not in text
    assert "script>" not in text.replace('<script type="module"', "")


async def test_the_way_on_fits_whether_somebody_is_signed_in(runtime: Runtime) -> None:
    """J5."""
    browser = await signed_up(runtime)
    assert way_on(assert_page(await browser.get("/nope", **PERSON), 404, "Page not found")) == (
        "/account",
        "Go to your account",
    )
    await browser.post("/sign-out", {})
    assert way_on(assert_page(await browser.get("/nope", **PERSON), 404, "Page not found"))[0] == "/sign-in"


@pytest.mark.parametrize(("language", "title"), [("de", "Seite nicht gefunden"), ("ar-EG", "الصفحة غير موجودة")])
async def test_it_speaks_the_readers_language(runtime: Runtime, language: str, title: str) -> None:
    """J5."""
    answer = await PageBrowser(runtime).get("/nope", **PERSON, **{"accept-language": language})
    assert f'lang="{language[:2]}"' in assert_page(answer, 404, title)


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/verify/resend", "/verify"),
        ("/verify/new", "/verify"),
        ("/verify/address", "/verify"),
        ("/verify/way", "/verify"),
        ("/verify/cancel", "/verify"),
        ("/verify/app", "/verify?by=app"),
        ("/account/contacts/remove", "/account/contacts"),
        ("/account/methods/app/confirm", "/account/methods/app"),
        ("/account/end", "/account"),
        ("/zone", "/account"),
        ("/sign-in/passkey", "/sign-in"),
        ("/sign-in/cancel", "/sign-in"),
        ("/recover/lost/withdraw", "/recover/lost"),
    ],
)
async def test_the_address_of_a_form_alone_leads_to_its_page(runtime: Runtime, path: str, page: str) -> None:
    """J2, J1: what a phone opens again, or a person enters once more."""
    answer = await PageBrowser(runtime).get(path, **PERSON)
    assert (answer.status, answer.headers["location"]) == (303, page)


@pytest.mark.parametrize("path", ["/sign-in/passkey/begin", "/verify/passkey/begin"])
async def test_the_address_that_a_script_asks_is_a_page_that_leads_on(runtime: Runtime, path: str) -> None:
    """J5, J1: Allow says what is taken."""
    answer = await PageBrowser(runtime).get(path, **PERSON)
    assert_page(answer, 405, "You cannot open this page on its own")
    assert answer.headers["allow"] == "POST"


async def test_in_the_middle_of_a_flow_the_way_on_is_the_flow(runtime: Runtime) -> None:
    """J1: the tab that a phone opens again after a resend that came too soon."""
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    await browser.signs_in()
    assert (await browser.get("/verify/resend", **PERSON)).headers["location"] == "/verify"
    answer = await browser.get("/verify/passkey/begin", **PERSON)
    text = assert_page(answer, 405, "You cannot open this page on its own")
    assert way_on(text) == ("/verify", "See what needs a code")


@pytest.mark.parametrize("path", ["/sign-in", "/account/contacts", "/sign-out", "/nope"])
async def test_a_form_of_another_site_is_refused_with_a_page(runtime: Runtime, path: str) -> None:
    """J5, H5."""
    browser = await signed_up(runtime)
    answer = await browser.post(path, {"identifier": "x"}, **OTHER, **PERSON)
    assert_page(answer, 403, "This request came from another website")
    assert await browser.session() is not None


async def test_a_form_that_is_too_long_is_refused_with_a_page(runtime: Runtime) -> None:
    """J5, H3."""
    answer = await PageBrowser(runtime).post("/sign-in", {"identifier": "x" * 70_000, "password": "x"}, **PERSON)
    assert_page(answer, 413, "You sent more than we can take")


async def test_a_form_that_is_none_is_refused_with_a_page(runtime: Runtime) -> None:
    """J5, H3."""
    client = Client(make_app(runtime, worker_alive=lambda: True))
    for headers, raw, status in (
        ({"content-type": "application/json"}, b"{}", 415),
        (FORM, b"identifier=%ff%fe&x=" + b"\xff", 400),
        (FORM, b"&".join(b"a=b" for _ in range(50)), 400),
    ):
        answer = await client.post("/sign-in", raw=raw, headers={**headers, **OWN, **PERSON})
        assert_page(answer, status, "We could not read what you sent")


async def test_a_fault_of_ours_is_a_page_with_a_reference(runtime: Runtime) -> None:
    """J5, H1: and the exception's words are nowhere."""
    answer = await _failing(runtime, RuntimeError("the secret is 42")).get("/fails", headers=PERSON)
    text = assert_page(answer, 500, "Sorry, something went wrong")
    assert re.search(r"ref_[0-9a-f]{16}", text)
    assert "secret" not in text
    assert way_on(text) == ("", "Try again")


async def test_an_outage_is_a_page_that_says_when_to_come_back(runtime: Runtime) -> None:
    """J5, H1."""
    client = _failing(runtime, UnavailableError("the database is down", retry_after=7))
    answer = await client.get("/fails", headers=PERSON | {"cookie": "__Host-session=" + "x" * 43})
    text = assert_page(answer, 503, "Sorry, we are not available right now")
    assert answer.headers["retry-after"] == "7"
    assert "You can try again in 7 seconds." in text
    assert "database" not in text
    assert way_on(text) == ("", "Try again")


async def test_too_many_requests_are_a_page_with_the_time(runtime: Runtime) -> None:
    """J5: minutes and hours are rounded up."""
    for seconds, told in ((1, "1 second."), (61, "61 seconds."), (200, "4 minutes."), (10_000, "3 hours.")):
        client = _failing(runtime, ProblemError("limited", retry_after=seconds))
        answer = await client.get("/fails", headers=PERSON)
        text = assert_page(answer, 429, "You need to wait a moment")
        assert answer.headers["retry-after"] == str(seconds)
        assert f"You can try again in {told}" in text


async def test_a_limit_on_sign_in_says_how_long_it_lasts_and_leads_to_the_sign_in(runtime: Runtime) -> None:
    """M5: nobody is signed in, so the account is no way on."""
    browser = PageBrowser(runtime, peer="192.0.2.77")
    answer = await browser.post("/recover", {"identifier": "nobody@example.org"}, **PERSON)
    for number in range(70):
        if answer.status == 429:
            break
        answer = await browser.post("/recover", {"identifier": f"nobody{number}@example.org"}, **PERSON)
    text = assert_page(answer, 429, "You need to wait a moment")
    assert re.search(r"You can try again in \d+ (second|minute|hour)s?\.", text)
    assert way_on(text) == ("/recover", "Back")


@pytest.mark.parametrize(
    "accept",
    [
        {},
        {"accept": "*/*"},
        {"accept": "application/json"},
        {"accept": "application/problem+json, text/html;q=0.5"},
        {"accept": "text/html;q=0"},
        {"accept": "image/avif,image/webp,*/*;q=0.8"},
        {"accept": "text/event-stream"},
        {"accept": "text/html;q=x"},
        {"accept": "," * 100_000},
    ],
)
async def test_a_program_gets_a_problem_from_a_page_too(client: Client, accept: dict[str, str]) -> None:
    """J5, H1: scripts, pictures and whatever does not name HTML."""
    assert_problem(await client.get("/nope", headers=accept), 404, "not-found")
    assert_problem(await client.get("/verify/passkey/begin", headers=accept), 405, "method-not-allowed")


@pytest.mark.parametrize("path", ["/v1/nope", "/v1/verifications", "/v1/", "/oauth/token", "/oauth/par"])
async def test_the_api_speaks_json_to_everybody(runtime: Runtime, path: str) -> None:
    """J5: by the route, whatever Accept says."""
    answer = await Client(make_app(runtime, worker_alive=lambda: True)).get(path, headers=PERSON)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_browser_that_opens_a_document_gets_a_page_whatever_it_accepts(client: Client) -> None:
    """J5: Fetch Metadata says so."""
    assert_page(await client.get("/nope", headers={"sec-fetch-dest": "document"}), 404, "Page not found")


async def test_head_is_answered_as_get_is(client: Client) -> None:
    answer = await client.ask("HEAD", "/nope", headers=PERSON)
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_a_page_under_another_name_leads_to_the_right_one(client: Client) -> None:
    """J5: in development; the name that was asked for is not repeated."""
    answer = await client.get("/inbox", headers={"host": "evil.example:8000", **PERSON})
    text = assert_page(answer, 421, "This page has a different address")
    assert "evil" not in text


async def test_a_page_that_breaks_too_leaves_the_problem(runtime: Runtime) -> None:
    """H1: no error is lost because its page cannot be shown."""

    async def breaks(*_: object) -> None:
        raise RuntimeError

    app = WebApplication(WebContext(runtime, lambda: True), breaks)
    assert_problem(await Client(app).get("/nope", headers=PERSON), 404, "not-found")


def test_every_text_belongs_to_a_problem() -> None:
    assert PROBLEMS.keys() >= TEXTS.keys()


@pytest.mark.parametrize("path", ["/account", "/verify"])
async def test_pages_are_listed_by_no_search_engine(runtime: Runtime, path: str) -> None:
    """J5: but the doors are."""
    browser = await signed_up(runtime)
    assert (await browser.get(path)).headers["x-robots-tag"] == "noindex"
    for door in ("/sign-in", "/sign-up", "/recover", "/is-this-us"):
        assert "x-robots-tag" not in (await PageBrowser(runtime).get(door)).headers
        assert (await PageBrowser(runtime).get(f"{door}?return_to=/account")).headers["x-robots-tag"] == "noindex"


async def test_production_says_the_same(open_house: Opener) -> None:
    """J5."""
    runtime = await open_house(environment="production", public_url="https://verify.example.org")
    client = Client(make_app(runtime, worker_alive=lambda: True))
    answer = await client.get("/nope", headers={"host": "verify.example.org", **PERSON})
    assert_page(answer, 404, "Page not found")


def _failing(runtime: Runtime, error: Exception) -> Client:
    """Return a client of an application with one more page, which raises an error as a flow would."""

    async def fails(_: Request, __: Response) -> None:
        raise error

    app = make_app(runtime, worker_alive=lambda: True)
    app.mount({"/fails": {"GET": fails}}, guard=app.web.cross_origin.check_page, label=PAGES)
    return Client(app)
