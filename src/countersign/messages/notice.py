"""A notice in words: what happened to an account, when and where, and what to do if it was somebody else; it never holds a code."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.contact import Channel, Contact
from countersign.domain.delivery import Message
from countersign.domain.notice import NoticeKind
from countersign.messages.language import Language, mark, negotiate
from countersign.messages.mail import Letter, as_html, as_text
from countersign.messages.moment import day, time_of_day
from countersign.messages.outside import MAX_DETAIL, MAX_SITE, host_name, one_line, safe_link
from countersign.messages.sms import plain, segments


class News(msgspec.Struct, frozen=True):
    """Who is told what; `at` in ms, `link` the address where to say "not me" or to sign in, empty if there is none."""

    key: str
    kind: NoticeKind
    channel: Channel
    to: Contact
    locale: str
    site: str
    host: str
    at: int
    device: str
    place: str
    link: str
    timezone: str = "UTC"


class Wording(msgspec.Struct, frozen=True):
    """The sentences of one kind, which are also the names of their translations; each takes {site}."""

    title: str
    subject: str
    body: tuple[str, ...]
    question: str
    advice: str
    label: str
    short: str


WORDINGS: Final = {
    NoticeKind.NEW_DEVICE: Wording(
        mark("A new browser signed in to your account"),
        mark("A new browser signed in to your account at {site}"),
        (
            mark(
                "Your password and a code were entered on a browser that your account did not know. If that was you, all is well."
            ),
        ),
        mark("Was this not you?"),
        mark("Then somebody knows your password and can read your messages. End their access now:"),
        mark("This was not me"),
        mark("{site}: a new browser signed in to your account."),
    ),
    NoticeKind.SIGN_UP_KNOWN: Wording(
        mark("You have an account already"),
        mark("You have an account already at {site}"),
        (
            mark(
                "Somebody, perhaps you, wanted to open an account with this address. It has one already, so no code was sent."
            ),
            mark("Nothing was changed, and the page has not told them."),
        ),
        mark("Was it you?"),
        mark("Then sign in to the account that you have:"),
        mark("Sign in"),
        mark("{site}: somebody tried to open an account with your number. You have one already; nothing was changed."),
    ),
}


def render_notice(news: News) -> Message:
    """Return the message, in the language nearest to the account's; no input makes this fail."""
    told = _harmless(news)
    language = negotiate(told.locale)
    subject = html = ""
    if told.channel is Channel.EMAIL:
        written = _letter(told, language)
        subject, text, html = written.subject, as_text(written), as_html(written)
    else:
        text = _short(told, language)
    return Message(
        key=told.key,
        channel=told.channel,
        to=told.to.address,
        locale=language.tag,
        subject=subject,
        text=text,
        html=html,
        sender_name=told.site,
    )


def _letter(told: News, language: Language) -> Letter:
    words, say = WORDINGS[told.kind], language.say
    when = say(
        "{day}, {time}",
        day=day(told.at, told.timezone, language.locale),
        time=time_of_day(told.at, told.timezone, language.locale),
    )
    facts = ((say("When"), when), (say("Device"), told.device), (say("Where, roughly"), told.place))
    warning = say("Nobody from {site} will ever ask you for a code or your password.", site=told.site)
    return Letter(
        language=language.tag,
        direction=language.direction,
        subject=say(words.subject, site=told.site),
        preheader=f"{when}. {warning}",
        site=told.site,
        title=say(words.title),
        approving="",
        summary="",
        code=(),
        valid="",
        only_at="",
        facts=tuple((name, value) for name, value in facts if value),
        warning=warning,
        beware=say("Whoever does, on the phone or in a message, is trying to deceive you."),
        not_you=say(words.question),
        advice=say(words.advice) if told.link else "",
        not_me=told.link,
        not_me_label=say(words.label),
        body=tuple(say(sentence, site=told.site) for sentence in words.body),
    )


def _short(told: News, language: Language) -> str:
    """Return a text for a phone: what happened always, the rest as far as it costs no further segment."""
    words = WORDINGS[told.kind]
    opening = language.say(words.short, site=told.site)
    question = f"{language.say(words.question)} {told.link}" if told.link else ""
    details = ", ".join(part for part in (told.device, told.place) if part)
    needed = plain("\n".join(line for line in (opening, question) if line))
    whole = plain("\n".join(line for line in (opening, details, question) if line))
    return whole if segments(whole).segments <= segments(needed).segments else needed


def _harmless(news: News) -> News:
    host = host_name(news.host)
    return msgspec.structs.replace(
        news,
        site=one_line(news.site, MAX_SITE) or host or "Countersign",
        host=host,
        device=one_line(news.device, MAX_DETAIL).lstrip("@ "),
        place=one_line(news.place, MAX_DETAIL).lstrip("@ "),
        link=safe_link(news.link),
    )
