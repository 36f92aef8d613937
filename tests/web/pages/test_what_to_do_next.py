"""The pages about messages that somebody does not trust: each says what to do next, and asks without a double negative."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from tests.web.pages.page_browser import FORM, OWN, PageBrowser, signed_up

from countersign.flows.verifications.cancel import not_me_reference
from countersign.messages.language.catalogue import languages, negotiate

if TYPE_CHECKING:
    from tests.web.client import Client
    from tests.web.conftest import Opener

    from countersign.wiring import Runtime


async def asked(runtime: Runtime, text: str) -> str:
    """Return the page about a message."""
    return (await PageBrowser(runtime).post("/is-this-us", {"text": text})).body.decode()


async def test_a_bare_message_has_something_to_do_next(runtime: Runtime) -> None:
    """J1: the commonest message has neither link nor sender."""
    page = await asked(runtime, "623339 is your Countersign sign-in code. Never share it.")
    assert "This text alone does not show who sent it" in page
    assert "Paste only its sender" in page
    assert "Is it a code you did not ask for?" in page
    for link in ("/account/activity", "/account/password"):
        assert f'href="{link}"' in page


async def test_what_is_not_ours_has_something_to_do_next(runtime: Runtime) -> None:
    """J1: for whoever has not answered it, and for whoever has."""
    page = await asked(runtime, "Your parcel: https://localhost.evil.example/track")
    assert "Do not open its links" in page
    assert "If you entered your password or a code there" in page
    assert 'href="/account/password"' in page


async def test_what_is_ours_has_no_such_advice(runtime: Runtime) -> None:
    """J1: nobody is frightened in vain."""
    page = await asked(runtime, f"{runtime.settings.public_url}/verify".replace("http://", "https://"))
    assert "Do not open its links" not in page


async def test_a_code_of_our_own_that_was_stopped_leads_to_the_password(runtime: Runtime) -> None:
    """J1: the advice is a link."""
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    await browser.signs_in()
    view = await browser.sees()
    assert view is not None
    assert view.challenge is not None
    reference = not_me_reference(runtime.core.keyring, view.challenge.id)
    for _ in range(2):
        page = (await browser.post("/not-me", {"ref": reference})).body.decode()
        assert "Change it at" in page
        assert 'href="/account/password"' in page
    again = (await browser.get(f"/not-me?ref={reference}")).body.decode()
    assert "<form" not in again
    assert "This code was already stopped" in again


async def test_a_code_of_another_site_leads_to_that_site(client: Client, runtime: Runtime) -> None:
    """J1: its password is not ours to change."""
    begun = await client.begin()
    form = urlencode({"ref": not_me_reference(runtime.core.keyring, begun["id"])}).encode()
    page = (await client.post("/not-me", raw=form, headers={**FORM, **OWN})).body.decode()
    assert 'href="/account/password"' not in page
    assert re.search(r'href="https://localhost"', page)


@pytest.mark.parametrize("language", languages())
async def test_a_safety_page_asks_a_plain_question(runtime: Runtime, language: str) -> None:
    """J5: "no" means no: the question has no "not", and the button begins with "No"."""
    await signed_up(runtime)
    browser = PageBrowser(runtime, language=language)
    await browser.signs_in()
    view = await browser.sees()
    assert view is not None
    assert view.challenge is not None
    page = (await browser.get(f"/not-me?ref={not_me_reference(runtime.core.keyring, view.challenge.id)}")).body.decode()
    spoken = negotiate(language)
    assert f"<h1>{spoken.say('Did you ask for this code?')}</h1>" in page
    assert spoken.say("No, stop this code") in page
    if language != "en":
        assert spoken.say("Did you ask for this code?") != "Did you ask for this code?"


async def test_support_is_named_where_it_is_set(open_house: Opener) -> None:
    """J1: and nothing is promised where it is not."""
    runtime = await open_house()
    assert "Not sure? Contact" not in await asked(runtime, "Your code is 123456")
