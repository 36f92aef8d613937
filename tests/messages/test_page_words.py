"""The operator's own words for pages: checked at the start, and said in place of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from countersign.errors import SettingsError
from countersign.messages.custom.custom_templates import load_templates
from countersign.messages.language.catalogue import negotiate

if TYPE_CHECKING:
    from pathlib import Path

    from countersign.messages.language.catalogue import Language

GUESS = "This is not the right code. You have {number} try left."
GUESSES = "This is not the right code. You have {number} tries left."


def spoken(folder: Path, text: str, tag: str = "en") -> Language:
    """Return the language of pages with the words of a file."""
    (folder / f"pages.{tag}.toml").write_text(text)
    return load_templates(folder, (), code_in_subject=False).page_words.applied(negotiate(tag))


def fault(folder: Path, text: str, tag: str = "en") -> str:
    """Return why a file is refused."""
    with pytest.raises(SettingsError) as refused:
        spoken(folder, text, tag)
    return str(refused.value)


def test_a_sentence_of_the_operator_takes_the_place_of_ours(tmp_path: Path) -> None:
    language = spoken(tmp_path, '"Sign in" = "Log in"\n"We sent a security code to {to} {by}." = "{by}, {to}: a code."')
    assert language.say("Sign in") == "Log in"
    assert (
        language.say("We sent a security code to {to} {by}.", to="a@b.example", by="by email")
        == "by email, a@b.example: a code."
    )
    assert language.say("Sign out") == "Sign out"


def test_it_holds_for_its_language_alone(tmp_path: Path) -> None:
    spoken(tmp_path, '"Sign in" = "Einloggen"', "de")
    words = load_templates(tmp_path, (), code_in_subject=False).page_words
    assert words.applied(negotiate("de-AT")).say("Sign in") == "Einloggen"
    assert words.applied(negotiate("en")).say("Sign in") == "Sign in"
    assert negotiate("de").say("Sign in") != "Einloggen"


def test_a_counted_sentence_has_each_plural_form(tmp_path: Path) -> None:
    language = spoken(tmp_path, f'"{GUESS}" = ["Last try.", "{{number}} tries."]')
    assert language.count(GUESS, GUESSES, 1) == "Last try."
    assert language.count(GUESS, GUESSES, 3) == "3 tries."
    assert "a list of 3 texts" in fault(tmp_path, f'"{GUESS}" = ["Raz.", "{{number}} razy."]', "pl")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"Sign in" = "Log in {site}"', "placeholders must be the same: none"),
        (
            '"We sent a security code to {to} {by}." = "A code went to {to}."',
            "placeholders must be the same: {by}, {to}",
        ),
        ('"We sent a security code to {to} {by}." = "{to.__class__} {by}"', "a brace stands alone"),
        ('"We sent a security code to {to} {by}." = "{to!r} {by}"', "a brace stands alone"),
        ('"We sent a security code to {to} {by}." = "{to:>999999999} {by}"', "a brace stands alone"),
        ('"We sent a security code to {to} {by}." = "{0} {to} {by}"', "a brace stands alone"),
        ('"Sign in" = "{"', "a brace stands alone"),
        ('"Sign inn" = "Log in"', "did you mean “Sign in”?"),
        ('"Sign in" = ""', "expected one line"),
        ('"Sign in" = "a\\nb"', "expected one line"),
        ('"Sign in" = "\\u202etxet"', "expected one line"),
        ('"Sign in" = 1', "expected a text"),
        ('"Sign in" = ["Log in"]', "expected a text"),
        ('[table]\n"Sign in" = "x"', "There is no sentence “table”"),
        ('"Sign in" = ', "It is no TOML"),
        (f'"Sign in" = "{"x" * 601}"', "at most 600 characters"),
    ],
)
def test_a_file_that_would_break_a_page_stops_the_start(tmp_path: Path, text: str, said: str) -> None:
    found = fault(tmp_path, text)
    assert said in found
    assert "pages.en.toml" in found


def test_a_file_for_a_language_that_there_is_not_stops_the_start(tmp_path: Path) -> None:
    assert "There is no language 'xx'" in fault(tmp_path, "", "xx")


def test_values_stand_isolated_where_they_could_turn_a_sentence_round(tmp_path: Path) -> None:
    english, arabic = (spoken(tmp_path, "", tag) for tag in ("en", "ar"))
    sentence = "This signs you out of {site} on this browser."
    assert "\u2068בנק\u2069" in english.say(sentence, site="בנק")
    assert "\u2068Bank\u2069" in arabic.say(sentence, site="Bank")
    assert "\u2068" not in english.say(sentence, site="Bank")
    assert arabic.say(sentence, site="\u2068Bank\u2069").count("\u2068") == 1
