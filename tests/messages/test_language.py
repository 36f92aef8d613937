"""Languages: every sentence in each, times as each writes them, and the nearest one for every tag."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from babel import Locale
from tests.messages.occasions import FROM_RIGHT_TO_LEFT, OTHER_SCRIPTS, TWELVE

from countersign.messages.language.catalogue import negotiate
from countersign.messages.language.datetimes import after, day, span, time_of_day
from countersign.messages.render import languages

ROOT = Path(__file__).resolve().parents[2]
MINUTES = (
    "Valid until {time}, {number} minute after it was requested.",
    "Valid until {time}, {number} minutes after it was requested.",
)
NOUNS = {
    "pl": {1: "minutę", 2: "minuty", 5: "minut", 12: "minut", 22: "minuty", 25: "minut", 112: "minut"},
    "ar": {0: "دقيقة", 1: "دقيقة", 2: "دقيقتين", 3: "دقائق", 10: "دقائق", 11: "دقيقة", 100: "دقيقة", 103: "دقائق"},
    "fr": {0: "minute", 1: "minute", 2: "minutes"},
    "pt": {1: "minuto", 2: "minutos"},
    "he": {1: "דקה", 2: "דקות", 11: "דקות"},
    "nl": {1: "minuut", 2: "minuten"},
    "tr": {1: "dakika", 2: "dakika"},
}

AT = 1_795_451_520_000  # 2026-11-23 16:32:00 UTC


def test_english_is_the_first_of_the_languages_and_each_has_its_direction() -> None:
    assert languages()[0] == "en"
    assert {"en", "ar", "de"} <= set(languages()) <= TWELVE
    for tag in languages():
        for asked in (tag, tag.upper(), f"{tag}-001"):
            language = negotiate(asked)
            assert (language.tag, language.direction) == (tag, "rtl" if tag in FROM_RIGHT_TO_LEFT else "ltr")


@pytest.mark.parametrize("tag", languages())
def test_a_catalogue_has_the_plural_forms_of_its_language(tag: str) -> None:
    """As CLDR has them: a language's form for a number is the same wherever CLDR says that the category is."""
    rule = Locale.parse(tag).plural_form
    said = {
        number: negotiate(tag).count(*MINUTES, number, time="T").replace(str(number), "N") for number in range(1, 121)
    }
    by_category: dict[str, set[str]] = {}
    for number, sentence in said.items():
        by_category.setdefault(rule(number), set()).add(sentence)
    for category, sentences in by_category.items():
        assert len(sentences) == 1 or (tag, category) == ("ar", "zero"), (tag, category, sentences)


@pytest.mark.parametrize(("tag", "nouns"), NOUNS.items())
def test_the_noun_fits_its_number(tag: str, nouns: dict[int, str]) -> None:
    if tag not in languages():
        pytest.skip(f"there is no catalogue of {tag}")
    for number, noun in nouns.items():
        said = negotiate(tag).count(*MINUTES, number, time="T")
        assert re.search(rf"(?<!\w){noun}(?!\w)", said), f"{number}: {said}"
        assert str(number) in said


def test_no_sentence_is_missing_in_any_language() -> None:
    program = [sys.executable, str(ROOT / "tools" / "translations.py"), "--check"]
    outcome = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    warned = [line.split(": ")[1:] for line in outcome.stdout.splitlines()]
    assert {tag for tag, _ in warned} == OTHER_SCRIPTS & set(languages()), (
        "D3: a language in seven bits makes one segment, one in sixteen two at most, and the template linter says so"
    )
    assert all("takes 2 segments" in told for _, told in warned)
    expected = {"ar": 6, "he": 5, "ja": 2}
    assert Counter(tag for tag, _ in warned) == {tag: expected[tag] for tag in OTHER_SCRIPTS & set(languages())}
    assert not any("sign_in" in told for tag, told in warned if tag in OTHER_SCRIPTS), (
        "the SMS that is sent most is the shortest"
    )


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
        ("tlh", "en", "en"),
        ("sv", "en", "en"),
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


@pytest.mark.parametrize(
    ("seconds", "spoken", "later"),
    [
        (1, "1 second", "in 1 second"),
        (59, "59 seconds", "in 59 seconds"),
        (60, "1 minute", "in 1 minute"),
        (61, "2 minutes", "in 2 minutes"),
        (600, "10 minutes", "in 10 minutes"),
        (5_400, "90 minutes", "in 90 minutes"),
        (7_200, "2 hours", "in 2 hours"),
        (200_000, "3 days", "in 3 days"),
    ],
)
def test_a_time_span_is_said_in_one_unit_and_never_too_short(seconds: int, spoken: str, later: str) -> None:
    english = negotiate("en").locale
    assert span(seconds, english) == spoken
    assert after(seconds, english) == later
