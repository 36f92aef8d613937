"""What every page bears, who is shown none, and the forms without a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from tests.web.client import Client

from countersign.domain.delivery.delivery import Message
from countersign.domain.shared.contact import Channel
from countersign.flows.verifications.cancel import not_me_reference
from countersign.web.app import make_app
from countersign.web.pages.shared.assets import contents, digest
from countersign.web.pages.shared.rendering import links

if TYPE_CHECKING:
    from tests.web.conftest import CodeOf, Opener

    from countersign.wiring import Runtime

PAGES = ("/", "/inbox", "/not-me?ref=x", "/sign-up", "/sign-in", "/verify")
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def put(
    runtime: Runtime, key: str, to: str = "ada@example.org", channel: Channel = Channel.EMAIL, html: str = ""
) -> None:
    """Put a message into the inbox."""
    assert runtime.inbox is not None
    await runtime.inbox.add(
        Message(key, channel, to, "en", "A subject", f"A text {key}", html, "Ada's"), 1_795_460_000_000
    )


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_lets_nothing_in_and_is_kept_by_nobody(client: Client, path: str) -> None:
    """H4: strict CSP, frame-ancestors 'none', no-store."""
    answer = await client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "unsafe-" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    text = answer.body.decode()
    assert re.search(r"\sstyle=|<style|\son[a-z]+=", text) is None
    assert re.search(r"<script(?![^>]*\ssrc=)", text) is None
    assert re.search(r'(?:src|href)="(?:https?:)?//', text) is None


@pytest.mark.parametrize("path", PAGES[:2])
async def test_a_page_holds_one_language_one_title_and_one_heading_of_the_first_rank(client: Client, path: str) -> None:
    text = re.sub(r"<noscript>.*?</noscript>", "", (await client.get(path)).body.decode(), flags=re.DOTALL)
    assert text.count("<title>") == 1
    assert '<html lang="en" dir="ltr">' in text
    assert len(re.findall(r"<h1", re.sub(r"<section[^>]* hidden>.*?</section>", "", text, flags=re.DOTALL))) == 1


async def test_production_shows_neither_demonstration_nor_inbox(open_house: Opener, runtime: Runtime) -> None:
    home = runtime.settings.home
    production = await open_house(environment="production", public_url="https://id.example.org")
    assert production.settings.home != home
    client = Client(make_app(production, worker_alive=lambda: True))
    start = await client.get("/")
    assert (start.status, start.headers["location"]) == (303, "/sign-in")
    assert b"csk_" not in start.body
    for method, path in (
        ("GET", "/inbox"),
        ("POST", "/inbox"),
        ("GET", "/inbox/messages"),
        ("DELETE", "/inbox/messages"),
        ("GET", "/inbox/mail/x"),
    ):
        assert (await client.ask(method, path)).status == 404


async def test_assets_are_named_after_what_is_in_them_and_kept_for_good(client: Client) -> None:
    for name in contents():
        answer = await client.get(f"/static/{digest()}/{name}")
        assert answer.status == 200
        assert "immutable" in answer.headers["cache-control"]
    old = await client.get("/static/000000000000/design.css")
    assert (old.status, old.headers["cache-control"]) == (200, "no-store")
    assert (await client.get(f"/static/{digest()}/..%2fsheet.py")).status == 404
    assert (await client.get(f"/static/{digest()}/sheet.py")).status == 404


async def test_modules_name_only_assets_that_there_are(client: Client) -> None:
    pages = "".join([(await client.get(path)).body.decode() for path in PAGES])
    for path in set(re.findall(r'/static/[^"]+', pages)):
        assert (await client.get(path)).status == 200, path
    for name, content in contents().items():
        for other in re.findall(r'from "\./([^"]+)"|url\("([^"]+)"\)', content.decode()):
            assert "".join(other) in contents(), f"{name} asks for {other}"


async def test_the_json_lists_messages_newest_first_and_filters_by_the_canonical_address(
    client: Client, runtime: Runtime
) -> None:
    await put(runtime, "one")
    await put(runtime, "two", "+14155550123", Channel.SMS)
    await put(runtime, "three")
    listed = (await client.get("/inbox/messages")).json
    assert [message["text"] for message in listed] == ["A text three", "A text two", "A text one"]
    assert listed[1] == {
        "id": listed[1]["id"],
        "to": "+14155550123",
        "channel": "sms",
        "subject": "A subject",
        "text": "A text two",
        "html": "",
        "at": "2026-11-23T18:53:20Z",
    }
    for typed in ("+14155550123", "%2B14155550123", "%2B1%20415%20555-0123"):
        assert len((await client.get(f"/inbox/messages?to={typed}")).json) == 1, typed
    assert len((await client.get("/inbox/messages?to=ADA@Example.org")).json) == 2
    assert (await client.get("/inbox/messages?to=nobody")).json == []


async def test_an_inbox_that_has_not_changed_is_not_sent_again(client: Client, runtime: Runtime) -> None:
    await put(runtime, "one")
    first = await client.get("/inbox/messages")
    again = await client.get("/inbox/messages", headers={"if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    await put(runtime, "two")
    assert (await client.get("/inbox/messages", headers={"if-none-match": first.headers["etag"]})).status == 200


async def test_deleting_empties_the_inbox_but_not_from_another_origin(client: Client, runtime: Runtime) -> None:
    """H5: state-changing requests are refused across origins."""
    await put(runtime, "one")
    for method, path in (("DELETE", "/inbox/messages"), ("POST", "/inbox")):
        for told in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
            assert (await client.ask(method, path, headers=told)).status == 403
    assert len((await client.get("/inbox/messages")).json) == 1
    assert (await client.ask("DELETE", "/inbox/messages")).status == 204
    assert (await client.get("/inbox/messages")).json == []
    await put(runtime, "two")
    posted = await client.post("/inbox", raw=b"", headers=FORM)
    assert (posted.status, posted.headers["location"]) == (303, "/inbox")
    assert (await client.get("/inbox/messages")).json == []


async def test_a_mail_stands_in_a_document_that_can_do_nothing(client: Client, runtime: Runtime) -> None:
    await put(
        runtime,
        "one",
        html='<!doctype html><html><head lang="en"><style>p{color:red}</style></head><body>Hello</body></html>',
    )
    await put(runtime, "two")
    two, one = (await client.get("/inbox/messages")).json
    answer = await client.get(f"/inbox/mail/{one['id']}")
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert b'<head lang="en"><base target="_blank">' in answer.body
    assert (await client.get(f"/inbox/mail/{two['id']}")).status == 404
    assert (await client.get("/inbox/mail/inb_999999999999")).status == 404


async def test_what_a_message_says_never_becomes_markup(client: Client, runtime: Runtime) -> None:
    assert runtime.inbox is not None
    hostile = '<img src=x onerror=alert(1)> https://evil.example/"><script>'
    await runtime.inbox.add(Message("k", Channel.SMS, "+14155550123", "en", hostile, hostile, "", hostile), 0)
    text = (await client.get('/inbox?to="><script>')).body.decode() + (await client.get("/inbox")).body.decode()
    assert "<img" not in text
    assert "<script>" not in text


def test_only_web_addresses_become_links() -> None:
    assert links("Not you? https://a.example/not-me?ref=ver_1.a-b_. Or <b>@a.example #1</b>") == (
        'Not you? <a href="https://a.example/not-me?ref=ver_1.a-b_" target="_blank" rel="noopener noreferrer">'
        "https://a.example/not-me?ref=ver_1.a-b_</a>. Or &lt;b&gt;@a.example #1&lt;/b&gt;"
    )
    assert links("javascript:alert(1) a***@example.org") == "javascript:alert(1) a***@example.org"


async def test_not_me_ends_a_challenge_only_when_it_is_posted(client: Client, runtime: Runtime) -> None:
    """R3: links in mail change nothing on GET or HEAD."""
    begun = await client.begin()
    reference = not_me_reference(runtime.core.keyring, begun["id"])
    for method in ("GET", "HEAD"):
        answer = await client.ask(method, f"/not-me?ref={reference}")
        assert (answer.status, bool(answer.body)) == (200, method == "GET")
    assert (await client.get(f"/v1/verifications/{begun['id']}")).json["status"] == "pending"
    form = urlencode({"ref": reference}).encode()
    refused = await client.post("/not-me", raw=form, headers={**FORM, "origin": "https://evil.example"})
    assert refused.status == 403
    assert (await client.get(f"/v1/verifications/{begun['id']}")).json["status"] == "pending"
    done = await client.post(
        "/not-me", raw=form, headers={**FORM, "origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}
    )
    assert (done.status, b"You have stopped this code" in done.body) == (200, True)
    assert (await client.get(f"/v1/verifications/{begun['id']}")).json["status"] == "canceled"
    assert b"already stopped" in (await client.get(f"/not-me?ref={reference}")).body


@pytest.mark.parametrize(
    "reference", ["", "x", "ver_1.x", "ver_1." + "a" * 4_000, "%00", "%F0%9F%92%A5.%ff", "ver_1.&ref=ver_2.y"]
)
async def test_a_reference_that_is_none_of_ours_is_told_kindly(client: Client, reference: str) -> None:
    shown = await client.get(f"/not-me?ref={reference}")
    posted = await client.post("/not-me", raw=f"ref={reference}".encode(), headers=FORM)
    for answer in (shown, posted):
        assert answer.status == 404
        assert b"This link does not work" in answer.body


async def test_a_used_code_is_told_with_what_to_do_now(client: Client, runtime: Runtime, code_of: CodeOf) -> None:
    begun = await client.begin()
    form = urlencode({"ref": not_me_reference(runtime.core.keyring, begun["id"])}).encode()
    checked = await client.post(f"/v1/verifications/{begun['id']}/check", {"code": await code_of(begun["id"])})
    assert checked.json["status"] == "approved"
    answer = await client.post("/not-me", raw=form, headers=FORM)
    assert b"This code has been used" in answer.body
    assert b"change your password" in answer.body


@pytest.mark.parametrize(
    ("wished", "spoken"),
    [
        ("de", "de"),
        ("de-CH,en;q=0.5", "de"),
        ("fr, de;q=0.8, en;q=0.9", "fr"),
        ("fi, de;q=0.8, en;q=0.9", "en"),
        ("en;q=0.1,de;q=0.2", "de"),
        ("de;q=0", "en"),
        ("*;q=x,,;;", "en"),
    ],
)
async def test_the_language_is_the_first_wish_that_we_speak(client: Client, wished: str, spoken: str) -> None:
    answer = await client.get("/not-me?ref=x", headers={"accept-language": wished})
    assert f'<html lang="{spoken}"'.encode() in answer.body
    assert answer.headers["vary"] == "Accept-Language, Cookie"
