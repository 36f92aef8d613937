"""What people type and paste into our pages: codes, numbers and addresses, read alike wherever they are asked for."""

from __future__ import annotations

import base64
import re
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from tests.web.pages.page_browser import ADA, PASSWORD, PageBrowser, signed_up

from countersign.domain.shared.contact import parse_contact
from countersign.store.engine.database import Sql
from countersign.totp import STEP, code_at

if TYPE_CHECKING:
    from tests.web.client import Answer
    from tests.web.conftest import Opener

    from countersign.store.engine.database import Rows
    from countersign.wiring import Runtime

GERMAN = {"accept-language": "de-DE,de;q=0.9"}
NUMBER = "+4915123456789"
SPELLINGS = (
    "0151 23456789",
    "0049 151 23456789",
    "+49 (0)151 / 234 567 89",
    "\u202a+49 151 23456789\u202c",
    "\u0660\u0661\u0665\u0661 \u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669",
)


def text_of(answer: Answer) -> str:
    """Return what a page says."""
    return unescape(re.sub(r"<[^>]+>", " ", answer.body.decode()))


def arabic(code: str) -> str:
    return "".join(chr(0x660 + int(digit)) for digit in code)


async def _guesses() -> Rows:
    return await Sql("SELECT guesses FROM challenges ORDER BY begun_at DESC, id DESC LIMIT 1")


async def guesses(runtime: Runtime) -> int:
    """Return how many codes of the newest challenge were compared."""
    return int((await runtime.core.database.read(_guesses))[0][0])


@pytest.mark.parametrize(
    "written",
    [
        "{code} is your Countersign code. It is valid for 10 minutes.\r\n\r\n@localhost #{code}",
        "\u200e{code}\ufeff",
        "{arabic}",
        "{first}\u2014{second}",
    ],
)
async def test_a_code_is_read_on_the_page(runtime: Runtime, written: str) -> None:
    """J3: the message, marks, digits and dashes."""
    browser = PageBrowser(runtime)
    await browser.post("/sign-up", {"name": "Ada", "identifier": ADA, "password": PASSWORD})
    code = await browser.code()
    typed = written.format(code=code, arabic=arabic(code), first=code[:3], second=code[3:])
    assert (await browser.post("/verify", {"code": typed})).status == 303
    assert await browser.session() is not None


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "no code", "\u202e", "x" * 5_000])
async def test_what_cannot_be_a_code_costs_no_guess_and_says_what_a_code_looks_like(
    runtime: Runtime, typed: str
) -> None:
    """J3: however often."""
    browser = PageBrowser(runtime)
    await browser.post("/sign-up", {"name": "Ada", "identifier": ADA, "password": PASSWORD})
    for _ in range(6):
        answer = await browser.post("/verify", {"code": typed})
        page = text_of(answer if answer.status != 303 else await browser.get("/verify"))
        assert "The code has 6 digits." in page
        assert "tries left" not in page
    assert await guesses(runtime) == 0
    assert (await browser.types()).status == 303


async def test_what_cannot_be_a_code_says_nothing_of_the_account(runtime: Runtime) -> None:
    """R1: the answer is the same for a contact that has an account and for one that has none."""
    await signed_up(runtime)
    said = []
    for name in (ADA, "bob@example.org"):
        browser = PageBrowser(runtime)
        await browser.post("/recover", {"identifier": name})
        for path, typed in (("/verify", "123"), ("/verify/recovery-code", "abcd")):
            answer = await browser.submits(path, {"code": typed})
            assert answer.status == 422
            said.append((path, answer.status, text_of(answer).replace(name, "?")))
    assert said[0] == said[2]
    assert said[1] == said[3]
    assert "A recovery code has 16 letters and digits." in said[1][2]


async def test_a_national_number_is_one_contact_with_its_international_form(runtime: Runtime) -> None:
    """J3, A6: on every page that takes one, and the reading is shown whole."""
    owner = PageBrowser(runtime)
    fields = {"name": "Ada", "identifier": SPELLINGS[0], "password": PASSWORD}
    assert (await owner.post("/sign-up", fields, **GERMAN)).status == 303
    assert "+49 1512 3456789" in text_of(await owner.get("/verify"))
    assert (await owner.types()).status == 303
    assert await owner.session() is not None
    for typed in (NUMBER, *SPELLINGS):
        other = PageBrowser(runtime)
        answer = await other.post("/sign-in", {"identifier": typed, "password": PASSWORD}, **GERMAN)
        assert (answer.status, answer.headers["location"]) == (303, "/verify"), typed


@pytest.mark.parametrize("path", ["/sign-up", "/recover"])
async def test_a_number_without_any_country_says_how_to_write_it(runtime: Runtime, path: str) -> None:
    """J3: where neither setting nor language names a country."""
    browser = PageBrowser(runtime)
    fields = {"name": "Ada", "identifier": "0151 23456789", "password": PASSWORD}
    answer = await browser.submits(path, fields, **{"accept-language": ""})
    assert answer.status == 422
    assert "begins with + and its country code" in text_of(answer)


async def test_the_default_country_comes_before_that_of_the_language(open_house: Opener) -> None:
    """J3: a setting, and then the browser's languages for what that country does not have."""
    runtime = await open_house('default_country = "GB"')
    for typed, shown in (("07911 123456", "+44 7911 123456"), ("0151 23456789", "+49 1512 3456789")):
        browser = PageBrowser(runtime)
        await browser.post("/recover", {"identifier": typed}, **GERMAN)
        assert shown in text_of(await browser.get("/verify"))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("+1 415 555", "too many or too few digits"),
        ("0151 23456789", "We read this as \u2066+49 1512 3456789\u2069."),
        ("ada@gmial.com", "Did you mean \u2066ada@gmail.com\u2069?"),
        ("nobody", "Enter an email address, or a mobile number"),
    ],
)
async def test_a_sign_in_that_fails_says_how_the_name_was_read(runtime: Runtime, typed: str, said: str) -> None:
    """J3, S1: it depends on what was typed alone."""
    browser = PageBrowser(runtime)
    fields = {"identifier": typed, "password": PASSWORD}
    answer = await browser.submits("/sign-in", fields, **{"accept-language": "en-DE"})
    assert answer.status == 422
    assert said in text_of(answer)


async def test_a_likely_slip_is_suggested_and_never_forced(runtime: Runtime) -> None:
    """J3: the message goes where it was asked to go."""
    browser = PageBrowser(runtime)
    answer = await browser.post("/sign-up", {"name": "Ada", "identifier": "ada@gmial.com", "password": PASSWORD})
    assert answer.status == 303
    page = text_of(await browser.get("/verify"))
    assert "ada@gmial.com" in page
    assert "Did you mean \u2066ada@gmail.com\u2069?" in page
    assert (await browser.types()).status == 303
    assert await browser.session() is not None


async def test_a_landline_is_refused_for_sms_with_a_clear_word(open_house: Opener) -> None:
    """J3: on every page that takes a contact. Where we can call, a call brings the code."""
    runtime = await open_house(
        '[purposes.sign_up]\nchannels = ["email", "sms"]\n[purposes.bind_contact]\nchannels = ["email", "sms"]\n'
    )
    browser = PageBrowser(runtime)
    fields = {"name": "Ada", "identifier": "+49 89 12345678", "password": PASSWORD}
    answer = await browser.submits("/sign-up", fields)
    assert answer.status == 422
    assert "This is a landline number" in text_of(answer)
    owner = await signed_up(runtime)
    answer = await owner.submits("/account/contacts", {"contact": "089 12345678"}, **GERMAN)
    assert answer.status == 422
    assert "Festnetz" in text_of(answer)


async def test_a_landline_is_called(runtime: Runtime) -> None:
    browser = PageBrowser(runtime)
    fields = {"name": "Ada", "identifier": "+49 89 12345678", "password": PASSWORD}
    assert (await browser.post("/sign-up", fields)).status == 303
    seen = await browser.sees()
    assert seen is not None
    assert seen.challenge is not None
    assert seen.challenge.channel.value == "voice"
    assert "sms" not in {way.channel.value for way in seen.contact_methods}


async def test_a_name_of_any_script_is_taken(runtime: Runtime) -> None:
    """J3: with the joiner that it needs."""
    browser = PageBrowser(runtime)
    fields = {"name": "علی\u200cرضا احمدی", "identifier": ADA, "password": PASSWORD}  # noqa: RUF001
    assert (await browser.post("/sign-up", fields)).status == 303
    assert (await browser.types()).status == 303


async def set_up_app(owner: PageBrowser) -> tuple[bytes, str]:
    """Begin to set up an app; return its secret, and the address in its picture."""
    answer = await owner.post("/account/methods/app", {"name": "Phone"})
    if answer.headers["location"] == "/verify":
        answer = await owner.types()
    page = unescape((await owner.get("/account/methods/app")).body.decode())
    link = re.search(r"otpauth://totp/[^\"<]*", page)
    assert link is not None, (answer, page)
    secret = re.search(r"secret=([A-Z2-7]+)", link[0])
    assert secret is not None
    return base64.b32decode(secret[1] + "=" * (-len(secret[1]) % 8)), link[0]


async def test_an_app_code_is_read_at_enrolment_as_at_sign_in_and_its_label_is_the_whole_address(
    open_house: Opener,
) -> None:
    """J3, A11: Arabic-Indic digits, no guess for what cannot be one, and a label that tells accounts apart."""
    runtime = await open_house('site = "Star Trek: Shop"')
    owner = await signed_up(runtime)
    secret, link = await set_up_app(owner)
    assert unquote(link).startswith("otpauth://totp/Star Trek Shop:ada@example.org?")
    assert "issuer=Star%20Trek%20Shop&" in link
    for _ in range(12):
        answer = await owner.submits("/account/methods/app/confirm", {"code": "12 34 5"})
        assert answer.status == 422
        assert "The code has 6 digits." in text_of(answer)
    code = code_at(secret, runtime.accounts.now() // STEP)
    done = await owner.post("/account/methods/app/confirm", {"code": f"\u200f{arabic(code)}\u200f"})
    assert (done.status, done.headers["location"]) == (303, "/account/methods/recovery-codes")


def test_the_reading_of_a_contact_is_stable() -> None:
    """A6: what was read once reads as itself."""
    assert parse_contact(NUMBER).address == NUMBER
