"""The journeys of a person whose life changes: a new address, a new phone, a sold laptop, a forgotten password, a lost phone."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect
from tests.journeys.chromium import DESKTOP, PHONE
from tests.journeys.conftest import SETTINGS
from tests.journeys.site import open_site
from tests.journeys.test_account import PASSWORD, code, sign_in, sign_up

from countersign.totp import STEP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

BETTER = "a better battery staple"


async def confirm(page: Page, site: Site, to: str, after: str = "") -> str:
    """Enter the code that came to an address on the screen that asks for it; return it."""
    await expect(page).to_have_url(re.compile("/verify$"))
    sent = code(site, to, after)
    await page.locator("#code").fill(sent)
    await page.locator("#answer button").click()
    return sent


def link(site: Site, to: str, words: str) -> str:
    """Return the "this was not me" address of a message that has these words."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for message in site.call("GET", f"/inbox/messages?to={quote(to)}"):
            found = re.search(r"https?://\S+/not-me\?ref=\S+", message["text"])
            if words in message["text"] and found:
                return found[0]
        time.sleep(0.1)
    raise AssertionError(f"no message with {words!r} came to {to}")


async def add_contact(page: Page, site: Site, to: str, contact: str, *, replaces: str = "", last: str = "") -> str:
    """Add a contact on its page, or put it in another's place; return the code that approved it."""
    await page.goto(site.url + "/account/contacts")
    await page.locator("#contact").fill(contact)
    if replaces:
        await page.locator("#replaces").select_option(label=replaces)
    await page.locator("form:has(#contact) button").click()
    approved = await confirm(page, site, to, last)
    await expect(page.get_by_role("heading", name="Confirm your email address or phone number")).to_be_visible()
    await confirm(page, site, contact)
    await expect(page).to_have_url(re.compile("/account/contacts\\?done="))
    return approved


def oath(secret: str, at: float | None = None) -> str:
    """Return the code of an independent authenticator."""
    when = [f"--now=@{int(at)}"] if at is not None else []
    made = subprocess.run(["oathtool", "--totp", "-b", *when, secret], capture_output=True, text=True, check=True)
    return made.stdout.strip()


async def the_whole_way(site: Site, opens: Opens, size: dict[str, int], tag: str, *, scripts: bool) -> None:
    """An address is replaced and brought back by the old one; then recovery, with a new password, works as before."""
    old, new = f"old-{tag}@example.org", f"new-{tag}@example.org"
    page = await opens(size, scripts=scripts)
    first = await sign_up(page, site, old)
    await add_contact(page, site, old, new, replaces=old, last=first)
    await expect(page.get_by_text(new).first).to_be_visible()
    await expect(page.locator(".list").get_by_text(old)).to_have_count(0)

    owner = await opens(size, scripts=scripts)
    await owner.goto(link(site, old, "were replaced"))
    await expect(owner.get_by_text("Contact details were replaced on your account.")).to_be_visible()
    await page.reload()
    await expect(page).to_have_url(re.compile("/account/contacts"))  # looking at the link has changed nothing
    await owner.get_by_role("button", name="No, this was not me").click()
    await expect(owner.get_by_role("heading", name="Your account is locked")).to_be_visible()
    await page.reload()
    await expect(page).to_have_url(re.compile("/sign-in"))
    await sign_in(page, site, old)
    await expect(page.get_by_text("We could not sign you in.")).to_be_visible()

    await owner.get_by_role("link", name="Choose a new password").click()
    await owner.locator("#identifier").fill(old)
    await owner.get_by_role("button", name="Send code").click()
    last = await confirm(owner, site, old)
    await expect(owner).to_have_url(re.compile("/recover/password$"))
    await owner.locator("#password").fill(BETTER)
    await owner.get_by_role("button", name="Set password").click()
    await expect(owner.get_by_role("heading", name="You have a new password")).to_be_visible()
    await sign_in(owner, site, old, BETTER)
    await confirm(owner, site, old, last)
    await expect(owner).to_have_url(re.compile("/account$"))
    await expect(owner.get_by_text(old).first).to_be_visible()
    await expect(owner.get_by_text(new)).to_have_count(0)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
async def test_an_address_is_replaced_and_the_old_one_undoes_it(site: Site, opens: Opens, *, scripts: bool) -> None:
    """A1, A2, S6, R2, R3: the old one is told, looking changes nothing, a press closes the account and brings it back."""
    await the_whole_way(site, opens, PHONE if scripts else DESKTOP, f"undo{int(scripts)}", scripts=scripts)


@pytest.mark.postgres
async def test_the_same_way_on_postgresql_with_two_processes(postgres_url: str, tmp_path: Path, opens: Opens) -> None:
    """A1, A2, S6: each request may meet another process."""
    with open_site(tmp_path, SETTINGS, DATABASE_URL=postgres_url, WORKERS="2") as site:
        await the_whole_way(site, opens, PHONE, "undo-pg", scripts=True)


async def test_a_phone_comes_becomes_the_first_and_the_old_address_goes(site: Site, opens: Opens) -> None:
    """A1, A4: and the last contact has no button to remove it; a forged form is refused with the reason."""
    to, phone = "moves@example.org", "+14155550188"
    page = await opens(PHONE)
    first = await sign_up(page, site, to)
    last = await add_contact(page, site, to, phone, last=first)
    await page.get_by_role("button", name=re.compile("^Send codes here first")).click()
    await confirm(page, site, to, last)
    await expect(page.get_by_text("We’ll send codes there first from now on.")).to_be_visible()
    await page.get_by_role("button", name=re.compile("^Remove.*moves")).click()
    await confirm(page, site, phone)
    await expect(page.get_by_text("Your contact details were removed.")).to_be_visible()
    await expect(page.get_by_role("button", name=re.compile("^Remove"))).to_have_count(0)
    which = await page.locator("#replaces option").nth(1).get_attribute("value")
    answer = await page.evaluate(
        """async (which) => (await fetch("/account/contacts/remove", {method: "POST",
        body: new URLSearchParams({contact: which})})).status""",
        which,
    )
    assert answer == 409


@pytest.mark.skipif(shutil.which("oathtool") is None, reason="oathtool is not installed (apt-get install oathtool)")
async def test_an_app_is_enrolled_and_asked_for_and_recovery_codes_get_back_in(site: Site, opens: Opens) -> None:
    """R2, R4, U5: a reset by mail does not get past the app; a recovery code stands in for it once."""
    to = "app@example.org"
    page = await opens(DESKTOP)
    last = await sign_up(page, site, to)
    await page.goto(site.url + "/account/methods")
    await page.get_by_role("button", name="Create new recovery codes").click()
    last = await confirm(page, site, to, last)
    codes = await page.locator(".codes code").all_text_contents()
    assert len(codes) == 10
    await page.get_by_role("button", name="I have saved them").click()
    await page.locator("#name").fill("My phone")
    await page.get_by_role("button", name="Add an authenticator app").click()
    last = await confirm(page, site, to, last)
    await expect(page).to_have_url(re.compile("/account/methods/app$"))
    secret = (await page.locator("#secret").text_content() or "").replace(" ", "")
    await page.locator("#code").fill("000000")
    await page.locator("form:has(#code) button").click()
    await expect(page.locator("#fault")).to_contain_text("This is not the right code.")
    used = time.time()
    await page.locator("#code").fill(oath(secret, used))
    await page.locator("form:has(#code) button").click()
    await expect(page.get_by_text("We’ll ask for it when you sign in.")).to_be_visible()

    other = await opens(PHONE)
    await other.goto(site.url + "/recover")
    await other.locator("#identifier").fill(to)
    await other.get_by_role("button", name="Send code").click()
    await confirm(other, site, to, last)
    await other.locator("#password").fill(BETTER)
    await other.get_by_role("button", name="Set password").click()
    await sign_in(other, site, to, BETTER)
    await expect(other.get_by_role("heading", name="Enter the code from your authenticator app")).to_be_visible()
    await expect(other.get_by_role("button", name=re.compile("Email to"))).to_have_count(0)
    # The step that enrolled the app is used up; the one after it is not.
    await other.locator("#code").fill(oath(secret, used))
    await other.locator("#answer button").click()
    await expect(other.locator("#fault")).to_contain_text("This is not the right code.")
    await other.locator("#code").fill(oath(secret, max(time.time(), used + STEP / 1_000)))
    await other.locator("#answer button").click()
    await expect(other).to_have_url(re.compile("/account$"))

    third = await opens(PHONE)
    await sign_in(third, site, to, BETTER)
    await third.get_by_role("link", name="Use a recovery code").click()
    await third.locator("#code").fill(codes[0])
    await third.locator("#answer button").click()
    await expect(third).to_have_url(re.compile("/account$"))
    await third.goto(site.url + "/account/methods")
    await expect(third.get_by_text("You have 9 recovery codes left.")).to_be_visible()


async def test_who_lost_everything_waits_and_the_owner_stops_it(site: Site, opens: Opens) -> None:
    """R5, R1."""
    to, new = "lost@example.org", "+14155550199"
    owner = await opens(DESKTOP)
    await sign_up(owner, site, to)
    claimant = await opens(PHONE, scripts=False)
    await claimant.goto(site.url + "/recover")
    await claimant.locator("a[href^='/recover/lost']").click()
    await claimant.locator("#identifier").fill(to)
    await claimant.locator("#contact").fill(new)
    await claimant.get_by_role("button", name="Send a code to the new one").click()
    await confirm(claimant, site, new)
    await expect(claimant.get_by_role("heading", name="The waiting time has started")).to_be_visible()
    assert link(site, to, "lost access")
    await owner.goto(site.url + "/account/changes")
    await expect(owner.get_by_text("Nothing happens before")).to_be_visible()
    await owner.get_by_role("button", name=re.compile("^Cancel")).click()
    await expect(owner.get_by_text("The change was cancelled.")).to_be_visible()
    await expect(owner.get_by_text("Cancelled", exact=True)).to_be_visible()


async def test_a_password_is_changed_and_the_other_browser_is_out(site: Site, opens: Opens) -> None:
    """A5."""
    to = "changes-password@example.org"
    page, other = await opens(DESKTOP), await opens(PHONE)
    first = await sign_up(page, site, to)
    await sign_in(other, site, to)
    last = await confirm(other, site, to, first)
    await expect(other).to_have_url(re.compile("/account$"))
    await page.goto(site.url + "/account/password")
    await page.locator("#password").fill("password")
    await page.get_by_role("button", name="Change password").click()
    await expect(page.locator("#password-fault")).to_be_visible()
    await page.locator("#password").fill(BETTER)
    await page.get_by_role("button", name="Change password").click()
    await confirm(page, site, to, last)
    await expect(page.get_by_text("Your password was changed.")).to_be_visible()
    await other.reload()
    await expect(other).to_have_url(re.compile("/sign-in"))
    await sign_in(other, site, to, PASSWORD)
    await expect(other.get_by_text("We could not sign you in.")).to_be_visible()


async def test_a_contact_is_added_by_the_keyboard_alone(site: Site, opens: Opens) -> None:
    """H4."""
    to, phone = "keys@example.org", "+14155550144"
    page = await opens(DESKTOP)
    first = await sign_up(page, site, to)
    await page.goto(site.url + "/account/contacts")
    await page.locator("#contact").focus()
    await page.keyboard.type(phone)
    await page.keyboard.press("Enter")
    await expect(page.locator("#code")).to_be_focused()
    await page.keyboard.type(code(site, to, first))
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("by SMS")).to_be_visible()
    await page.keyboard.type(code(site, phone))
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Your contact details were added.")).to_be_visible()


@pytest.mark.parametrize("locale", ["de-AT", "ar-EG"])
async def test_every_part_fits_a_phone_in_other_languages(site: Site, opens: Opens, locale: str) -> None:
    """H4: nothing is wider than the screen, and nothing is left in English."""
    to = f"fits-{locale[:2]}@example.org"
    page = await opens(PHONE, locale=locale)
    await sign_up(page, site, to)
    for path in ("contacts", "password", "methods", "sessions", "devices", "changes"):
        await page.goto(f"{site.url}/account/{path}")
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
        assert await page.locator("html").get_attribute("lang") == locale[:2]
    for path in ("/recover", "/recover/lost"):
        await page.goto(site.url + path)
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path


async def test_who_lost_everything_gets_back_in_after_the_wait(tmp_path: Path, opens: Opens) -> None:
    """R5: the program's clock is moved by a week; the new contact recovers the account, and the old is told."""
    to, new = "lost-for-good@example.org", "+14155550122"
    with open_site(tmp_path, SETTINGS) as site:
        await sign_up(await opens(), site, to)
        claimant = await opens(PHONE, scripts=False)
        await claimant.goto(site.url + "/recover/lost")
        await claimant.locator("#identifier").fill(to)
        await claimant.locator("#contact").fill(new)
        await claimant.get_by_role("button", name="Send a code to the new one").click()
        last = await confirm(claimant, site, new)
        await expect(claimant.get_by_role("heading", name="The waiting time has started")).to_be_visible()
        site.call("POST", "/test/clock", {"advance": 7 * 86_400 + 60})
        await claimant.goto(site.url + "/recover")
        await claimant.locator("#identifier").fill(new)
        await claimant.get_by_role("button", name="Send code").click()
        last = await confirm(claimant, site, new, last)
        await claimant.locator("#password").fill(BETTER)
        await claimant.get_by_role("button", name="Set password").click()
        await expect(claimant.get_by_role("heading", name="You have a new password")).to_be_visible()
        assert link(site, to, "taken over after the waiting time")
        await sign_in(claimant, site, new, BETTER)
        await confirm(claimant, site, new, last)
        await expect(claimant).to_have_url(re.compile("/account$"))


async def test_a_browser_is_forgotten_while_it_is_signed_in(site: Site, opens: Opens) -> None:
    """A4: its next request is not signed in any more."""
    to = "sold-laptop@example.org"
    laptop, page = await opens(DESKTOP), await opens(PHONE)
    first = await sign_up(laptop, site, to)
    await sign_in(page, site, to)
    await confirm(page, site, to, first)
    await expect(page).to_have_url(re.compile("/account$"))
    await page.goto(site.url + "/account/devices")
    await page.locator("li", has_not=page.get_by_text("This browser")).locator("button[name=browser]").click()
    # The code of the sign-in is fresh enough for this.
    await expect(page.get_by_text("That browser is forgotten.")).to_be_visible()
    await laptop.reload()
    await expect(laptop).to_have_url(re.compile("/sign-in"))


@pytest.mark.skipif(shutil.which("zbarimg") is None, reason="zbarimg is not installed (apt-get install zbar-tools)")
@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_a_camera_reads_the_picture(site: Site, opens: Opens, tmp_path: Path, colours: str) -> None:
    """An independent reader finds in what is on the screen the very address that the link has."""
    to = f"camera-{colours}@example.org"
    page = await opens(PHONE, colours=colours)
    last = await sign_up(page, site, to)
    await page.goto(site.url + "/account/methods")
    await page.get_by_role("button", name="Add an authenticator app").click()
    await confirm(page, site, to, last)
    await expect(page.locator(".qr svg")).to_be_visible()
    seen = tmp_path / "seen.png"
    await page.screenshot(path=seen)
    read = subprocess.run(["zbarimg", "-q", "--raw", str(seen)], capture_output=True, text=True, check=True)  # noqa: ASYNC221
    assert read.stdout.strip() == await page.get_by_role(
        "link", name="Or open the app", include_hidden=True
    ).get_attribute("href")
