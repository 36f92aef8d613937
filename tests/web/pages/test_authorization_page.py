"""The page to which an application sends people: by GET and POST, in the language that it asks for, and back by a page of ours."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from tests.web.pages.page_browser import PageBrowser, signed_up

from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.maintenance.applications import add_application

if TYPE_CHECKING:
    from countersign.wiring import Runtime

BACK = "https://shop.example/signed-in?shop=1"
OTHER = {"origin": "https://shop.example", "sec-fetch-site": "cross-site"}
PERSON = {"accept": "text/html"}


async def shop(runtime: Runtime) -> Application:
    """Return a relying party."""
    draft = ApplicationDraft("shop", ApplicationMode.LIVE, site="Leaf & <i>Kettle</i>", redirect_uris=(BACK,))
    added, _ = await add_application(
        runtime.core.database, runtime.accounts.log, runtime.core.keyring, draft, 1, os.urandom
    )
    return added


def request(client: Application, **more: str) -> dict[str, str]:
    """Return the parameters of a request."""
    return {
        "client_id": client.id,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "openid",
        "state": "s&t",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        **more,
    }


async def test_a_request_may_come_by_a_form(runtime: Runtime) -> None:
    """OpenID Connect Core, 3.1.2.1: from the page of another site, which brings no cookie."""
    client, browser = await shop(runtime), await signed_up(runtime)
    answer = await browser.post("/oauth/authorize", request(client), **OTHER)
    assert answer.status == 303
    assert answer.headers["location"].startswith("/oauth/authorize?")
    assert dict(parse_qsl(urlsplit(answer.headers["location"]).query)) == request(client)
    assert "code=" in (await browser.get(answer.headers["location"])).headers["location"]
    twice = urlencode([("client_id", client.id), *request(client).items()]).encode()
    headers = {"content-type": "application/x-www-form-urlencoded", **OTHER}
    led = (await browser.client.post("/oauth/authorize", raw=twice, headers=headers)).headers["location"]
    assert (await browser.get(led)).status == 400
    too_long = await browser.post("/oauth/authorize", request(client, state="x" * 9_000), **OTHER, **PERSON)
    assert too_long.status == 413
    none = await browser.client.post(
        "/oauth/authorize", raw=b"{}", headers={"content-type": "application/json", **OTHER}
    )
    assert none.status == 415


async def test_a_browser_that_comes_from_our_form_leaves_by_a_page_of_ours(runtime: Runtime) -> None:
    """J1: decision 0049. Whoever comes by a link, or is no browser, is redirected."""
    client, browser = await shop(runtime), await signed_up(runtime)
    path = "/oauth/authorize?" + urlencode(request(client))
    for headers in (
        {},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-origin"},
    ):
        assert (await browser.get(path, **headers)).headers["location"].startswith(f"{BACK}&code="), headers
    answer = await browser.get(path, **{"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"})
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert "form-action 'self';" in answer.headers["content-security-policy"]
    page = answer.body.decode()
    assert f'content="0;url={BACK}&amp;code=' in page
    assert f'href="{BACK}&amp;code=' in page


async def test_a_hint_fills_the_field_and_says_nothing(runtime: Runtime) -> None:
    """J6, S1: alike for an address with an account and one without; as text, whatever it holds."""
    client = await shop(runtime)
    await signed_up(runtime)
    pages = []
    for hint in ("ada@example.org", "bob@example.org"):
        answer = await PageBrowser(runtime).get("/oauth/authorize?" + urlencode(request(client, login_hint=hint)))
        for where in (answer.headers["location"], answer.headers["location"].replace("/sign-in", "/sign-up")):
            page = (await PageBrowser(runtime).get(where)).body.decode()
            assert f'value="{hint}"' in page
            assert "Leaf &amp; &lt;i&gt;Kettle&lt;/i&gt;" in page
            pages.append(page.replace(hint, "").replace(quote(quote(hint, safe=""), safe=""), ""))
    assert len({len(page) for page in pages[::2]}) == 1
    evil = await PageBrowser(runtime).get("/oauth/authorize?" + urlencode(request(client, login_hint='"><script>x')))
    page = (await PageBrowser(runtime).get(evil.headers["location"])).body.decode()
    assert '"><script>x' not in page


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("de-AT de", "de"),
        ("tlh xx fr-CA en", "fr"),
        ("ar", "ar"),
        ("tlh", "en"),
        ("", "en"),
        ("de-;Domain=evil.example", "en"),
        ("de\r\nSet-Cookie:x=y", "de"),
        ("de_DE ja", "ja"),
        (" ".join(["xx"] * 400) + " de", "en"),
    ],
)
async def test_the_languages_of_a_request_are_spoken_where_we_have_them(
    runtime: Runtime, asked: str, spoken: str
) -> None:
    """J6: on each page of the way, by a cookie that holds one well-formed tag."""
    client, browser = await shop(runtime), PageBrowser(runtime)
    answer = await browser.get("/oauth/authorize?" + urlencode(request(client, ui_locales=asked)))
    assert all(line.startswith("__Host-asked-language=") and line.count(";") == 5 for line in answer.cookies)
    for where in (answer.headers["location"], "/sign-up", "/recover"):
        assert f'<html lang="{spoken}"' in (await browser.get(where)).body.decode()


async def test_a_language_is_taken_from_no_link_that_is_wrong(runtime: Runtime) -> None:
    """P4: nobody but a registered application chooses, and a cookie that somebody made counts as none."""
    client, browser = await shop(runtime), PageBrowser(runtime)
    wrong = request(client, ui_locales="de", redirect_uri="https://evil.example/")
    assert (await browser.get("/oauth/authorize?" + urlencode(wrong))).cookies == ()
    browser.cookies["__Host-asked-language"] = "de<script>"
    assert '<html lang="en"' in (await browser.get("/sign-in")).body.decode()
