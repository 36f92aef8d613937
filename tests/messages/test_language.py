"""Languages: every sentence in each, times as each writes them, and the nearest one for every tag."""

import subprocess
import sys
from pathlib import Path

import pytest
from babel import Locale

from countersign.messages.language import negotiate
from countersign.messages.moment import day, time_of_day
from countersign.messages.render import languages

ROOT = Path(__file__).resolve().parents[2]
AT = 1_795_451_520_000  # 2026-11-23 16:32:00 UTC


def test_there_are_english_arabic_and_german() -> None:
    assert languages() == ("en", "ar", "de")
    assert negotiate("ar-EG").direction == "rtl"
    assert negotiate("de").direction == "ltr"


def test_no_sentence_is_missing_in_any_language() -> None:
    program = [sys.executable, str(ROOT / "tools" / "translations.py"), "--check"]
    outcome = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    warned = outcome.stdout.splitlines()
    assert all(line.startswith("warning: ar: ") and "takes 2 segments" in line for line in warned), (
        "D3: a language in seven bits makes one segment, one in sixteen two at most, and the template linter says so"
    )
    assert len(warned) == 7


@pytest.mark.parametrize(
    ("asked", "tag", "locale"),
    [
        ("en", "en", "en"),
        ("de", "de", "de"),
        ("de-AT", "de", "de_AT"),
        ("DE_ch", "de", "de_CH"),
        ("de-Latn-DE", "de", "de_DE"),
        ("en-GB", "en", "en_GB"),
        ("en-001", "en", "en_001"),
        ("de-QQ", "de", "de"),
        ("fr", "en", "en"),
        ("deu", "en", "en"),
        ("", "en", "en"),
        ("../../de", "en", "en"),
        ("de/../../x", "en", "en"),
        ("de-" + "x" * 10_000, "de", "de"),
        ("\x00", "en", "en"),
    ],
)
def test_the_nearest_language_answers_to_every_tag(asked: str, tag: str, locale: str) -> None:
    language = negotiate(asked)
    assert (language.tag, str(language.locale), language.direction) == (tag, locale, "ltr")


@pytest.mark.parametrize(
    ("locale", "zone", "time", "date"),
    [
        ("en", "UTC", "4:32\u202fPM UTC", "November 23, 2026"),
        ("en_GB", "Europe/London", "16:32 GMT", "23 November 2026"),
        ("en", "America/New_York", "11:32\u202fAM EST", "November 23, 2026"),
        ("de", "Europe/Berlin", "17:32 MEZ", "23. November 2026"),
        ("de", "Asia/Kolkata", "22:02 UTC+5:30", "23. November 2026"),
        ("de", "America/New_York", "11:32 UTC-5", "23. November 2026"),
        ("de", "Pacific/Auckland", "05:32 UTC+13", "24. November 2026"),
        ("de", "Africa/Abidjan", "16:32 UTC", "23. November 2026"),
        ("de", "Nowhere/At_All", "16:32 UTC", "23. November 2026"),
        ("de", "Europe", "16:32 UTC", "23. November 2026"),
        ("de", "../../../etc/passwd", "16:32 UTC", "23. November 2026"),
        ("de", "", "16:32 UTC", "23. November 2026"),
    ],
)
def test_a_moment_is_written_as_the_language_writes_it(locale: str, zone: str, time: str, date: str) -> None:
    writes = Locale.parse(locale)
    assert (time_of_day(AT, zone, writes), day(AT, zone, writes)) == (time, date)


def test_a_value_is_never_read_as_a_place_to_fill() -> None:
    assert negotiate("en").say("Hello, this is {site}.", site="{code}") == "Hello, this is {code}."
