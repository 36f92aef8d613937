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


def render(occasion: CodeMessage, code: Code, own: CustomTemplates = DEFAULT_TEMPLATES) -> Message:
    """Return the message in the language nearest to the locale of the code message. No input makes this fail.

    Mail has a subject (one line, without the code), text and HTML. The other channels have text alone. `sender_name` is the site's name on
    one line. `own` holds the operator's templates, which replace ours where there are any.
    """
    told = harmless(occasion)
    language = negotiate(told.locale)
    typed = code.reveal()
    subject = html = ""
    if told.channel is Channel.EMAIL:
        written = letter(told, typed, language)
        subject = own.subject(told, typed, language) or written.subject
        text = own.text(told, typed, language) or as_text(written)
        html = own.html(told, typed, language) or as_html(written)
    elif told.channel is Channel.SMS:
        text = _sms(told, typed, language, own).text
    else:
        text = _SPOKEN_AND_CHATTED[told.channel](told, typed, language)
    return Message(
        key=told.key,
        channel=told.channel,
        to=told.to.address,
        locale=language.tag,
        subject=subject,
        text=text,
        html=html,
        sender_name=told.site,
        code=typed,
    )


def render_sms(occasion: CodeMessage, code: Code, own: CustomTemplates = DEFAULT_TEMPLATES) -> TransliteratedText:
    """Return the text of the SMS that `render` makes, and how it is spelled."""
    told = harmless(occasion)
    return _sms(told, code.reveal(), negotiate(told.locale), own)


def _sms(told: CodeMessage, code: str, language: Language, own: CustomTemplates) -> TransliteratedText:
    body = own.sms(told, code, language)
    if body is None:
        return sms(told, code, language)
    return transliterate("\n".join((body, *for_machines(told, code))), language.tag)
