"""The operator's own words for sentences of pages: a file for each language, checked as a whole at the start."""

from __future__ import annotations

import difflib
import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

import msgspec

from countersign.messages.custom.template_rules import TemplateFaultError
from countersign.messages.language.catalogue import Language, Words, languages, plural_forms, sentences

MAX_SENTENCE: Final = 600
"""Characters of a sentence."""

FILE_NAME: Final = re.compile(r"pages\.(?P<tag>[A-Za-z0-9-]+)\.toml")

_NAME: Final = re.compile(r"[a-z_]+")
# Controls, and marks of direction that would not end with the sentence.
_REFUSED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ufeff]")


class PageWords(msgspec.Struct, frozen=True):
    """The operator's sentences by the tag of their language."""

    by_language: Mapping[str, Words] = {}

    def applied(self, language: Language) -> Language:
        """Return the language as pages speak it: with these words, and with values kept apart from sentences."""
        return language.of_pages(self.by_language.get(language.tag, {}))


OUR_WORDS: Final = PageWords()


def read_page_words(source: str, tag: str) -> Words:
    """Return the sentences of a file `pages.LANGUAGE.toml`, by the sentences that they replace.

    Raises TemplateFaultError, with the line, for an unknown sentence or language, and for placeholders that differ.
    """
    if tag not in languages():
        raise TemplateFaultError(0, f"There is no language {tag!r}; there are {', '.join(languages())}.")
    try:
        document = tomllib.loads(source)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TemplateFaultError(0, f"It is no TOML: {error}.") from error
    return {sentence: _checked(source, sentence, written, tag) for sentence, written in document.items()}


def _checked(source: str, sentence: str, written: object, tag: str) -> tuple[str, ...]:
    line = _line(source, sentence)
    known = sentences()
    if sentence not in known:
        close = difflib.get_close_matches(sentence, known, n=1, cutoff=0.75)
        meant = f"; did you mean “{close[0]}”?" if close else "."
        raise TemplateFaultError(line, f"There is no sentence “{sentence}”{meant}")
    counted = known[sentence] is not None
    given = written if isinstance(written, list) else [written]
    forms = tuple(form for form in given if isinstance(form, str))
    needed = plural_forms(tag) if counted else 1
    if len(forms) != needed or len(given) != needed or counted is not isinstance(written, list):
        what = f"a list of {needed} texts, one for each plural form" if counted else "a text"
        raise TemplateFaultError(line, f"“{sentence}”: expected {what}.")
    for form in forms:
        _check_form(line, sentence, form, counted=counted)
    return forms


def _check_form(line: int, sentence: str, form: str, *, counted: bool) -> None:
    if not form.strip() or len(form) > MAX_SENTENCE or _REFUSED.search(form):
        raise TemplateFaultError(
            line, f"“{sentence}”: expected one line of at most {MAX_SENTENCE} characters without control characters."
        )
    try:
        found = set(_placeholders(form))
    except ValueError:
        raise TemplateFaultError(
            line, f"“{sentence}”: a brace stands alone; write {{{{ for one that is no placeholder."
        ) from None
    expected = set(_placeholders(sentence))
    optional = {"number"} if counted else set()
    if not expected - optional <= found <= expected:
        names = ", ".join(f"{{{name}}}" for name in sorted(expected)) or "none"
        raise TemplateFaultError(line, f"“{sentence}”: its placeholders must be the same: {names}.")


def _placeholders(sentence: str) -> Iterator[str]:
    """Yield the names of placeholders. Raises ValueError for one that reaches into its value or formats it."""
    for _, name, form, conversion in string.Formatter().parse(sentence):
        if name is None:
            continue
        if form or conversion or not _NAME.fullmatch(name):
            raise ValueError("placeholder")
        yield name


@cache
def _escapes() -> Mapping[int, str]:
    return str.maketrans({"\\": "\\\\", '"': '\\"'})


def _line(source: str, sentence: str) -> int:
    place = max(source.find(sentence.translate(_escapes())), source.find(sentence), 0)
    return source.count("\n", 0, place) + 1
