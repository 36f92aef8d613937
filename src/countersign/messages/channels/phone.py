"""Texts for phones: an SMS of one segment if possible, a WhatsApp message, and the words of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.messages.channels.sms_size import bound_line, plain, segments
from countersign.messages.content.purposes import purpose_text
from countersign.messages.language.datetimes import time_of_day
from countersign.messages.language.transliteration import TransliteratedText, transliterate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countersign.messages.content.code_message import CodeMessage
    from countersign.messages.language.catalogue import Language


def sms(message: CodeMessage, code: str, language: Language) -> TransliteratedText:
    """Return the text of an SMS. Its last line is `@host #code`, after the application's hash if there is one.

    The code, its purpose, the warning, the approved act and the last lines are always included. The application to which the person goes
    on, device, place, time and the "not me" address are added while they cost no further segment, the most useful first.
    """
    act = purpose_text(message.purpose, message.channel)
    opening = language.say(act.short, code=code, site=message.site, purpose=_spaced(message.purpose))
    warning = short_warning(language)
    approves = _approves(message, language)
    ending = for_machines(message, code)

    def whole(*more: str) -> TransliteratedText:
        lines = (f"{opening} {warning}", approves, *more, *ending)
        return transliterate("\n".join(line for line in lines if line), language.tag)

    needed = whole()
    if message.names_contact and segments(needed.text).segments > 1:
        # Without the purpose, which the act says better: it is the same warning in fewer words.
        brief = transliterate("\n".join((_brief(message, code, language), *ending)), language.tag)
        if segments(brief.text).segments < segments(needed.text).segments:
            return brief
    room = segments(needed.text).segments
    for more in _further_lines(message, language):
        fuller = whole(*more)
        if segments(fuller.text).segments <= room:
            return fuller
    return needed


def short_warning(language: Language) -> str:
    """Return the warning of an SMS."""
    return language.say("Never share it. We never ask for it.")


def for_machines(message: CodeMessage, code: str) -> tuple[str, ...]:
    """Return the last lines of an SMS: the hash by which Android finds the application, and the line that binds the code to its domain."""
    return tuple(line for line in (message.app_hash, bound_line(message.host, code)) if line)


def whatsapp(message: CodeMessage, code: str, language: Language) -> str:
    """Return the text of a WhatsApp message: like an SMS without a limit of length and without the line for the domain."""
    act = purpose_text(message.purpose, message.channel)
    asked = time_of_day(message.asked_at, message.timezone, language.locale)
    until = time_of_day(message.expires_at, message.timezone, language.locale)
    lines = [
        language.say(act.short, code=code, site=message.site, purpose=_spaced(message.purpose)),
        _approves(message, language) or continues_to(message, language),
        language.say("Nobody from {site} will ever ask you for this code. Never share it.", site=message.site),
        ", ".join(
            part for part in (language.say("Requested at {time}", time=asked), message.device, message.place) if part
        ),
        language.say("Valid until {time}", time=until),
        _not_you(message, language),
    ]
    return "\n".join(line for line in lines if line)


def voice(message: CodeMessage, code: str, language: Language) -> str:
    """Return the words of a call: the site, the purpose and the warning first, then the code twice, character by character."""
    act = purpose_text(message.purpose, message.channel)
    asked = time_of_day(message.asked_at, message.timezone, language.locale)
    # Every speech engine pauses at commas and full stops, with or without markup.
    spelled = ". ".join(", ".join(group) for group in grouped(code))
    sentences = [
        language.say("Hello, this is {site}.", site=message.site),
        f"{language.say(act.title, purpose=_spaced(message.purpose))}.",
        _approves_aloud(message, language),
        f"{application}." if (application := continues_to(message, language)) else "",
        language.say("Requested at {time}.", time=asked),
        language.say("Device: {device}.", device=message.device) if message.device else "",
        language.say("Location: {place}.", place=message.place) if message.place else "",
        language.say("Nobody from {site} will ever ask you for this code.", site=message.site),
        language.say("If this was not you, hang up and never share the code."),
        language.say("The code is: {spelled}.", spelled=spelled),
        language.say("Once more: {spelled}.", spelled=spelled),
    ]
    return plain(" ".join(sentence for sentence in sentences if sentence))


def continues_to(message: CodeMessage, language: Language) -> str:
    """Return the words that name the application that asks, where there is no act to approve (semantics J6); empty without one."""
    if message.summary or not message.asker:
        return ""
    return language.say("To continue to {application}", application=language.isolated(message.asker))


def _approves(message: CodeMessage, language: Language) -> str:
    """Return the sentence that names the act and the application that asks for it (semantics P4); empty if there is no act."""
    if not message.summary:
        return ""
    if not message.asker:
        return language.say("It approves: {summary}", summary=message.summary)
    return language.say("It approves for {application}: {summary}", application=message.asker, summary=message.summary)


def _brief(message: CodeMessage, code: str, language: Language) -> str:
    """Return the shortest sentences that name the code, the site, the act and who asks for it, and warn."""
    if not message.asker:
        return language.say(
            "{code} approves at {site}: {summary}. Never share it.",
            code=code,
            site=message.site,
            summary=message.summary,
        )
    return language.say(
        "{code} approves for {application} at {site}: {summary}. Never share it.",
        code=code,
        application=message.asker,
        site=message.site,
        summary=message.summary,
    )


def _approves_aloud(message: CodeMessage, language: Language) -> str:
    """Return the same sentence with a full stop, at which every speech engine pauses."""
    if not message.summary:
        return ""
    if not message.asker:
        return language.say("It approves: {summary}.", summary=message.summary)
    return language.say("It approves for {application}: {summary}.", application=message.asker, summary=message.summary)


def grouped(code: str) -> tuple[str, ...]:
    """Return the code in groups of three to five, as people read and remember it: 123 456, 1234 5678, 123 4567."""
    sizes = {6: (3,), 7: (3,), 8: (4,), 9: (3, 3), 10: (5,)}.get(len(code), ())
    groups: list[str] = []
    for size in sizes:
        groups.append(code[:size])
        code = code[size:]
    return (*groups, code)


def _further_lines(message: CodeMessage, language: Language) -> Iterator[tuple[str, ...]]:
    """Yield further lines for an SMS, the most useful variant first: all those with the application that asks, then those without."""
    application = continues_to(message, language)
    if application:
        yield from ((application, *more) for more in _further(message, language))
        yield (application,)
    yield from _further(message, language)


def _further(message: CodeMessage, language: Language) -> Iterator[tuple[str, ...]]:
    """Yield further sentences for an SMS, the longest variant first. The phone shows the time by itself, so ours is dropped first."""
    asked = time_of_day(message.asked_at, message.timezone, language.locale)
    time = language.say("At {time}", time=asked)
    device, place = message.device, message.place
    link = _not_you(message, language)
    for parts in ((time, device, place), (device, place), (time, place), (place,), (device,), (time,)):
        details = ", ".join(part for part in parts if part)
        if link:
            yield details, link
        yield (details,)
    yield (link,)


def _not_you(message: CodeMessage, language: Language) -> str:
    return language.say("Not you? {link}", link=message.not_me) if message.not_me else ""


def _spaced(purpose: str) -> str:
    return purpose.replace("_", " ").replace("-", " ")
