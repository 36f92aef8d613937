"""A language: its catalogue of sentences, compiled in memory from the .po files, and its direction and formats."""

from __future__ import annotations

import gettext
import re
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from itertools import takewhile
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.resources.abc import Traversable

DOMAIN: Final = "countersign"
FALLBACK: Final = "en"

_FORMER_CODES: Final = {"iw": "he", "in": "id", "ji": "yi", "jw": "jv", "mo": "ro"}
"""Codes of languages that ISO 639 withdrew, and that older phones and programs still send."""
_MAX_TAG: Final = 35  # RFC 5646, 4.4.1: room for every tag in ordinary use
_ISOLATES: Final = ("", "\u2066", "\u2067", "\u2068")
_RTL: Final = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_REGION: Final = re.compile(r"[A-Z]{2}|[0-9]{3}")
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")


Words: TypeAlias = "Mapping[str, tuple[str, ...]]"
"""Sentences in place of ours, by the English one. A counted sentence has one text for each plural form."""


class Catalogue(Protocol):
    """Gives the translation of a sentence."""

    def gettext(self, message: str) -> str:
        """Return the translation."""
        ...

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """Return the plural form that fits `n`."""
        ...


class Language:
    """A language with a region's format of times, and the time zone of its reader.

    `tag` is for the attribute `lang`, `direction` (ltr, rtl) for `dir`. `timezone` is an IANA name.
    """

    __slots__ = ("_apart", "_catalogue", "direction", "locale", "tag", "timezone")

    def __init__(self, tag: str, locale: Locale, timezone: str = "UTC") -> None:
        self.timezone = timezone
        self.tag = tag
        self.locale = locale
        self.direction: str = locale.text_direction
        self._catalogue: Catalogue = _catalogue(tag)
        self._apart = False

    def of_pages(self, words: Words) -> Language:
        """Return this language as pages speak it: `words` replace our sentences, and each value stands isolated in its sentence."""
        spoken = Language(self.tag, self.locale, self.timezone)
        spoken._apart = True
        if words:
            spoken._catalogue = _Reworded(_catalogue(self.tag), words)
        return spoken

    def in_zone(self, timezone: str) -> Language:
        """Return the language with the times of another time zone; as it is if none is given."""
        if not timezone:
            return self
        spoken = Language(self.tag, self.locale, timezone)
        spoken._apart, spoken._catalogue = self._apart, self._catalogue
        return spoken

    def say(self, sentence: str, /, **values: str) -> str:
        """Return the sentence in this language with its {placeholders} filled in. Values are never read as placeholders."""
        return self._catalogue.gettext(sentence).format_map(self._kept_apart(values))

    def count(self, one: str, many: str, number: int, /, **values: str) -> str:
        """Return the plural form of the sentence that fits `number`, which fills {number}."""
        filled = {"number": str(number), **self._kept_apart(values)}
        return self._catalogue.ngettext(one, many, number).format_map(filled)

    def _kept_apart(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Return values that cannot drag their neighbours to the wrong side, if pages speak (UAX 9, 2.3)."""
        if not self._apart:
            return values
        return {
            name: f"\u2068{value}\u2069"
            if value[:1] not in _ISOLATES and (self.direction == "rtl" or _RTL.search(value))
            else value
            for name, value in values.items()
        }

    def isolated(self, value: str) -> str:
        """Return a value isolated from the sentence around it, if that runs from right to left (UAX 9, 2.3).

        Otherwise a Latin name or a time would drag its neighbours, such as a full stop or a number, to the wrong side.
        """
        return f"\u2068{value}\u2069" if value and self.direction == "rtl" else value


class _Reworded:
    """A catalogue in which some sentences are an operator's."""

    __slots__ = ("_form", "_ours", "_words")

    def __init__(self, ours: gettext.GNUTranslations, words: Words) -> None:
        self._ours = ours
        self._words = words
        self._form: Callable[[int], int] = getattr(ours, "plural")  # noqa: B009 - the type stubs do not know it

    def gettext(self, message: str) -> str:
        found = self._words.get(message)
        return self._ours.gettext(message) if found is None else found[0]

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        found = self._words.get(msgid1)
        return self._ours.ngettext(msgid1, msgid2, n) if found is None else found[self._form(n)]


def mark(sentence: str) -> str:
    """Return the sentence unchanged. The call marks it for translation where a table holds it."""
    return sentence


@cache
def languages() -> tuple[str, ...]:
    """Return the tags of all languages, the fallback first."""
    found = {entry.name for entry in _folder().iterdir() if entry.is_dir()}
    return (FALLBACK, *sorted(found - {FALLBACK}))


@cache
def sentences() -> Mapping[str, str | None]:
    """Return every English sentence, with its plural if it is a counted one."""
    known: dict[str, str | None] = {}
    for message in _read(FALLBACK):
        if isinstance(message.id, list | tuple):
            known[message.id[0]] = message.id[1]
        elif message.id:
            known[message.id] = None
    return known


@cache
def plural_forms(tag: str) -> int:
    """Return how many plural forms a language has."""
    return _read(tag).num_plurals


def untranslated(tag: str) -> int:
    """Return how many sentences a language has no translation for."""
    strings = [message.string for message in _read(tag) if message.id]
    return sum(not all(string if isinstance(string, list | tuple) else (string,)) for string in strings)


def canonical_tag(tag: str) -> str:
    """Return a language tag as BCP 47 has it: `pt_BR` and `pt_BR.UTF-8` become `pt-BR`, and the withdrawn `iw` becomes `he`."""
    first, *rest = re.split("[.@]", tag.strip(), maxsplit=1)[0].replace("_", "-").split("-")
    return "-".join((_FORMER_CODES.get(first.lower(), first), *rest))


def region_of(tag: str) -> str:
    """Return the country of a language tag: the one it names, else the one where most of its speakers live; empty if it is not known.

    >>> region_of("de-AT"), region_of("de")
    ('AT', 'DE')

    """
    parts = canonical_tag(tag[:_MAX_TAG]).split("-")
    subtags = takewhile(
        lambda part: len(part) > 1, parts[1:]
    )  # what follows a single letter is no country (RFC 5646, 2.2.6)
    named = next((part.upper() for part in subtags if _COUNTRY.fullmatch(part)), "")
    likely = str(get_global("likely_subtags").get(parts[0].lower(), ""))
    return named or likely.rpartition("_")[2]


def negotiate(locale: str) -> Language:
    """Return the language nearest to a BCP 47 tag (RFC 4647, 3.4: lookup), or English. It never raises.

    `de-AT` speaks German and writes times as Austria does. `en-GB` writes 16:32 where `en` writes 4:32 PM.
    """
    return _negotiated(locale[:_MAX_TAG])


@lru_cache(maxsize=512)
def _negotiated(locale: str) -> Language:
    parts = canonical_tag(locale).split("-")
    ours = {tag.lower(): tag for tag in languages()}
    for end in range(len(parts), 0, -1):
        tag = ours.get("-".join(parts[:end]).lower())
        if tag is not None:
            return Language(tag, _regional(tag, parts[end:]))
    return Language(FALLBACK, Locale.parse(FALLBACK))


def _regional(tag: str, subtags: list[str]) -> Locale:
    region = next((part.upper() for part in subtags if _REGION.fullmatch(part.upper())), None)
    if region is not None:
        try:
            return Locale.parse(f"{tag}_{region}", sep="_")
        except (UnknownLocaleError, ValueError):
            pass
    return Locale.parse(tag, sep="-")


@cache
def _catalogue(tag: str) -> gettext.GNUTranslations:
    compiled = BytesIO()
    write_mo(compiled, _read(tag))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _read(tag: str) -> Catalog:
    with (_folder() / tag / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as source:
        return read_po(source, locale=tag.replace("-", "_"), domain=DOMAIN)


def _folder() -> Traversable:
    return files("countersign.messages") / "locale"
