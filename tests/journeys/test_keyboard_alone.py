"""People without a mouse: each way is gone by Tab, Enter, Space and arrows alone, and it is always visible where the focus is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from playwright.async_api import Page, expect
from tests.journeys.asking import PASSWORD, Asking
from tests.journeys.chromium import DESKTOP, PHONE
from tests.journeys.test_passkeys import with_authenticator

if TYPE_CHECKING:
    from tests.journeys.conftest import Opens
    from tests.journeys.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

BETTER = "a better battery staple"
MOST_STOPS = 60
UNSEEN: Final = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return "";
  const name = `${at.tagName} ${at.id || at.textContent.trim().slice(0, 40)}`;
  if (!at.matches(":focus-visible")) return `${name} does not show the focus`;
  const outlined = (one) => {
    const style = getComputedStyle(one);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  };
  if (!outlined(at) && !(at.closest("label") && outlined(at.closest("label")))) return `${name} has no outline`;
  const { top, bottom, left, right } = at.getBoundingClientRect();
  if (top < 0 || left < 0 || bottom > innerHeight || right > innerWidth) return `${name} is outside the window`;
  const over = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  if (!over || !(at.contains(over) || over.contains(at))) return `${name} is covered by ${over?.tagName}`;
  return "";
}"""
"""What hides the focus, or nothing (WCAG 2.2: 2.4.7, 2.4.11, 2.4.13)."""


@pytest.fixture
def asking(site: Site) -> Asking:
    """Give what reads the codes of the shared site, to which no application leads."""
    return Asking(site, "", "")


class Keyboard:
    """The keyboard of a page, for somebody who has nothing else."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def goes_to(self, selector: str, *, key: str = "Tab") -> None:
        """Press Tab until an element has the focus; each stop on the way is visible."""
        for _ in range(MOST_STOPS):
            assert await self._page.evaluate(UNSEEN) == "", self._page.url
            if await self._page.evaluate("(selector) => document.activeElement?.matches(selector) ?? false", selector):
                return
            await self._page.keyboard.press(key)
        raise AssertionError(f"{key} never reaches {selector} on {self._page.url}")

    async def presses(self, selector: str, key: str = "Enter") -> None:
        """Go to an element and press a key there."""
        await self.goes_to(selector)
        await self._page.keyboard.press(key)

    async def follows(self, selector: str, leads_to: str) -> None:
        """Go to a link, follow it by Enter, and wait for the page to which it leads."""
        await self.presses(selector)
        await expect(self._page).to_have_url(re.compile(leads_to))
        await self._page.wait_for_load_state()

    async def fills(self, selector: str, text: str) -> None:
        """Go to a field and type into it, in place of what it holds."""
        await self.goes_to(selector)
        await self._page.keyboard.press("Control+A")
        await self._page.keyboard.type(text)


async def signs_up(page: Page, asking: Asking, to: str) -> str:
    """Open an account from the form on; return the code."""
    keys = Keyboard(page)
    await keys.fills("#name", "Ada")
    await keys.fills("#identifier", to)
    await keys.fills("#password", PASSWORD)
    await keys.presses("#password-shown", "Space")
    await expect(page.locator("#password")).to_have_attribute("type", "text")
    await keys.presses("form[action='/sign-up'] button", "Space")
    return await confirms(page, asking, to)


async def confirms(page: Page, asking: Asking, to: str, *before: str) -> str:
    """Type a code where the focus is already; return it."""
    await expect(page).to_have_url(re.compile("/verify"))
    await expect(page.locator("#code")).to_be_focused()
    sent = asking.code(to, *before)
    await page.keyboard.type(sent)
    await page.keyboard.press("Enter")
    return sent


async def test_an_account_is_opened_left_and_entered_again(asking: Asking, opens: Opens) -> None:
    """H4: from the sign-in to the sign-up and back; the box that trusts the browser is ticked by Space."""
    to = "keys-alone@example.org"
    page = await opens(PHONE)
    keys = Keyboard(page)
    await page.goto(asking.site.url + "/sign-in")
    await expect(page.locator("#identifier")).to_be_focused()
    await keys.follows("a[href^='/sign-up']", "/sign-up")
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    assert await page.evaluate(UNSEEN) == ""
    await page.keyboard.press("Enter")
    await expect(page.locator("#content")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.locator("#name")).to_be_focused()
    first = await signs_up(page, asking, to)
    await expect(page).to_have_url(re.compile("/account$"))
    await keys.presses("form.leave button")
    await expect(page).to_have_url(re.compile(r"/sign-in\?done=signed-out$"))
    await keys.fills("#identifier", to)
    await keys.fills("#password", "not the right one")
    await page.keyboard.press("Enter")
    await expect(page.locator("#password")).to_be_focused()
    await expect(page.locator("#identifier")).to_have_value(to)
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator("#code")).to_be_focused()
    await keys.presses("#code-help summary", "Space")
    await expect(page.locator("#sent")).to_be_visible()
    await keys.goes_to("[name=remember]", key="Shift+Tab")
    await page.keyboard.press("Space")
    await expect(page.locator("[name=remember]")).to_be_checked()
    await keys.goes_to("#code", key="Shift+Tab")
    await confirms(page, asking, to, first)
    await expect(page).to_have_url(re.compile("/account$"))


async def test_a_contact_is_replaced_in_a_list_that_arrows_choose_from(asking: Asking, opens: Opens) -> None:
    """H4, U1: over the navigation to the section, a step-up canceled, and one that goes on."""
    to, new = "keyboard-old@example.org", "keyboard-new@example.org"
    page = await opens(DESKTOP)
    keys = Keyboard(page)
    await page.goto(asking.site.url + "/sign-up")
    seen = [await signs_up(page, asking, to)]
    await expect(page).to_have_url(re.compile("/account$"))
    await keys.follows("a[href='/account/profile']", "/account/profile$")
    await keys.follows("a[href='/account/contacts']", "/account/contacts$")
    for turn in ("cancels", "goes on"):
        await keys.fills("#contact", new)
        await keys.goes_to("#replaces")
        await page.keyboard.press("ArrowDown")
        assert await page.locator("#replaces").evaluate("list => list.selectedOptions[0].text") == to
        await keys.presses("form[action='/account/contacts'] button")
        await expect(page).to_have_url(re.compile("/verify"))
        if turn == "cancels":
            seen.append(asking.code(to, *seen))
            await keys.presses("form[action='/verify/cancel'] button", "Space")
            await expect(page).to_have_url(re.compile("/account/contacts$"))
    await confirms(page, asking, to, *seen)
    await expect(page.get_by_text(new).first).to_be_visible()
    await confirms(page, asking, new)
    await expect(page).to_have_url(re.compile(r"/account/contacts\?done="))
    await expect(page.locator(".list bdi")).to_have_text([new])


async def test_a_password_is_recovered(asking: Asking, opens: Opens) -> None:
    """H4: over the link, with the old password looked at and left, to the sign-in with the new one."""
    to = "keyboard-recovers@example.org"
    opening = await opens(DESKTOP)
    await opening.goto(asking.site.url + "/sign-up")
    first = await signs_up(opening, asking, to)
    await expect(opening).to_have_url(re.compile("/account$"))
    page = await opens(PHONE)
    keys = Keyboard(page)
    await page.goto(asking.site.url + "/sign-in")
    await keys.follows("a[href^='/recover']", "/recover$")
    await keys.fills("#identifier", to)
    await page.keyboard.press("Enter")
    second = await confirms(page, asking, to, first)
    await expect(page.locator("#password")).to_be_focused()
    await page.keyboard.type(BETTER)
    await keys.presses("details summary", "Space")
    await expect(page.locator("#current")).to_be_visible()
    await keys.presses("form[action='/recover/password'] button")
    await expect(page).to_have_url(re.compile("/outcome$"))
    await keys.follows("a.button", "/sign-in")
    await keys.fills("#identifier", to)
    await keys.fills("#password", BETTER)
    await keys.presses("form[action='/sign-in'] button", "Space")
    await confirms(page, asking, to, first, second)
    await expect(page).to_have_url(re.compile("/account$"))


async def test_a_passkey_is_made_and_signs_in(asking: Asking, opens: Opens) -> None:
    """H4, U4: the recovery codes are kept on the way; the passkey signs in by a press of Space."""
    to = "keyboard-passkey@example.org"
    page = await opens(DESKTOP)
    keys = Keyboard(page)
    present = await with_authenticator(page)
    await page.goto(asking.site.url + "/sign-up")
    last = await signs_up(page, asking, to)
    await expect(page).to_have_url(re.compile("/account$"))
    await keys.follows("a[href='/account/password']", "/account/password$")
    await keys.follows("a[href='/account/methods']", "/account/methods$")
    await keys.fills("#passkey-name", "My laptop")
    await page.keyboard.press("Enter")
    await confirms(page, asking, to, last)
    await expect(page).to_have_url(re.compile("/account/methods/passkey$"))
    await keys.presses("#passkey button", "Space")
    await expect(page).to_have_url(re.compile("/account/methods/recovery-codes$"))
    await keys.presses("[name=kept]")
    await expect(page.get_by_text("We’ll ask for it when you sign in.")).to_be_visible()
    await present(False)
    await keys.presses("form.leave button")
    await expect(page).to_have_url(re.compile("/sign-in"))
    await keys.goes_to("#passkey button")
    await present(True)
    await page.keyboard.press("Space")
    await expect(page).to_have_url(re.compile("/account$"))
    await expect(page.get_by_text("You’re signed in and confirmed with your passkey.")).to_be_visible()
