"""The pages of codes that are kept, over HTTP: shown again, saved as a file, kept once; and what a page says of what comes next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.web.conftest import change
from tests.web.pages.page_browser import PageBrowser

from countersign.flows.changes.enrol import draft_app
from countersign.totp import STEP, code_at

if TYPE_CHECKING:
    from tests.web.client import Answer

    from countersign.wiring import Runtime

CODES = "/account/methods/recovery-codes"


def codes_in(answer: Answer) -> list[str]:
    """Return the recovery codes that a page shows."""
    return re.findall(r"\b(?:[0-9a-z]{4}-){3}[0-9a-z]{4}\b", answer.body.decode())


async def shows_app_right(browser: PageBrowser) -> bytes:
    """Set an app up as far as its first right code; return its secret."""
    accounts = browser.runtime.accounts
    assert (await browser.post("/account/methods/app", {"name": "My phone"})).headers["location"] == "/verify"
    await browser.types()
    session = await browser.session()
    assert session is not None
    draft = await draft_app(accounts, browser.context, session)
    assert draft is not None
    right = {"code": code_at(draft.secret, accounts.now() // STEP)}
    for _ in range(2):
        answer = await browser.post("/account/methods/app/confirm", right)
        assert (answer.status, answer.headers["location"]) == (303, CODES)
    assert (await browser.get("/account/methods/app")).headers["location"] == CODES
    return draft.secret


async def test_codes_are_shown_again_saved_and_kept_once(runtime: Runtime) -> None:
    """A11, J2, J4: a reload and the file show the same codes; a second press does nothing; nothing may be cached."""
    browser = PageBrowser(runtime)
    await browser.signs_up()
    await shows_app_right(browser)
    first, again = await browser.get(CODES), await browser.get(CODES)
    assert len(codes_in(first)) == 10
    assert codes_in(first) == codes_in(again)
    assert first.headers["cache-control"] == "no-store"
    file = await browser.get(CODES + "/file")
    assert codes_in(file) == codes_in(first)
    assert file.headers["content-disposition"] == 'attachment; filename="localhost-recovery-codes.txt"'
    assert (file.headers["cache-control"], file.headers["content-type"]) == ("no-store", "text/plain; charset=utf-8")
    assert file.headers["x-content-type-options"] == "nosniff"
    stranger = PageBrowser(runtime)
    assert (await stranger.get(CODES + "/file")).headers["location"].startswith("/sign-in")
    kept = await browser.post(CODES + "/kept", {})
    assert (kept.status, kept.headers["location"]) == (303, "/account/methods?done=method_added")
    assert (await browser.post(CODES + "/kept", {})).headers["location"] == "/account/methods"
    for path in (CODES, CODES + "/file"):
        assert (await browser.get(path)).headers["location"] == "/account/methods"


async def test_an_integration_code_is_shown_again_until_it_is_kept(runtime: Runtime) -> None:
    """I1, J2."""
    browser = PageBrowser(runtime)
    await browser.signs_up()
    await browser.post("/account/integration-codes", {"name": "Backup", "days": "30", "scope-read": "yes"})
    assert (await browser.types()).headers["location"] == "/account/integration-codes/made"
    shown = [
        re.findall(rb"<textarea[^>]*>([^<]+)<", (await browser.get("/account/integration-codes/made")).body)
        for _ in range(2)
    ]
    assert shown[0] == shown[1] != []
    assert (await browser.get(CODES)).headers["location"] == "/account/methods"
    assert (await browser.post("/account/integration-codes/kept", {})).status == 303
    assert (await browser.get("/account/integration-codes/made")).headers["location"] == "/account/integration-codes"


async def test_the_check_up_leads_on_and_does_not_come_again_for_a_week(runtime: Runtime) -> None:
    """A11, J1: where the sign-in was going survives, also past new codes; nobody is sent to a foreign site."""
    browser = PageBrowser(runtime)
    await browser.signs_up()
    assert (await browser.get("/account/check-up?return_to=/account/activity")).headers[
        "location"
    ] == "/account/activity"
    await shows_app_right(browser)
    await browser.post(CODES + "/kept", {})
    await change(runtime, "DELETE FROM factors WHERE kind = 'recovery_code'")
    page = await browser.get("/account/check-up?return_to=/account/activity")
    assert page.status == 200
    assert b'href="/account/activity"' in page.body
    assert (await browser.get("/account/check-up?return_to=/account/activity")).headers[
        "location"
    ] == "/account/activity"
    assert (await browser.get("/account/check-up?return_to=https://evil.example/")).headers["location"] == "/account"
    assert (await browser.get("/account/check-up")).status == 200


async def test_a_lost_phone_is_named_before_the_password_is_set(runtime: Runtime) -> None:
    """A11, R1: the screen of a recovery has a way on, the same for everybody; then it says what a sign-in asks for."""
    owner = PageBrowser(runtime)
    await owner.signs_up()
    await shows_app_right(owner)
    await owner.post(CODES + "/kept", {})
    ways = []
    for peer, to in (("198.18.0.1", "ada@example.org"), ("198.18.0.2", "nobody@example.org")):
        browser = PageBrowser(runtime, peer)
        await browser.post("/recover", {"identifier": to})
        page = (await browser.get("/verify")).body.decode()
        ways.append(page[page.index('id="lost"') : page.index("</details>", page.index('id="lost"'))])
        if to.startswith("ada"):
            await browser.types()
            told = (await browser.get("/recover/password")).body.decode()
            assert "a code from your authenticator app" in told
            assert "a recovery code" in told
            assert 'href="/recover/lost"' in told
    assert ways[0] == ways[1]
    assert "I cannot get into this mailbox" in ways[0]


async def test_the_sign_in_page_offers_passkeys_and_hides_the_button_without_scripts(runtime: Runtime) -> None:
    """H4, U4: nothing is stored for it, and every page has a challenge of its own."""
    browser = PageBrowser(runtime)
    pages = [(await browser.get("/sign-in")).body.decode() for _ in range(2)]
    assert 'autocomplete="username webauthn"' in pages[0]
    form = re.search(r'<form[^>]*id="passkey"[^>]*>', pages[0])
    assert form is not None
    assert form[0].endswith(" hidden>")
    challenges = {re.findall(r'data-challenge="([\w-]+)"', page)[0] for page in pages}
    assert len(challenges) == 2


async def test_the_pages_of_codes_say_for_how_long_in_every_direction_of_script(runtime: Runtime) -> None:
    """A11, H4: the number of minutes stands in the sentence, from right to left too."""
    browser = PageBrowser(runtime)
    await browser.signs_up()
    await browser.post("/account/integration-codes", {"name": "Backup", "days": "30", "scope-read": "yes"})
    await browser.types()
    await says_for_how_long(browser, "/account/integration-codes/made")
    await browser.post("/account/integration-codes/kept", {})
    await shows_app_right(browser)
    await says_for_how_long(browser, CODES)


async def says_for_how_long(browser: PageBrowser, path: str) -> None:
    """Open a page in three languages, and find the time for which it can be opened again."""
    for language, minutes in (("en", "minutes"), ("ar", "دقيقة"), ("he", "דקות")):
        page = await browser.get(path, **{"accept-language": language})
        assert page.status == 200
        assert re.search(rf"\b[0-9]{{1,2}} {minutes}", page.body.decode())
