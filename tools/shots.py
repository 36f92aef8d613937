"""Takes a picture of every page in every state that matters, on a phone and a desktop, light and dark, into build/shots."""

from __future__ import annotations

import itertools
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from tests.journeys.chromium import ARGUMENTS, DESKTOP, PHONE, chromium
from tests.journeys.site import Site, open_site
from tests.peers.pair import open_pair

OUT: Final = Path(__file__).resolve().parent.parent / "build" / "shots"
SIZES: Final = {"phone": PHONE, "desktop": DESKTOP}
SETTINGS: Final = '[purposes.sign_in]\nguesses = 2\n\n[limits]\nrequester = ["10000/1m"]\ndestination = ["10000/1m"]\n'
SUMMARY: Final = "Pay €49.90 to the Tea Shop"


def main() -> int:
    """Start the program and a browser, and take every picture whose name holds the words given."""
    path = chromium()
    if path is None:
        print("No Chromium found; install one and try again.")
        return 1
    wanted = sys.argv[1:]
    OUT.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_site(Path(folder), SETTINGS) as site,
        sync_playwright() as tools,
    ):
        browser = tools.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        for name, scene in SCENES.items():
            for size, viewport in SIZES.items():
                for colours in ("light", "dark"):
                    for direction in ("ltr", "rtl") if name in MIRRORED and colours == "light" else ("ltr",):
                        picture = f"{name}-{size}-{colours}{'-rtl' if direction == 'rtl' else ''}"
                        if all(word in picture for word in wanted):
                            _take(browser, site, scene, picture, viewport)
        if any("shop".startswith(word) or word.startswith("shop") for word in wanted) or not wanted:
            _take_the_shop(browser, Path(folder) / "shop")
        browser.close()
    print(f"The pictures are in {OUT}.")
    return 0


def _take(browser: Browser, site: Site, scene: Scene, picture: str, viewport: dict[str, int]) -> None:
    phone = viewport is PHONE
    context = browser.new_context(
        viewport=ViewportSize(width=viewport["width"], height=viewport["height"]),
        color_scheme="dark" if "-dark" in picture else "light",
        device_scale_factor=2 if phone else 1,
        has_touch=phone,
        is_mobile=phone,
        locale="de" if "german" in picture else "ar" if "arabic" in picture else "en-GB",
    )
    page = context.new_page()
    page.on(
        "console",
        lambda word: print(f"{picture}: {word.type}: {word.text}") if word.type in {"error", "warning"} else None,
    )
    page.on("pageerror", lambda error: print(f"{picture}: {error}"))
    scene(page, site)
    if picture.endswith("-rtl"):
        page.evaluate("document.documentElement.dir = 'rtl'")
    page.wait_for_timeout(350)
    page.screenshot(path=OUT / f"{picture}.png")
    tall = int(page.evaluate("document.documentElement.scrollHeight")) > viewport["height"]
    if tall:
        page.screenshot(path=OUT / f"{picture}-whole.png", full_page=True)
    context.close()


def _take_the_shop(browser: Browser, home: Path) -> None:
    """Take the pages of the example shop: the catalogue, a cart, and what is asked before a large order."""
    home.mkdir()
    with open_pair(home) as pair:
        for (size, viewport), colours in itertools.product(SIZES.items(), ("light", "dark")):
            context = browser.new_context(
                viewport=ViewportSize(width=viewport["width"], height=viewport["height"]),
                color_scheme="dark" if colours == "dark" else "light",
                locale="en-GB",
            )
            page = context.new_page()
            page.goto(pair.shop)
            page.screenshot(path=OUT / f"shop-{size}-{colours}.png", full_page=True)
            page.get_by_role("button", name="Put Aged Pu-erh").click()
            page.goto(f"{pair.shop}/cart")
            page.screenshot(path=OUT / f"shop-cart-{size}-{colours}.png", full_page=True)
            context.close()


Scene = Callable[[Page, Site], object]
FRESH: Final = itertools.count(123)
"""A number nobody waits at: whoever asks again while a code is pending has to wait."""


def _code(site: Site, to: str) -> str:
    return "".join(re.findall(r"#(\w+)$|^(\d+) is", site.letter(to)["text"], re.MULTILINE)[0])


def _front(page: Page, site: Site) -> None:
    page.goto(site.url)


def _asked(page: Page, site: Site) -> str:
    number = f"+1415555{next(FRESH):04}"
    page.goto(site.url)
    page.get_by_text("SMS", exact=True).click()
    page.get_by_label("Email address or phone number").fill(number)
    page.get_by_text("What the code is for").click()
    page.get_by_label("What it approves").fill(SUMMARY)
    page.get_by_role("button", name="Send code").click()
    page.get_by_role("status").filter(has_text="to your network").wait_for()
    return number


def _wrong(page: Page, site: Site) -> None:
    _asked(page, site)
    page.get_by_label("Code", exact=True).fill("000 000")
    page.get_by_role("button", name="Verify").click()
    page.get_by_text("This is not the right code").wait_for()


def _approved(page: Page, site: Site) -> None:
    number = _asked(page, site)
    page.get_by_label("Code", exact=True).fill(_code(site, number))
    page.get_by_role("button", name="Verify").click()
    page.get_by_text("Signature verified", exact=True).wait_for()


def _exhausted(page: Page, site: Site) -> None:
    _wrong(page, site)
    page.get_by_label("Code", exact=True).fill("000 001")
    page.get_by_role("button", name="Verify").click()
    page.get_by_role("button", name="Start again").wait_for()


def _refused(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_label("Email address or phone number").fill("+1 415")
    page.get_by_role("button", name="Send code").click()
    page.locator("#to-fault").wait_for()


def _filled(site: Site) -> None:
    site.call("DELETE", "/inbox/messages")
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    asked: tuple[tuple[str, str, str, str], ...] = (
        ("grace@example.org", "email", "recover", ""),
        ("+14155550123", "voice", "sign_in", ""),
        ("+491711234567", "whatsapp", "step_up", ""),
        ("+14155550199", "sms", "change_contact", "Change e-mail to a***@example.org"),
        ("ada@example.org", "email", "step_up", SUMMARY),
    )
    for to, channel, purpose, summary in asked:
        body = {
            "to": to,
            "channel": channel,
            "purpose": purpose,
            "subject": f"user-{next(FRESH)}",
            "requester": {"user_agent": agent, "ip": "203.0.113.9"},
        }
        site.call("POST", "/v1/verifications", {**body, "action": {"summary": summary}} if summary else body)
        site.letter(to)


def _letters(kind: str = "") -> Scene:
    def scene(page: Page, site: Site) -> None:
        _filled(site)
        page.goto(f"{site.url}/inbox")
        if kind:
            page.locator(f"a.letter:has(.{kind})").first.click()
            page.wait_for_url("**message=**")

    return scene


def _empty(page: Page, site: Site) -> None:
    site.call("DELETE", "/inbox/messages")
    page.goto(f"{site.url}/inbox")


def _not_me(page: Page, site: Site) -> None:
    _filled(site)
    found = re.search(r"(/not-me\?ref=[^\s\"]+)", site.letter("ada@example.org")["text"])
    assert found is not None, "the mail holds no link"  # noqa: S101
    page.goto(site.url + found[1])


def _stopped(page: Page, site: Site) -> None:
    _not_me(page, site)
    page.get_by_role("button").click()
    page.get_by_role("status").wait_for()


def _unknown(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/not-me?ref=ver_1.x")


def _sign_up(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/sign-up")


def _sign_up_faults(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/sign-up")
    page.locator("#name").fill("Ada")
    page.locator("#identifier").fill("ada")
    page.locator("#password").fill("password1")
    page.locator("form button.full").click()


def _sign_in(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/sign-in")


def _sign_in_wrong(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/sign-in")
    page.locator("#identifier").fill("ada@example.org")
    page.locator("#password").fill("wrong password")
    page.locator("form button.full").click()


def _verify(page: Page, site: Site) -> str:
    number = f"+1415555{next(FRESH):04}"
    page.goto(f"{site.url}/sign-up")
    page.locator("#name").fill("Ada Lovelace")
    page.locator("#identifier").fill(number)
    page.locator("#password").fill("correct horse battery")
    page.locator("form button.full").click()
    page.locator("#state").filter(has_text=re.compile("Sent|Übergeben|سُلّمت")).wait_for()
    page.locator("summary").click()
    return number


def _verify_wrong(page: Page, site: Site) -> None:
    _verify(page, site)
    page.locator("#code").fill("000000")
    page.locator("#answer button").click()


def _account(page: Page, site: Site) -> None:
    number = _verify(page, site)
    page.locator("#code").fill(_code(site, number))
    page.locator("#answer button").click()
    page.wait_for_url("**/account")


def _nothing_waits(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/verify")


SCENES: Final[dict[str, Scene]] = {
    "sign-up": _sign_up,
    "sign-up-faults": _sign_up_faults,
    "sign-up-german": _sign_up,
    "sign-in": _sign_in,
    "sign-in-wrong": _sign_in_wrong,
    "verify": _verify,
    "verify-arabic": _verify,
    "verify-wrong": _verify_wrong,
    "verify-nothing": _nothing_waits,
    "account": _account,
    "account-arabic": _account,
    "demo-ask": _front,
    "demo-refused": _refused,
    "demo-answer": _asked,
    "demo-wrong": _wrong,
    "demo-proof": _approved,
    "demo-exhausted": _exhausted,
    "inbox-empty": _empty,
    "inbox-list": _letters(),
    "inbox-mail": _letters("email"),
    "inbox-sms": _letters("sms"),
    "inbox-voice": _letters("voice"),
    "inbox-whatsapp": _letters("whatsapp"),
    "not-me-ask": _not_me,
    "not-me-german": _not_me,
    "not-me-stopped": _stopped,
    "not-me-unknown": _unknown,
}
MIRRORED: Final = frozenset({"demo-answer", "inbox-list", "not-me-ask"})

if __name__ == "__main__":
    sys.exit(main())
