"""The text of a mail with a code or a notice. Two templates, text and HTML, only lay it out."""

from __future__ import annotations

from typing import Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from countersign.domain.look.colour import mix, readable
from countersign.domain.look.palette import Palette
from countersign.domain.look.theme import Theme
from countersign.messages.channels.phone import grouped
from countersign.messages.content.code_message import CodeMessage
from countersign.messages.content.purposes import purpose_text
from countersign.messages.content.site_links import labelled_links
from countersign.messages.language.catalogue import Language
from countersign.messages.language.datetimes import day, time_of_day

_MINUTE: Final = 60_000
_LONGEST_IN_MINUTES: Final = 120

_TEMPLATES: Final = Environment(
    loader=PackageLoader("countersign.messages", "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
# A mail client shows the start of the body after the preheader, which would be the code. This filler takes that place.
_TEMPLATES.globals["filler"] = "\u034f\u200c\u00a0" * 80
_HTML: Final = _TEMPLATES.get_template("letter.html")
_TEXT: Final = _TEMPLATES.get_template("letter.txt")


class _Colours(msgspec.Struct, frozen=True):
    """The colours of a theme in a mail."""

    accent: str
    tint: str


_LIGHT: Final = _Colours("#0b5f73", "#eef6f8")
_DARK: Final = _Colours("#7cc7d8", "#14262c")
_LIGHT_CARD: Final = "#ffffff"
_DARK_CARD: Final = "#182026"
_TINT: Final = 0.08


class EmailText(msgspec.Struct, frozen=True):
    """Everything that a mail says, as plain sentences in one language without markup."""

    language: str
    direction: str
    subject: str
    preheader: str
    site: str
    title: str
    approving: str
    summary: str
    code: tuple[str, ...]
    valid: str
    only_at: str
    facts: tuple[tuple[str, str], ...]
    warning: str
    beware: str
    not_you: str
    advice: str
    not_me: str
    not_me_label: str
    body: tuple[str, ...] = ()
    theme: Theme = Theme()
    links: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Hide the text: it contains the code."""
        return "Letter(hidden)"


def letter(message: CodeMessage, code: str, language: Language) -> EmailText:
    """Return the text of a mail for a code message that is sanitised already."""
    act = purpose_text(message.purpose, message.channel)
    purpose = message.purpose.replace("_", " ").replace("-", " ")
    site, say, apart = message.site, language.say, language.isolated
    asked_on = day(message.asked_at, message.timezone, language.locale)
    asked_at = time_of_day(message.asked_at, message.timezone, language.locale)
    facts = (
        (say("To continue to"), "" if message.summary else apart(message.asker)),
        (say("When"), say("{day}, {time}", day=apart(asked_on), time=apart(asked_at))),
        (say("Device"), apart(message.device)),
        (say("Approximate location"), apart(message.place) or say("Unknown location")),
    )
    valid = _valid(message, language)
    warning = full_warning(message, language)
    return EmailText(
        language=language.tag,
        direction=language.direction,
        subject=say(act.subject, site=site, purpose=purpose),
        preheader=f"{valid} {warning}",
        site=site,
        title=say(act.title, purpose=purpose),
        approving=say("What this approves for {application}", application=apart(message.asker))
        if message.asker
        else say("What this approves"),
        summary=message.summary,
        code=grouped(code),
        valid=valid,
        only_at=say("Enter it only at {host}.", host=apart(message.host)) if message.host else "",
        facts=tuple((name, value) for name, value in facts if value),
        warning=warning,
        beware=say("Anyone who asks, by phone or in a message, is trying to trick you."),
        not_you=say("Not you?"),
        advice=say("Do not share the code with anyone. Let us know:")
        if message.not_me
        else say("Do not share the code with anyone. Nothing happens without it, so you can ignore this message."),
        not_me=message.not_me,
        not_me_label=say("This was not me"),
        theme=message.theme,
        links=labelled_links(message.theme.links, language),
    )


def full_warning(message: CodeMessage, language: Language) -> str:
    """Return the warning of a mail."""
    return language.say("Nobody from {site} will ever ask you for this code.", site=language.isolated(message.site))


def as_html(text: EmailText) -> str:
    """Return the HTML part, in the colours of its theme."""
    return _HTML.render(letter=text, light=_colours(text.theme.light, _LIGHT), dark=_colours(text.theme.dark, _DARK))


def as_text(text: EmailText) -> str:
    """Return the text part."""
    return _TEXT.render(letter=text)


def _colours(palette: Palette | None, ours: _Colours) -> _Colours:
    """Return the colours of a palette as they can be read on the card of a mail, which is always ours."""
    if palette is None:
        return ours
    card = _LIGHT_CARD if ours is _LIGHT else _DARK_CARD
    accent = readable(palette.accent, lambda colour: (card, mix(card, colour, _TINT)))
    return _Colours(accent, mix(card, accent, _TINT))


def _valid(message: CodeMessage, language: Language) -> str:
    until = language.isolated(time_of_day(message.expires_at, message.timezone, language.locale))
    minutes = (message.expires_at - message.asked_at) // _MINUTE
    if 0 < minutes <= _LONGEST_IN_MINUTES:
        return language.count(
            "Valid until {time}, {number} minute after it was requested.",
            "Valid until {time}, {number} minutes after it was requested.",
            minutes,
            time=until,
        )
    until_day = language.isolated(day(message.expires_at, message.timezone, language.locale))
    return language.say("Valid until {day}, {time}.", day=until_day, time=until)
