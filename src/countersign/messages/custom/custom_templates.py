"""The operator's own templates: a folder that is checked as a whole at the start and replaces our texts."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Final

import msgspec
import structlog

from countersign.errors import SettingsError
from countersign.messages.channels.email import full_warning
from countersign.messages.channels.phone import short_warning
from countersign.messages.content.code_message import CodeMessage
from countersign.messages.content.purposes import ACTS, purpose_text
from countersign.messages.custom.page_words import FILE_NAME, OUR_WORDS, PageWords, read_page_words
from countersign.messages.custom.sanitize import MAX_DETAIL, MAX_LINK, MAX_SITE, MAX_SUMMARY, one_line
from countersign.messages.custom.template_rules import Checked, Outline, TemplateFaultError, compiled
from countersign.messages.language.catalogue import Language, Words, languages, negotiate
from countersign.messages.language.datetimes import time_of_day

MAX_FILE: Final = 65_536
"""Maximum size of a template in bytes."""

MAX_FILES: Final = 500


class Part(StrEnum):
    """The part of a message that a template replaces. The value is the end of its file's name, without the language."""

    SMS = "sms.txt"
    SUBJECT = "mail.subject.txt"
    TEXT = "mail.txt"
    HTML = "mail.html"


LONGEST: Final = {Part.SMS: 1_000, Part.SUBJECT: 400, Part.TEXT: 20_000, Part.HTML: 100_000}
"""Maximum length of each part in characters, whatever its values are. Mail clients cut off HTML of more than about 100 kB."""

_NAME: Final = re.compile(
    r"(?:(?P<purpose>[a-z][a-z0-9_-]*)\.)?(?P<what>sms|mail\.subject|mail)(?:\.(?P<tag>[A-Za-z0-9-]+))?\.(?P<kind>txt|html)"
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_BINDING: Final = re.compile(r"^\s*@.*#", re.MULTILINE)
_ACT: Final = ACTS["change_contact"]
_OPTIONAL: Final = ("summary", "device", "place", "host", "not_me")
_SAMPLE: Final = {
    "site": "Example",
    "code": "481516",
    "summary": "Change e-mail to a***@example.org",
    "device": "Firefox on Windows",
    "place": "203.0.113.9",
    "time": "16:32 UTC",
    "until": "16:42 UTC",
    "host": "example.org",
    "not_me": "https://example.org/not-me?ref=1",
}
_HOSTILE: Final = "x onerror=y 'z' \"z\" <b c=d> --> url(x) }{ {{ site }}"

_log = structlog.get_logger("countersign.messages")


class _Own(msgspec.Struct, frozen=True):
    file: str
    template: Checked


class CustomTemplates:
    """The templates of an operator. Each method returns None where our own text applies."""

    __slots__ = ("_code_in_subject", "_templates", "page_words")

    def __init__(
        self,
        templates: Mapping[tuple[str, Part, str], _Own],
        *,
        code_in_subject: bool,
        page_words: PageWords = OUR_WORDS,
    ) -> None:
        self.page_words = page_words
        self._templates = templates
        self._code_in_subject = code_in_subject

    def file(self, part: Part, purpose: str, tag: str) -> str:
        """Return the name of the file for a part, or "" if our own text applies. The nearest language wins, then the purpose."""
        own = self._nearest(part, purpose, tag)
        return own.file if own else ""

    def sms(self, message: CodeMessage, code: str, language: Language) -> str | None:
        """Return the text of an SMS with the warning but without the last lines, which are always ours."""
        warning = short_warning(language)
        text = self._filled(Part.SMS, message, code, language, warning)
        if text is None:
            return None
        text = "\n".join(line for line in (part.strip() for part in text.splitlines()) if line)
        return text if warning in text else f"{text}\n{warning}"

    def subject(self, message: CodeMessage, code: str, language: Language) -> str | None:
        """Return the subject of a mail on one line."""
        text = self._filled(Part.SUBJECT, message, code, language, full_warning(message, language))
        return None if text is None else one_line(text, LONGEST[Part.SUBJECT])

    def text(self, message: CodeMessage, code: str, language: Language) -> str | None:
        """Return the text part of a mail."""
        text = self._filled(Part.TEXT, message, code, language, full_warning(message, language))
        return None if text is None else f"{text.strip()}\n"

    def html(self, message: CodeMessage, code: str, language: Language) -> str | None:
        """Return the HTML part of a mail."""
        return self._filled(Part.HTML, message, code, language, full_warning(message, language))

    def _nearest(self, part: Part, purpose: str, tag: str) -> _Own | None:
        for key in ((purpose, part, tag), ("", part, tag), (purpose, part, ""), ("", part, "")):
            if (own := self._templates.get(key)) is not None:
                return own
        return None

    def _filled(self, part: Part, message: CodeMessage, code: str, language: Language, warning: str) -> str | None:
        own = self._nearest(part, message.purpose, language.tag)
        if own is None:
            return None
        values = _values(message, code, language, warning)
        try:
            text = own.template.fill(values)
            fault = _fault(part, text, values, code_in_subject=self._code_in_subject)
        except Exception as error:  # noqa: BLE001 - a code must arrive, whatever breaks in words that are not ours
            fault = type(error).__name__
            text = ""
        if not fault and not _names_act(part, message, text):
            fault = "it does not name the act and the application that asks"
        if fault:
            _log.error("template_unused", template=own.file, reason=fault)
            return None
        return text


DEFAULT_TEMPLATES: Final = CustomTemplates({}, code_in_subject=False)
"""No templates of an operator: every text is ours."""


def load_templates(folder: Path | None, purposes: Collection[str], *, code_in_subject: bool) -> CustomTemplates:
    """Return the templates of a folder. Raises SettingsError with the file and line of every fault.

    A file's name is `[PURPOSE.]PART[.LANGUAGE].KIND`, for example `sms.txt`, `sms.de.txt` or `sign_in.mail.subject.txt`. The words of
    pages are in `pages.LANGUAGE.toml`.
    """
    if folder is None:
        return DEFAULT_TEMPLATES
    faults: list[str] = []
    templates: dict[tuple[str, Part, str], _Own] = {}
    words: dict[str, Words] = {}
    for path in _files(folder):
        try:
            if (named := FILE_NAME.fullmatch(path.name)) is not None:
                words[named["tag"]] = read_page_words(_source(path), named["tag"])
                continue
            key = _key(path.name, purposes)
            templates[key] = _Own(path.name, _checked(path, key, code_in_subject=code_in_subject))
        except TemplateFaultError as fault:
            where = f"{path.name}, line {fault.line}" if fault.line else path.name
            faults.append(f"messages.folder: {where}: {fault}")
    if faults:
        raise SettingsError("\n".join(faults))
    return CustomTemplates(templates, code_in_subject=code_in_subject, page_words=PageWords(words))


def _files(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise SettingsError(f"messages.folder: {folder} cannot be read; expected a folder of templates.") from error
    if len(found) > MAX_FILES:
        raise SettingsError(f"messages.folder: {folder} has more than {MAX_FILES} files.")
    return found


def _key(name: str, purposes: Collection[str]) -> tuple[str, Part, str]:
    match = _NAME.fullmatch(name)
    if match is None or (match["kind"] == "html" and match["what"] != "mail"):
        raise TemplateFaultError(
            0,
            "The name says no part of a message; there are sms.txt, mail.subject.txt, mail.txt, mail.html and pages.en.toml.",
        )
    purpose, tag = match["purpose"] or "", match["tag"] or ""
    if purpose and purpose not in purposes:
        raise TemplateFaultError(0, f"There is no purpose {purpose!r}; there are {', '.join(sorted(purposes))}.")
    if tag and tag not in languages():
        raise TemplateFaultError(0, f"There is no language {tag!r}; there are {', '.join(languages())}.")
    return purpose, Part(f"{match['what']}.{match['kind']}"), tag


def _source(path: Path) -> str:
    try:
        with path.open("rb") as file:
            given = file.read(MAX_FILE + 1)
    except OSError as error:
        raise TemplateFaultError(0, "It cannot be read.") from error
    if len(given) > MAX_FILE:
        raise TemplateFaultError(0, f"It is longer than {MAX_FILE} bytes.")
    try:
        source = given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateFaultError(len(given[: error.start].split(b"\n")), "It is not UTF-8.") from error
    if found := _CONTROL.search(source):
        raise TemplateFaultError(_line(source, found[0]), "It has a control character.")
    return source


def _checked(path: Path, key: tuple[str, Part, str], *, code_in_subject: bool) -> Checked:
    _, part, tag = key
    source = _source(path)
    template = compiled(source, html=part is Part.HTML)
    if part is Part.SUBJECT and "code" in template.names and not code_in_subject:
        raise TemplateFaultError(
            _line(source, "code"),
            "A subject is shown on locked screens; to put the code there, set messages.code_in_subject.",
        )
    if part is not Part.SUBJECT and "code" not in template.names:
        raise TemplateFaultError(1, "It never says {{ code }}.")
    for values in _samples((tag,) if tag else languages()):
        try:
            text = template.fill(values)
        except Exception as error:  # whatever its type, the template is at fault
            raise TemplateFaultError(1, f"It cannot be filled: {type(error).__name__}.") from error
        if fault := _fault(part, text, values, code_in_subject=code_in_subject):
            lacking = ", ".join(name for name in _OPTIONAL if not values[name])
            when = f" where {lacking} is empty" if lacking else ""
            raise TemplateFaultError(1, f"In {values['language']}{when}: {fault}.")
    if part is Part.HTML:
        _check_html(source, template)
    return template


def _fault(part: Part, text: str, values: Mapping[str, str], *, code_in_subject: bool) -> str:
    """Return the fault of a filled template, or ""."""
    if len(text) > LONGEST[part]:
        return f"it comes to more than {LONGEST[part]} characters"
    if part is Part.SUBJECT:
        if not text.strip():
            return "it says nothing"
        return "it says the code" if values["code"] in text and not code_in_subject else ""
    if values["code"] not in text:
        return "it does not say the code"
    if part is Part.SMS:
        return "a line of it looks like the one that binds the code" if _BINDING.search(text) else ""
    warning = _escaped(values["warning"]) if part is Part.HTML else values["warning"]
    return "" if warning in text else "it does not say {{ warning }}"


def _names_act(part: Part, message: CodeMessage, text: str) -> bool:
    """Return True if the text of an act names it, and the application that asks for it (semantics P4). A subject need not."""
    if not message.summary or part is Part.SUBJECT:
        return True
    needed = (message.summary, message.asker or message.site)
    return all((_escaped(one) if part is Part.HTML else one).casefold() in text.casefold() for one in needed)


def _escaped(text: str) -> str:
    """Return the text as jinja2 escapes it."""
    return html.escape(text, quote=False).replace('"', "&#34;").replace("'", "&#39;")


def _check_html(source: str, template: Checked) -> None:
    """Check that a mail fetches and runs nothing, and that no value can become an element, an attribute or a style."""
    plain = {**next(_samples((languages()[0],)))}
    hostile = {
        **plain,
        **dict.fromkeys(("site", "act", "summary", "device", "place", "time", "until", "host"), _HOSTILE),
    }
    ordinary, pressed = Outline(template.fill(plain)), Outline(template.fill(hostile))
    if ordinary.faults:
        tag, fault = ordinary.faults[0]
        raise TemplateFaultError(_line(source, f"<{tag}"), fault)
    if (ordinary.elements, ordinary.unseen) != (pressed.elements, pressed.unseen) or pressed.faults:
        raise TemplateFaultError(
            1,
            "A variable stands where its value could become markup: put quotes round attributes, and none in a style or comment.",
        )


def _line(source: str, word: str) -> int:
    found = max(source.lower().find(word), 0)
    return len(source[:found].split("\n"))


def _samples(tags: Collection[str]) -> Iterator[dict[str, str]]:
    """Yield sample values: all present, each missing in turn, all missing, and all of maximum length."""
    for tag in tags:
        language = negotiate(tag)
        words = {
            "act": language.say(_ACT.title),
            "warning": short_warning(language),
            "language": tag,
            "direction": language.direction,
        }
        for there in product((True, False), repeat=len(_OPTIONAL)):
            lacking = {name: "" for name, is_there in zip(_OPTIONAL, there, strict=True) if not is_there}
            yield {**_SAMPLE, **words, **lacking}
        yield {**_SAMPLE, **words, "code": "7KQ4WXYB"}
        longest = {"site": MAX_SITE, "summary": MAX_SUMMARY, "device": MAX_DETAIL, "place": MAX_DETAIL, "host": 253}
        filled = {name: "&" * most for name, most in longest.items()}
        yield {**_SAMPLE, **words, **filled, "act": "&" * 120, "not_me": "&" * MAX_LINK}


def _values(message: CodeMessage, code: str, language: Language, warning: str) -> dict[str, str]:
    purpose = message.purpose.replace("_", " ").replace("-", " ")
    return {
        "site": message.site,
        "act": language.say(purpose_text(message.purpose, message.channel).title, purpose=purpose),
        "code": code,
        "summary": f"{message.asker}: {message.summary}" if message.asker and message.summary else message.summary,
        "device": message.device,
        "place": message.place,
        "time": time_of_day(message.asked_at, message.timezone, language.locale),
        "until": time_of_day(message.expires_at, message.timezone, language.locale),
        "host": message.host,
        "not_me": message.not_me,
        "warning": warning,
        "language": language.tag,
        "direction": language.direction,
    }
