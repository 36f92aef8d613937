"""Gathers the sentences of messages and pages into the catalogue of each language; `--check` only says what is missing there."""

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from countersign.domain.shared.contact import Channel, Contact, ContactKind
from countersign.domain.verifications.code import Code
from countersign.messages.channels.sms_size import segments
from countersign.messages.content.purposes import ACTS
from countersign.messages.render import CodeMessage, render

SOURCE = Path(__file__).resolve().parent.parent / "src" / "countersign"
MESSAGES = SOURCE / "messages"
PAGES = SOURCE / "web" / "pages"
LOCALES = MESSAGES / "locale"
TEMPLATE = LOCALES / "countersign.pot"
KEYWORDS = {"say": None, "mark": None, "count": (1, 2)}
SOURCE_LANGUAGE = "en"
PLACE = re.compile(r"\{\w+\}")
# Dates and names in the header would make every update a change.
PASSING = (
    "POT-Creation-Date",
    "PO-Revision-Date",
    "Last-Translator",
    "Language-Team",
    "Report-Msgid-Bugs-To",
    "Generated-By",
)


def gathered() -> Catalog:
    """Return every sentence of the modules, with the file that says it."""
    catalogue = Catalog(project="Countersign", version="1", domain="countersign", charset="utf-8", fuzzy=False)
    catalogue.header_comment = "# The sentences of Countersign, gathered by tools/translations.py."
    for path in sorted((*MESSAGES.rglob("*.py"), *PAGES.rglob("*.py"))):
        with path.open("rb") as source:
            for _, sentence, comments, context in extract("python", source, KEYWORDS):
                catalogue.add(sentence, None, [(path.name, 0)], auto_comments=comments, context=context)
    for path in sorted((PAGES / "templates").rglob("*.html")):
        with path.open("rb") as source:
            for _, sentence, comments, context in extract("jinja2.ext:babel_extract", source, KEYWORDS):
                catalogue.add(sentence, None, [(path.name, 0)], auto_comments=comments, context=context)
    return catalogue


def read(path: Path) -> Catalog:
    """Return the catalogue of one language; its name is that of the folder."""
    with path.open("rb") as source:
        return read_po(source, locale=path.parent.parent.name.replace("-", "_"), domain="countersign")


def written(catalogue: Catalog) -> str:
    """Return a catalogue as its file has it, without anything that changes by itself."""
    target = io.BytesIO()
    write_po(target, catalogue, width=120, sort_output=True, include_lineno=False, ignore_obsolete=True)
    lines = target.getvalue().decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(tuple(f'"{name}' for name in PASSING)))


def update() -> None:
    """Write the template, and bring every language to it: new sentences empty, those that are gone dropped."""
    template = gathered()
    TEMPLATE.write_text(written(template), encoding="utf-8")
    for path in sorted(LOCALES.glob("*/LC_MESSAGES/countersign.po")):
        catalogue = read(path)
        # Gathered anew: what is new in a catalogue is the template's own object, and would be said in English everywhere.
        catalogue.update(gathered(), no_fuzzy_matching=True, update_header_comment=True)
        if path.parent.parent.name == SOURCE_LANGUAGE:
            for message in catalogue:
                if message.id:
                    message.string = message.id
        catalogue.project, catalogue.version = template.project, template.version
        path.write_text(written(catalogue), encoding="utf-8")


def faults() -> Iterator[str]:
    """Yield what is wrong in the catalogues, in sentences."""
    wanted = {message.id: message for message in gathered() if message.id}
    if written(gathered()) != TEMPLATE.read_text(encoding="utf-8"):
        yield f"{TEMPLATE.name} is not what the modules say; run tools/translations.py."
    for path in sorted(LOCALES.glob("*/LC_MESSAGES/countersign.po")):
        name, catalogue = path.parent.parent.name, read(path)
        there = {message.id: message for message in catalogue if message.id}
        for sentence in wanted.keys() - there.keys():
            yield f"{name}: {sentence!r} is not there; run tools/translations.py, then translate it."
        for sentence in there.keys() - wanted.keys():
            yield f"{name}: {sentence!r} is said nowhere; run tools/translations.py."
        for message in there.values():
            yield from (f"{name}: {message.id!r} {fault}." for fault in _faults_of(message, catalogue.num_plurals))


def _faults_of(message: Message, forms: int) -> Iterator[str]:
    told = message.string if isinstance(message.string, tuple | list) else (message.string,)
    strings = [string or "" for string in told]
    if "" in strings:
        yield "is not translated"
        return
    if message.fuzzy:
        yield "is translated only by a guess"
    if message.pluralizable and len(strings) != forms:
        yield f"has {len(strings)} plural forms where the language has {forms}"
    wanted = set(PLACE.findall(message.id if isinstance(message.id, str) else message.id[1]))
    for string in strings:
        if set(PLACE.findall(string)) != wanted:
            yield "and its translation do not fill the same places"


def long_ones() -> Iterator[str]:
    """Yield each language and purpose whose SMS needs a second segment with an ordinary site and no summary."""
    for path in sorted(LOCALES.glob("*/LC_MESSAGES/countersign.po")):
        name = path.parent.parent.name
        for purpose in (*ACTS, "bind_contact", "close_account"):
            occasion = CodeMessage(
                key="lint",
                channel=Channel.SMS,
                to=Contact(ContactKind.PHONE, "+14155550123"),
                locale=name,
                site="Ada's Tea Shop",
                host="adasteashop.example",
                purpose=purpose,
                summary="",
                asked_at=0,
                expires_at=600_000,
                device="",
                place="",
                not_me="",
            )
            size = segments(render(occasion, Code("123456")).text)
            if size.segments > 1:
                yield f"{name}: the SMS for {purpose} takes {size.segments} segments ({size.units} units, {size.encoding})."


def main() -> int:
    """Update the catalogues, or check them; return 1 if something is missing. A long SMS is a warning."""
    if "--check" not in sys.argv[1:]:
        update()
    for warning in long_ones():
        print(f"warning: {warning}")
    found = list(faults())
    for fault in found:
        print(fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
