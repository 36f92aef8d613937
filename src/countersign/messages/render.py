"""Renders a code message as the message that a provider sends."""

from __future__ import annotations

from countersign.domain.delivery.delivery import Message
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.code import Code
from countersign.messages.channels.email import as_html, as_text, letter
from countersign.messages.channels.phone import for_machines, sms, voice, whatsapp
from countersign.messages.content.code_message import CodeMessage, harmless
from countersign.messages.content.hints import hint
from countersign.messages.custom.custom_templates import DEFAULT_TEMPLATES, CustomTemplates
from countersign.messages.language.catalogue import Language, languages, negotiate
from countersign.messages.language.transliteration import TransliteratedText, transliterate

__all__ = ["CodeMessage", "hint", "languages", "render", "render_sms"]

_SPOKEN_AND_CHATTED = {Channel.VOICE: voice, Channel.WHATSAPP: whatsapp}


def render(message: CodeMessage, code: Code, own: CustomTemplates = DEFAULT_TEMPLATES) -> Message:
    """Return the message in the language nearest to the locale of the code message. No input makes this fail.

    Mail has a subject (one line, without the code), text and HTML. The other channels have text alone. `sender_name` is the site's name on
    one line. `own` holds the operator's templates, which replace ours where there are any.
    """
    clean = harmless(message)
    language = negotiate(clean.locale)
    typed = code.reveal()
    subject = html = ""
    if clean.channel is Channel.EMAIL:
        written = letter(clean, typed, language)
        subject = own.subject(clean, typed, language) or written.subject
        text = own.text(clean, typed, language) or as_text(written)
        html = own.html(clean, typed, language) or as_html(written)
    elif clean.channel is Channel.SMS:
        text = _sms(clean, typed, language, own).text
    else:
        text = _SPOKEN_AND_CHATTED[clean.channel](clean, typed, language)
    return Message(
        key=clean.key,
        channel=clean.channel,
        to=clean.to.address,
        locale=language.tag,
        subject=subject,
        text=text,
        html=html,
        sender_name=clean.site,
        code=typed,
        has_act=bool(clean.summary),
    )


def render_sms(message: CodeMessage, code: Code, own: CustomTemplates = DEFAULT_TEMPLATES) -> TransliteratedText:
    """Return the text of the SMS that `render` makes, and how it is spelled."""
    clean = harmless(message)
    return _sms(clean, code.reveal(), negotiate(clean.locale), own)


def _sms(clean: CodeMessage, code: str, language: Language, own: CustomTemplates) -> TransliteratedText:
    body = own.sms(clean, code, language)
    if body is None:
        return sms(clean, code, language)
    return transliterate("\n".join((body, *for_machines(clean, code))), language.tag)
