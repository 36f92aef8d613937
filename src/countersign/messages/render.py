"""Rendering: an occasion and its code become the message that a provider is handed."""

from __future__ import annotations

from countersign.domain.code import Code
from countersign.domain.contact import Channel
from countersign.domain.delivery import Message
from countersign.messages.hints import hint
from countersign.messages.language import languages, negotiate
from countersign.messages.mail import as_html, as_text, letter
from countersign.messages.occasion import Occasion, harmless
from countersign.messages.phone import sms, voice, whatsapp

__all__ = ["Occasion", "hint", "languages", "render"]

_SPOKEN_AND_CHATTED = {Channel.VOICE: voice, Channel.WHATSAPP: whatsapp}


def render(occasion: Occasion, code: Code) -> Message:
    """Return the message, in the language nearest to the occasion's locale; no input makes this fail.

    Mail has a subject (one line, without the code), text and HTML; the other channels have text alone. `sender_name` is the
    site's name, on one line.
    """
    told = harmless(occasion)
    language = negotiate(told.locale)
    subject = html = ""
    if told.channel is Channel.EMAIL:
        written = letter(told, code.reveal(), language)
        subject, text, html = written.subject, as_text(written), as_html(written)
    elif told.channel is Channel.SMS:
        text = sms(told, code.reveal(), language).text
    else:
        text = _SPOKEN_AND_CHATTED[told.channel](told, code.reveal(), language)
    return Message(
        key=told.key,
        channel=told.channel,
        to=told.to.address,
        locale=language.tag,
        subject=subject,
        text=text,
        html=html,
        sender_name=told.site,
        code=code.reveal(),
    )
