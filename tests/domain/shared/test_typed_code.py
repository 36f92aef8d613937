"""What people type and paste for a code: read in every spelling, found in its message, and never guessed at."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.shared.contact import Channel, Contact, ContactKind
from countersign.domain.shared.identifier import ALPHABET
from countersign.domain.shared.typed_code import read_code
from countersign.domain.shared.typed_text import MAX_TYPED
from countersign.domain.verifications.code import DIGITS, Alphabet, Code, CodeShape, read
from countersign.messages.language.catalogue import languages
from countersign.messages.render import CodeMessage, render

SCRIPTS = {
    "Arabic": 0x660,
    "Persian": 0x6F0,
    "N'Ko": 0x7C0,
    "Devanagari": 0x966,
    "Bengali": 0x9E6,
    "Thai": 0xE50,
    "Myanmar": 0x1040,
    "Khmer": 0x17E0,
    "Mongolian": 0x1810,
    "full width": 0xFF10,
    "mathematical": 0x1D7CE,
    "Adlam": 0x1E950,
    "segmented": 0x1FBF0,
}
MARKS = (
    "\u200b\u200c\u200d\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\u00ad\u034f\u180e"
    "\ufe0e\ufe0f\u3164\uffa0\u115f\U000e0020\U000e0100"
)
SPACES = " \u00a0\u1680\u2000\u2003\u2007\u2009\u200a\u202f\u205f\u3000\u2800\t\n\r\v\f\u0085\u2028\u2029"
DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\u301c\u30fc\ufe58\ufe63\uff0d\uff70\u02d7\u2043\u058a\u1806"


@pytest.mark.parametrize("zero", SCRIPTS.values(), ids=SCRIPTS)
def test_digits_of_any_script_are_digits(zero: int) -> None:
    """J3: the keyboard of a language writes that language's digits."""
    assert read_code("".join(chr(zero + int(digit)) for digit in "407737"), DIGITS, 6) == "407737"


@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: f"U+{ord(mark):04X}")
def test_what_nobody_sees_is_left_out(mark: str) -> None:
    """J3: marks come along with what is copied."""
    for typed in (f"{mark}497737", f"497737{mark}", f"497{mark}737", mark.join("497737"), f"{mark}497 737{mark}"):
        assert read_code(typed, DIGITS, 6) == "497737"
    assert read_code(f"abcd-{mark}efgh-jkmn{mark}-pqrs", ALPHABET, 16) == "abcdefghjkmnpqrs"


@pytest.mark.parametrize("between", SPACES + DASHES, ids=lambda mark: f"U+{ord(mark):04X}")
def test_spaces_and_dashes_of_any_kind_are_forgiven(between: str) -> None:
    """J3: in codes that were sent and in recovery codes alike."""
    assert read_code(f"{between}497{between}737{between}", DIGITS, 6) == "497737"
    assert read_code(between.join(("ABCD", "efgh", "jkmn", "pqrs")), ALPHABET, 16) == "abcdefghjkmnpqrs"


@pytest.mark.parametrize(
    "typed",
    [
        "623339 is your Countersign code. It is valid for 10 minutes.\n@verify.example.org #623339",
        "Your code is 623 339",
        "Your code is 623-339.",
        "G-623339 is your code",
        "Code:623339",
        "您的验证码是623339，请勿告诉他人。",  # noqa: RUF001
        "رمزك هو ٦٢٣٣٣٩ صالح لمدة ١٠ دقائق",  # noqa: RUF001
        "Dein Code: 62 33 39 (gilt 10 Minuten, bis 14:05 am 27.11.2026)",
        "On 2026-11-27 at 14:05:30 from 203.0.113.9: 623339",
        "6\ufe0f\u20e32\ufe0f\u20e33\ufe0f\u20e33\ufe0f\u20e33\ufe0f\u20e39\ufe0f\u20e3",
        "“623339”",
        "623339\r\n\r\n--\r\nSent from my phone",
        "10 623339",
    ],
)
def test_the_code_is_found_in_the_message_that_brought_it(typed: str) -> None:
    """J3: people paste the line, or all of it."""
    assert read_code(typed, DIGITS, 6) == "623339"


@pytest.mark.parametrize(
    "typed",
    [
        "623339 or 623340",
        "623339 and 623 340",
        "623 339, 623 340",
        "12 34 56 78",
        "code623339x",
        "a1623339",
        "6233390",
        "62333",
        "623.339",
        "+49 151 23456789",
        "1623339.50",
        "2026-11-27",
        "csi_623339abcdef",
        "no code at all",
        "",
        " \u200b ",
        "x" * (MAX_TYPED + 1),
        "623339" + " " * MAX_TYPED,
    ],
)
def test_what_leaves_a_doubt_is_no_code(typed: str) -> None:
    """J3: two candidates, another length, or another alphabet: nothing is guessed."""
    assert read_code(typed, DIGITS, 6) is None


@pytest.mark.parametrize("channel", [Channel.SMS, Channel.EMAIL])
@pytest.mark.parametrize("shape", [CodeShape(), CodeShape(8), CodeShape(8, Alphabet.ALPHANUMERIC)], ids=str)
def test_every_message_of_ours_can_be_pasted_whole(channel: Channel, shape: CodeShape) -> None:
    """J3: in all languages, the text and the HTML's text alike."""
    code = "62333947"[: shape.length] if shape.alphabet is Alphabet.DIGITS else "BCDF2346"
    kind = ContactKind.MAIL if channel is Channel.EMAIL else ContactKind.PHONE
    for tag in languages():
        message = render(
            CodeMessage(
                key="msg_1",
                channel=channel,
                to=Contact(kind, "ada@example.org" if kind is ContactKind.MAIL else "+4915123456789"),
                locale=tag,
                site="Leaf & Kettle",
                host="verify.example.org",
                purpose="sign_in",
                summary="",
                asked_at=1_764_000_000_000,
                expires_at=1_764_000_600_000,
                device="Chrome 142 on Windows",
                place="Cairo, Egypt",
                not_me="https://verify.example.org/not-me?of=ver_01k6x0000000000000000000000",
            ),
            Code(code),
        )
        assert read(message.text, shape) == code, (tag, message.text)


def test_a_list_of_recovery_codes_is_not_one_of_them() -> None:
    assert read_code("abcd-efgh-jkmn-pqrs\nabcd-efgh-jkmn-pqrt", ALPHABET, 16) is None
    assert read_code("Recovery code: ABCD-EFGH-JKMN-PQRS", ALPHABET, 16) == "abcdefghjkmnpqrs"
    assert read_code("OIL1-efgh-jkmn-pqrs", ALPHABET, 16) == "0111efghjkmnpqrs"


@given(st.text(max_size=80))
def test_any_text_is_a_code_of_the_alphabet_or_none(typed: str) -> None:
    for symbols, length in ((DIGITS, 6), (ALPHABET, 16), ("2346789BCDFGHJKMPQRTVWXY", 8)):
        meant = read_code(typed, symbols, length)
        assert meant is None or (len(meant) == length and set(meant) <= set(symbols))


@pytest.mark.parametrize(
    "typed", ["1 " * 2_000, "1-" * 2_000, "- " * 2_000, "\ufdfa" * 4_000, "1.1" * 1_333, " " * 4_000, "a" * 4_000]
)
def test_the_longest_text_is_read_in_bounded_time(typed: str) -> None:
    """L5: reading costs little, whatever was pasted."""
    began = time.process_time()
    read_code(typed, DIGITS, 6)
    read_code(typed, ALPHABET, 16)
    assert time.process_time() - began < 0.5
