"""Writes what an SMS says in the proper and the plain spelling of each language, to be read over; `--check` says what differs."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.pofile import read_po

from countersign.messages.content.notice import WORDINGS
from countersign.messages.content.purposes import ACTS, BIND_MAIL, BIND_PHONE, OTHER
from countersign.messages.language.catalogue import Language, languages, negotiate
from countersign.messages.language.transliteration import SPELLINGS, plainly

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "messages" / "spellings"
LOCALES = ROOT / "src" / "countersign" / "messages" / "locale"
WORD = re.compile(r"[^\W\d_]+")
PLACE = re.compile(r"\{\w+\}")
FURTHER = (
    "Never share it. We never ask for it.",
    "It approves: {summary}",
    "At {time}",
    "Not you? {link}",
    "{browser} on {system}",
)


def sentences(language: Language) -> Iterator[tuple[str, str]]:
    """Yield all that an SMS can say in a language, each with its name: the acts, what goes with them, and the notices."""
    named = {**ACTS, "bind_contact by mail": BIND_MAIL, "bind_contact": BIND_PHONE, "another": OTHER}
    for name, act in named.items():
        yield name, language.say(act.short, code="123456", site="Example", purpose="close account")
    for sentence in FURTHER:
        filled = {"summary": "…", "time": "16:32 UTC", "link": "…", "browser": "Firefox", "system": "Windows"}
        yield sentence, language.say(sentence, **filled)
    for kind, wording in WORDINGS.items():
        told = language.say(wording.short, site="Example", title=language.say(wording.title))
        yield kind.value, f"{told} {language.say(wording.question)}"


def shown(tag: str) -> str:
    """Return the file of one language: each sentence in both spellings where they differ, then the words that meet another."""
    language = negotiate(tag)
    lines: list[str] = []
    told: set[str] = set()
    for name, proper in sentences(language):
        told |= words(proper)
        plain = plainly(proper, tag)
        lines += [f"{name}", f"  {proper}", *([f"  {plain}"] if plain != proper else [])]
    known = vocabulary(tag)
    meeting = sorted(word for word in told if (plain := plainly(word, tag)) != word and plain in known)
    lines += ["", "Words whose plain spelling is also a word of its own here:"]
    lines += [f"  {word}: {plainly(word, tag)}" for word in meeting] or ["  none"]
    return "\n".join(lines) + "\n"


def vocabulary(tag: str) -> set[str]:
    """Return every word of a language's catalogue, in lower case."""
    with (LOCALES / tag / "LC_MESSAGES" / "countersign.po").open("rb") as source:
        catalogue = read_po(source, locale=tag.replace("-", "_"), domain="countersign")
    strings = [message.string or "" for message in catalogue if message.id]
    forms = [form for string in strings for form in ((string,) if isinstance(string, str) else string)]
    return {word for form in forms for word in words(PLACE.sub("", form))}


def words(text: str) -> set[str]:
    """Return the words of a text, in lower case."""
    return {word.lower() for word in WORD.findall(text)}


def main() -> int:
    """Write the file of each language that has a plain spelling, or check them; return 1 if one differs."""
    differing = []
    for tag in sorted(SPELLINGS.keys() & set(languages())):
        path, now = FOLDER / f"{tag}.txt", shown(tag)
        if path.exists() and path.read_text(encoding="utf-8") == now:
            continue
        differing.append(tag)
        if "--check" not in sys.argv[1:]:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(now, encoding="utf-8")
    if "--check" not in sys.argv[1:]:
        return 0
    for tag in differing:
        print(f"{tag}: SMS are spelled otherwise than read over; run tools/spellings.py, and read what has changed.")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
