"""The verification screen over HTTP: what its form gives beyond the code, and what it asks before the code is judged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.flows.accounts.test_location_check import LAGOS, ZURICH, places
from tests.web.conftest import change
from tests.web.pages.page_browser import PageBrowser, signed_up

from countersign.flows.accounts.sessions import overview
from countersign.store.tables import challenges

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.conftest import Opener

    from countersign.wiring import Runtime


async def is_trusted(browser: PageBrowser) -> bool:
    """Say whether the account trusts this browser."""
    session = await browser.session()
    assert session is not None
    found = await overview(browser.runtime.accounts, session)
    assert found is not None
    now = browser.runtime.accounts.now()
    return any(one.trusted(now) for one in found.devices if one.token_hash == session.device_token_hash)


@pytest.mark.parametrize(
    ("fields", "trusted"),
    [({}, False), ({"remember": ""}, False), ({"remember": "no"}, False), ({"remember": "yes"}, True)],
)
async def test_a_browser_is_trusted_only_if_its_person_says_so(
    runtime: Runtime, fields: dict[str, str], *, trusted: bool
) -> None:
    """S4."""
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    await browser.signs_in()
    assert (await browser.types(**fields)).status == 303
    assert await is_trusted(browser) is trusted


async def test_a_forged_wish_for_trust_gives_none_where_the_installation_gives_none(open_house: Opener) -> None:
    """S4, S10: the page does not offer it, and the form may say what it will."""
    runtime = await open_house('profile = "strict"')
    browser = PageBrowser(runtime)
    page = await browser.signs_up()
    assert b'name="remember"' not in page.body
    again = PageBrowser(runtime)
    await again.signs_in()
    assert b'name="remember"' not in (await again.get("/verify")).body
    assert (await again.types(remember="yes")).status == 303
    assert not await is_trusted(again)


async def test_a_code_from_far_away_is_not_judged_before_its_person_has_said_yes(
    open_house: Opener, tmp_path: Path
) -> None:
    """H4: and costs no guess."""
    where = places(tmp_path / "places.mmdb")
    runtime = await open_house(risk_places_file=str(where))
    await signed_up(runtime, peer=ZURICH)
    near = PageBrowser(runtime, ZURICH)
    await near.signs_in()
    far = PageBrowser(runtime, LAGOS)
    far.cookies = near.cookies
    assert (await far.types()).headers["location"] == "/verify"
    asked = await far.get("/verify")
    assert b"Lagos, NG" in asked.body
    assert b"Zurich, CH" in asked.body
    assert await far.session() is None
    view = await far.sees()
    assert view is not None
    assert view.challenge is not None
    assert view.challenge.guesses == 0
    assert (await far.types(far="no")).headers["location"] == "/verify"
    assert (await far.types(far="yes")).headers["location"] == "/account"
    assert await far.session() is not None


async def test_a_wrong_code_is_counted_and_answered_with_what_is_left(runtime: Runtime) -> None:
    """C5."""
    browser = PageBrowser(runtime)
    await browser.post(
        "/sign-up", {"name": "Ada", "identifier": "ada@example.org", "password": "correct horse battery"}
    )
    code = await browser.code()
    wrong = str((int(code) + 1) % 1_000_000).zfill(6)
    answer = await browser.submits("/verify", {"code": wrong})
    assert answer.status == 422
    assert b"4 tries left" in answer.body
    assert (await browser.post("/verify", {"code": code})).status == 303


async def test_a_contact_that_the_flow_does_not_allow_gets_no_code_by_any_button(runtime: Runtime) -> None:
    """C5, U5: the fields of the button are not believed."""
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    await browser.signs_in()
    view = await browser.sees()
    assert view is not None
    assert view.challenge is not None
    for fields in (
        {"contact": "con_another", "channel": "email"},
        {"contact": view.contact_methods[0].contact, "channel": "sms"},
        {"contact": view.contact_methods[0].contact, "channel": "pigeon"},
        {},
    ):
        answer = await browser.submits("/verify/way", fields)
        assert b"You cannot use this way" in answer.body
    found = await runtime.core.database.read(challenges.find, view.challenge.id)
    assert found is not None
    assert found.sends == 1


async def test_a_browser_without_a_flow_is_told_so(runtime: Runtime) -> None:
    """C4: by the screen, by its buttons and by its stream."""
    browser = PageBrowser(runtime)
    for answer in (
        await browser.get("/verify"),
        await browser.post("/verify", {"code": "123456"}),
        await browser.post("/verify/resend", {}),
        await browser.get("/verify/events"),
    ):
        assert answer.status == 404


async def test_a_resend_says_that_it_happened_and_when(runtime: Runtime) -> None:
    """J1: WCAG 4.1.3; a reload says the same."""
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    await browser.signs_in()
    before = (await browser.get("/verify")).body.decode()
    assert "Problems with the code?" in before
    assert "sent the code again" not in before
    await change(runtime, "UPDATE challenges SET sent_at = sent_at - 31000")
    assert (await browser.post("/verify/resend", {})).headers["location"].startswith("/verify")
    for _ in range(2):
        after = (await browser.get("/verify")).body.decode()
        found = re.search(r'role="status"><p class="note good">.*?<span id="resent">([^<]+)<', after)
        assert found is not None
        assert found[1] == "We are sending the code again."  # no worker runs here


async def test_the_end_of_resends_says_why_and_what_to_do(open_house: Opener) -> None:
    """J1."""
    runtime = await open_house("[purposes.sign_in]\nsends = 1\n")
    await signed_up(runtime)
    browser = PageBrowser(runtime)
    await browser.signs_in()
    page = (await browser.get("/verify")).body.decode()
    assert 'id="resend"' not in page
    assert "We have sent 1 message for this code, which is the limit." in page
    assert "use another way" not in page


async def test_too_many_codes_are_told_with_a_time_and_the_way_back(open_house: Opener) -> None:
    """J1, H1: somebody who is not signed in is not sent to an account."""
    runtime = await open_house('[limits]\nrequester = ["1/10m"]\n')
    browser = PageBrowser(runtime)
    await browser.post("/recover", {"identifier": "one@example.org"})
    answer = await PageBrowser(runtime).post(
        "/sign-up", {"name": "Ada", "identifier": "two@example.org", "password": "correct horse battery"}
    )
    assert answer.status == 429
    page = answer.body.decode()
    assert "You can try again in 10 minutes." in page
    assert 'href="/sign-up"' in page
    assert "Go to your account" not in page


async def test_how_long_a_code_worked_is_said_as_it_was_set(open_house: Opener) -> None:
    """J1: ten minutes is a setting."""
    runtime = await open_house("[purposes.sign_up]\nlifetime = 30\n")
    browser = PageBrowser(runtime)
    await browser.post(
        "/sign-up", {"name": "Ada", "identifier": "ada@example.org", "password": "correct horse battery"}
    )
    await change(runtime, "UPDATE challenges SET expires_at = expires_at - 31000")
    page = (await browser.get("/verify")).body.decode()
    assert "It worked for 30 seconds." in page
