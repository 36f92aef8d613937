"""Every page of the preview in a real browser: axe finds nothing in any state, and nothing runs over at 320 px or with large text."""

from __future__ import annotations

import asyncio
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import pytest
from tests.config_files import write_themes
from tests.peers.program import PATIENCE, Program, free_port
from tests.rounds import is_full

from countersign.web.preview.application import PAGE_STATES
from countersign.web.preview.message_states import message_states

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.async_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1_200)]

OVERFLOW: Final = """(text) => {
  document.documentElement.style.fontSize = text;
  for (const one of document.querySelectorAll("details")) one.open = true;
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide + 1) return [];
  return [...document.body.querySelectorAll("*")].filter((one) => {
    const box = one.getBoundingClientRect();
    return box.width > 0 && (box.right > wide + 1 || box.left < -1) && !one.closest(".skip, .unseen");
  }).map((one) => `${innerWidth} px, ${text}: ${one.outerHTML.slice(0, 120)}`);
}"""
CHECKS_WITH_AXE: Final = """async (text) => {
  const options = { resultTypes: ["violations"], preload: false, iframes: false };
  const found = (await axe.run(document, options)).violations;
  return [...found.map((rule) => `${rule.id}: ${rule.nodes.map((one) => one.target).join(", ")}`), ...(%s)(text)];
}"""
CHECKS: Final = CHECKS_WITH_AXE % OVERFLOW
SHARE: Final = 3


class Look(msgspec.Struct, frozen=True):
    """How a state is looked at: the reader's language, the theme, the colours, the width in pixels, and the size of text."""

    language: str
    theme: str
    colours: Literal["light", "dark"]
    width: int
    text: str


LOOKS: Final = (
    # 320 px is what WCAG 2.2, 1.4.10 (Reflow), asks for, and 200 % what 1.4.4 (Resize Text) does.
    Look("en", "own-site", "light", 320, "100%"),
    Look("ar", "shop", "dark", 390, "200%"),
    Look("de", "own-site", "dark", 390, "200%"),
    Look("de", "shop", "light", 320, "100%"),
)


@pytest.fixture(scope="module")
def preview(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a preview that is served."""
    folder = tmp_path_factory.mktemp("preview")
    program, port = Program(folder), free_port()
    write_themes(folder)
    with subprocess.Popen(
        program.command("preview", "--port", str(port)), cwd=folder, env=program.environ, stderr=subprocess.PIPE
    ) as started:
        url = f"http://localhost:{port}"
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5):
                    break
            except OSError:
                assert started.poll() is None, started.stderr.read().decode() if started.stderr else ""
                assert time.monotonic() < until
                time.sleep(0.05)
        yield url
        started.terminate()


async def faults(browser: Browser, axe: str, preview: str, look: Look, paths: Sequence[str]) -> list[str]:
    """Return what is wrong with pages in one look."""
    context = await browser.new_context(
        viewport={"width": look.width, "height": 800}, color_scheme=look.colours, bypass_csp=True
    )
    try:
        await context.add_init_script(axe)
        page = await context.new_page()
        found: list[str] = []
        for path in paths:
            await page.goto(f"{preview}{path}?language={look.language}&theme={look.theme}")
            seen: list[str] = await page.evaluate(CHECKS, look.text)
            found += [f"{path} {look.language} {look.theme} {look.colours}: {each}" for each in seen]
        return found
    finally:
        await context.close()


async def test_axe_finds_nothing_in_any_state_and_nothing_runs_over(preview: str, browser: Browser, axe: str) -> None:
    """H4: each state of each page, in both colours and both directions, on a narrow screen and with large text.

    With ROUNDS=full each state has each look. Otherwise one state in three has one, and the next of these has the next look.
    """
    paths = [f"/page/{state.id}" for state in PAGE_STATES]
    some = paths[::SHARE]
    shares = [paths if is_full() else some[turn :: len(LOOKS)] for turn in range(len(LOOKS))]
    looked = (faults(browser, axe, preview, look, share) for look, share in zip(LOOKS, shares, strict=True))
    found = await asyncio.gather(*looked)
    assert "\n".join(each for some in found for each in some) == ""


async def test_axe_finds_nothing_in_the_text_of_messages(preview: str, browser: Browser, axe: str) -> None:
    paths = [f"/message/{one.id}" for one in message_states() if one.id.endswith("-sms")][:2]
    found = await asyncio.gather(*(faults(browser, axe, preview, look, paths) for look in LOOKS[:2]))
    assert "\n".join(each for some in found for each in some) == ""


async def test_the_frame_shows_the_chosen_theme_scheme_and_language(preview: str, browser: Browser) -> None:
    page = await browser.new_page()
    try:
        await page.goto(f"{preview}/?shown=verify.sent")
        await page.get_by_label("Language").select_option("ar")
        await page.get_by_label("Theme").select_option("shop")
        await page.get_by_text("Dark", exact=True).click()
        await page.get_by_role("button", name="Show").click()
        frame = page.frame_locator("iframe")
        assert await frame.locator("html").get_attribute("dir") == "rtl"
        colour = await frame.locator("body").evaluate("(body) => getComputedStyle(body).backgroundColor")
        assert colour == "rgb(27, 18, 12)"
    finally:
        await page.close()
