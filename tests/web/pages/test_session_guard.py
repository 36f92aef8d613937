"""Who is let to an account's pages over HTTP: who is signed in, with what was asked for, and no session that may only enrol."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.web.conftest import change
from tests.web.pages.page_browser import PageBrowser, signed_up

from countersign.flows.accounts.sessions import overview
from countersign.flows.changes.enrol import draft_app
from countersign.totp import STEP, code_at
from countersign.web.pages.shared.account_layout import PARTS

if TYPE_CHECKING:
    from tests.web.conftest import Opener

    from countersign.wiring import Runtime


@pytest.mark.parametrize("path", PARTS)
async def test_a_page_of_the_account_is_shown_to_nobody_who_is_not_signed_in(runtime: Runtime, path: str) -> None:
    """S8: and leads back to itself after a sign-in."""
    answer = await PageBrowser(runtime).get(path)
    assert (answer.status, answer.headers["location"]) == (303, f"/sign-in?return_to={quote(path, safe='/')}")
    assert b"Ada" not in answer.body


@pytest.mark.parametrize("path", PARTS)
async def test_a_page_of_the_account_is_shown_to_its_person(runtime: Runtime, path: str) -> None:
    browser = await signed_up(runtime)
    assert (await browser.get(path)).status == 200


@pytest.mark.parametrize("path", [one for one in PARTS if not one.startswith("/account/methods")])
async def test_a_session_that_may_only_enrol_opens_no_other_page(open_house: Opener, path: str) -> None:
    """S10: in a strict installation a code by mail leads to the enrolment of an app or a passkey, and nowhere else."""
    browser = await signed_up(await open_house('profile = "strict"'))
    answer = await browser.get(path)
    assert (answer.status, answer.headers["location"]) == (303, "/account/methods?done=enrol")
    assert (await browser.get("/account/methods")).status == 200


async def test_a_session_that_may_only_enrol_sends_no_form(open_house: Opener) -> None:
    """S10: neither does it read the account as a program."""
    browser = await signed_up(await open_house('profile = "strict"'))
    for path, fields in (
        ("/account/end", {"others": "yes"}),
        ("/account/password", {"password": "a better battery staple"}),
        ("/account/contacts", {"contact": "+14155550123"}),
    ):
        answer = await browser.post(path, fields)
        assert (answer.status, answer.headers["location"]) == (303, "/account/methods?done=enrol"), path
    assert (await browser.get("/v1/me/contacts")).status == 401


async def test_once_an_app_is_enrolled_the_session_is_asked_for_it(open_house: Opener) -> None:
    """S10: the way in leads through the app, not around it."""
    runtime = await open_house('profile = "strict"')
    browser = await signed_up(runtime)
    enrolled = PageBrowser(runtime)
    enrolled.cookies = dict(browser.cookies)
    await enrols(enrolled)
    answer = await enrolled.get("/account")
    assert (answer.status, answer.headers["location"]) == (303, "/verify")
    again = PageBrowser(runtime)
    assert (await again.signs_in()).headers["location"] == "/verify"
    view = await again.sees()
    assert view is not None
    assert view.challenge is None
    assert view.contact_methods == ()


async def enrols(browser: PageBrowser) -> bytes:
    """Set an app up by the pages; return its secret."""
    accounts = browser.runtime.accounts
    asked = await browser.post("/account/methods/app", {"name": "My phone"})
    assert asked.headers["location"] == "/verify", asked.body
    await browser.types()
    session = await browser.session()
    assert session is not None
    draft = await draft_app(accounts, browser.context, session)
    assert draft is not None
    code = code_at(draft.secret, accounts.now() // STEP)
    done = await browser.post("/account/methods/app/confirm", {"code": code})
    assert done.status in {200, 303}, done.body
    if done.headers.get("location", "").endswith("/recovery-codes"):
        kept = await browser.post("/account/methods/recovery-codes/kept", {})
        assert kept.headers["location"] == "/account/methods?done=method_added"
    return draft.secret


async def test_ending_a_session_needs_a_proof_of_the_last_quarter_of_an_hour(runtime: Runtime) -> None:
    """A4, U1: who comes to an open browser ends nobody's sessions and forgets no browser."""
    owner = await signed_up(runtime)
    other = PageBrowser(runtime)
    await other.signs_in()
    await other.types()
    session = await owner.session()
    there = await other.session()
    assert session is not None
    assert there is not None
    found = await overview(runtime.accounts, session)
    assert found is not None
    device = next(one for one in found.devices if one.token_hash == there.device_token_hash)
    # Every proof was given an hour ago.
    hour = 3_600_000
    for one in (session, there):
        old = re.sub(r'"at":(\d+)', lambda match: f'"at":{int(match[1]) - hour}', await proofs_of(runtime, one.id))
        await change(runtime, "UPDATE sessions SET proofs = $1 WHERE id = $2", old, one.id)
    for fields in ({"session": there.id}, {"others": "yes"}, {"browser": device.id}):
        answer = await owner.post("/account/end", fields)
        assert (answer.status, answer.headers.get("location")) == (303, "/verify"), fields
        assert await other.session() is not None
    # The proof is asked for once, and what was asked for is then done.
    done = await owner.types()
    assert done.headers["location"] == "/account?done=browser"
    assert await other.session() is None


async def proofs_of(runtime: Runtime, session: str) -> str:
    """Return the proofs of a session as they are stored."""
    from countersign.store.engine.database import Sql

    async def read() -> str:
        ((found,),) = await Sql("SELECT proofs FROM sessions WHERE id = $1", (session,))
        return str(found)

    return await runtime.core.database.read(read)
