"""Each page in each of its states, by rules that can be read off its HTML: headings, faults, names, and what managers fill in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from tests.web.pages.page_browser import ADA, PageBrowser, signed_up
from tests.web.pages.page_rules import Document, faults_of

from countersign.flows.verifications.cancel import not_me_reference
from countersign.messages.language.catalogue import languages, negotiate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.web.client import Answer

    from countersign.wiring import Runtime

PHONE: Final = "+14155550123"
LOOKED_AT: Final = ("en", "ar", "ja")


async def _out(runtime: Runtime, language: str) -> AsyncIterator[tuple[str, Answer]]:
    """Yield what somebody sees who is not signed in."""
    visitor = PageBrowser(runtime, language=language)
    for path in ("/sign-in", "/sign-up", "/recover", "/recover/lost", "/is-this-us", "/verify", "/not-me?ref=x"):
        yield path, await visitor.get(path)
    nothing = {"name": "", "identifier": "nothing", "contact": "nothing", "password": "short"}
    for path in ("/sign-in", "/sign-up", "/recover", "/recover/lost"):
        yield f"{path}, wrong", await visitor.post(path, nothing)
    for text in ("Your code is 123456", "https://localhost.example/", "http://localhost:8000/sign-in"):
        yield "/is-this-us, asked", await visitor.post("/is-this-us", {"text": text})
    await visitor.post("/recover", {"identifier": ADA})
    yield "/verify of a recovery", await visitor.get("/verify")
    yield "/verify of a recovery code", await visitor.get("/verify?by=recovery_code")
    yield "/verify of a recovery code, wrong", await visitor.post("/verify/recovery-code", {"code": "aaaa"})
    await visitor.types()
    yield "/recover/password", await visitor.get("/recover/password")
    yield "/recover/password, wrong", await visitor.post("/recover/password", {"password": "short"})
    wrong = {"password": "a better battery staple", "current": "not it"}
    yield "/recover/password, the old one wrong", await visitor.post("/recover/password", wrong)


async def _in(runtime: Runtime, language: str) -> AsyncIterator[tuple[str, Answer]]:
    """Yield what its owner sees of an account."""
    other = PageBrowser(runtime, language=language)
    await other.signs_in()
    yield "/verify", await other.get("/verify")
    yield "/verify, wrong", await other.post("/verify", {"code": "000000"})
    yield "/verify, too soon", await other.post("/verify/resend", {})
    await other.types()
    owner = PageBrowser(runtime, language=language)
    await owner.signs_in()
    await owner.types()
    for path in (
        "/account",
        "/account/contacts",
        "/account/password",
        "/account/methods",
        "/account/sessions",
        "/account/devices",
        "/account/integration-codes",
        "/account/changes",
        "/account/activity",
    ):
        yield path, await owner.get(path)
    yield "/account/contacts, wrong", await owner.post("/account/contacts", {"contact": "nothing", "replaces": ""})
    yield "/account/password, wrong", await owner.post("/account/password", {"password": "short"})
    yield "/account/integration-codes, wrong", await owner.post("/account/integration-codes", {"name": "", "days": "0"})
    await owner.post("/account/contacts", {"contact": PHONE, "replaces": ""})
    yield "/verify of a step-up", await owner.get("/verify")
    view = await owner.sees()
    assert view is not None
    assert view.challenge is not None
    reference = not_me_reference(runtime.core.keyring, view.challenge.id)
    yield "/not-me", await owner.get(f"/not-me?ref={reference}")
    yield "/not-me, stopped", await owner.post("/not-me", {"ref": reference})
    await owner.post("/account/methods/app", {"name": "My phone"})
    done = await owner.types()
    if done.status == 303:
        done = await owner.get(done.headers["location"])
    yield "/account/methods/app", done
    yield "/account/methods/app, wrong", await owner.post("/account/methods/app/confirm", {"code": "000000"})


@pytest.mark.parametrize("language", LOOKED_AT)
async def test_every_page_in_every_state_keeps_the_rules(runtime: Runtime, language: str) -> None:
    """H4: one heading of the first rank, faults that are named and led to, names that hold what is seen, fields that are known."""
    await signed_up(runtime)
    error = negotiate(language).say("Error:")
    found: dict[str, list[str]] = {}
    seen = 0
    for states in (_out, _in):
        async for name, answer in states(runtime, language):
            assert answer.headers["content-type"].startswith("text/html"), (name, answer.body)
            seen += 1
            if faults := faults_of(answer.body.decode(), error=error):
                found[name] = faults
    assert found == {}
    assert seen > 35


async def test_a_password_is_kept_under_the_name_that_its_account_has(runtime: Runtime) -> None:
    """S9: a manager finds the name beside the new password, where it was proved."""
    await signed_up(runtime)
    visitor = PageBrowser(runtime)
    await visitor.post("/recover", {"identifier": ADA})
    await visitor.types()
    owner = PageBrowser(runtime)
    await owner.signs_in()
    await owner.types()
    for browser, path in ((visitor, "/recover/password"), (owner, "/account/password")):
        page = Document((await browser.get(path)).body.decode())
        (name,) = [one for one in page.all("input") if one.get("autocomplete") == "username"]
        assert name.get("value") == ADA
        assert "name" not in name.attributes, "it is not sent"
        assert "hidden" in name.attributes


async def test_a_session_that_proved_no_contact_reads_none(runtime: Runtime) -> None:
    """A10: a browser that is trusted gave a password alone."""
    owner = await signed_up(runtime)
    again = PageBrowser(runtime)
    await again.signs_in()
    await again.types(remember="yes")
    await again.post("/sign-out", {})
    assert (await again.signs_in()).headers["location"] == "/account"
    assert ADA not in (await again.get("/account/password")).body.decode()
    assert ADA in (await owner.get("/account/password")).body.decode()


@pytest.mark.parametrize("language", languages())
async def test_what_is_seen_of_a_button_is_in_its_name_in_every_language(runtime: Runtime, language: str) -> None:
    """H4: WCAG 2.5.3; people who speak to their computer say what they see."""
    owner = await signed_up(runtime)
    other = PageBrowser(runtime)
    await other.signs_in()
    await other.types()
    for path in ("/account", "/account/contacts", "/account/sessions", "/account/devices", "/account/methods"):
        html = (await owner.get(path, **{"accept-language": language})).body.decode()
        assert [one for one in faults_of(html, error=negotiate(language).say("Error:")) if "is not in" in one] == []


async def test_the_inbox_has_one_heading_on_a_phone_too(runtime: Runtime) -> None:
    """H4: the heading does not go with the list."""
    visitor = PageBrowser(runtime)
    html = (await visitor.get("/inbox")).body.decode()
    assert [one for one in faults_of(html) if "first rank" in one] == []
    shelf = re.search(r'<div class="shelf".*?<nav', html, re.DOTALL)
    assert shelf is not None
    assert "<h1" not in shelf[0]
