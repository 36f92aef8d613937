"""The text of a notice: what happened to an account, when and where, and what to do if it was somebody else. It never holds a code."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Message
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.look.theme import Theme
from countersign.domain.shared.contact import Channel, Contact
from countersign.messages.channels.email import EmailText, as_html, as_text
from countersign.messages.channels.sms_size import segments
from countersign.messages.content.site_links import labelled_links
from countersign.messages.custom.sanitize import MAX_ACT, MAX_DETAIL, MAX_SITE, host_name, one_line, own_line, safe_link
from countersign.messages.language.catalogue import Language, mark, negotiate
from countersign.messages.language.datetimes import day, time_of_day
from countersign.messages.language.transliteration import transliterate


class NoticeMessage(msgspec.Struct, frozen=True):
    """The content of a notice. `at` is in ms, `link` is the address for "not me" or for going on (or empty), `about` a mask or a name.

    `contact` is the contact that it tells of, whole; it stands in the place of `about`. `due_at` (ms) is when what it tells of
    will happen, or 0.

    `gathered` are the kinds of notices that it tells of, with how many of each, if it tells of others.
    """

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
    about: str = ""
    timezone: str = "UTC"
    gathered: tuple[tuple[NoticeKind, int], ...] = ()
    contact: str = ""
    due_at: int = 0
    theme: Theme = Theme()


class Wording(msgspec.Struct, frozen=True):
    """The English sentences of one kind of notice, which are also the keys of their translations. Each may use {site} and {about}.

    A notice without a `subject` or `short` of its own uses its title there. `dated` says when something will happen, on {day}.
    """

    title: str
    body: tuple[str, ...]
    question: str = mark("Not you?")
    advice: str = mark(
        "Then someone else has got into your account. Take it back now. This signs everyone out and undoes what was changed, where we can:"
    )
    label: str = mark("This was not me")
    subject: str = mark("{title} at {site}")
    short: str = mark("{site}: {title}.")
    dated: str = ""


_STOP: Final = mark("Stop it now:")
_STOP_LABEL: Final = mark("Stop it")
_TO_RECOVER: Final = mark("Recover your account")

WORDINGS: Final = {
    NoticeKind.NEW_DEVICE: Wording(
        mark("A new browser signed in to your account"),
        (
            mark(
                "Someone entered your password and a code on a browser your account did not know. If that was"
                " you, you do not need to do anything."
            ),
        ),
        mark("Not you?"),
        mark("Then someone knows your password and can read your messages. End their access now:"),
        mark("This was not me"),
        mark("A new browser signed in to your account at {site}"),
        mark("{site}: a new browser signed in to your account."),
    ),
    NoticeKind.SIGN_UP_KNOWN: Wording(
        mark("You already have an account"),
        (
            mark(
                "Someone, perhaps you, tried to create an account with this email address. It already has one, so we sent no code."
            ),
            mark("Nothing was changed. The page did not tell them whether there is an account."),
        ),
        mark("Was this you?"),
        mark("Sign in to the account you have:"),
        mark("Sign in"),
        mark("You already have an account at {site}"),
        mark("{site}: someone tried to create an account with your number. You already have one. Nothing was changed."),
    ),
    NoticeKind.RECOVER_UNKNOWN: Wording(
        mark("No account found"),
        (
            mark("Someone, perhaps you, tried to recover an account with this email address. No account uses it."),
            mark("Nothing was changed. The page did not tell them whether there is an account."),
        ),
        mark("Was this you?"),
        mark("Try another email address or phone number, one you signed up with:"),
        _TO_RECOVER,
    ),
    NoticeKind.RECOVER_TOO_NEW: Wording(
        mark("Your contact details are too new to recover your account"),
        (
            mark(
                "They were added less than 7 days ago. Until 7 days have passed, they cannot recover the account alone. So we sent no code."
            ),
        ),
        mark("Was this you?"),
        mark("Use contact details you have had for longer, or a recovery code:"),
        _TO_RECOVER,
    ),
    NoticeKind.CONTACT_ASKED: Wording(
        mark("Someone asked to add contact details to your account"),
        (mark("{about} has not been added yet. It must be confirmed first."),),
    ),
    NoticeKind.CONTACT_ADDED: Wording(
        mark("Contact details were added to your account"),
        (mark("Codes can now go to {about}. You can undo this for 7 days."),),
    ),
    NoticeKind.CONTACT_REPLACED: Wording(
        mark("Contact details were replaced on your account"),
        (mark("Codes now go to {about} instead of the old contact details. You can undo this for 7 days."),),
    ),
    NoticeKind.CONTACT_PRIMARY: Wording(
        mark("Your main contact details were changed"),
        (mark("We now send codes to {about} first. You can undo this for 7 days."),),
    ),
    NoticeKind.CONTACT_REMOVED: Wording(
        mark("Contact details were removed from your account"),
        (mark("Codes no longer go to {about}. You can undo this for 7 days."),),
    ),
    NoticeKind.PASSWORD_CHANGED: Wording(
        mark("Your password was changed"),
        (mark("Every other browser was signed out, and no browser is trusted now."),),
    ),
    NoticeKind.PASSWORD_RECOVERED: Wording(
        mark("Your password was reset"),
        (
            mark(
                "Someone who can read your messages chose a new one. Every browser was signed out, and this did not sign anyone in."
            ),
        ),
    ),
    NoticeKind.METHOD_ADDED: Wording(
        mark("A sign-in method was added to your account"),
        (mark("“{about}” can now confirm that it’s you. You can undo this for 7 days."),),
    ),
    NoticeKind.METHOD_REMOVED: Wording(
        mark("A sign-in method was removed from your account"),
        (mark("We no longer ask for “{about}”. You can undo this for 7 days."),),
    ),
    NoticeKind.RECOVERY_CODES_MADE: Wording(
        mark("Your account has new recovery codes"),
        (mark("The old ones no longer work. You can undo this for 7 days."),),
    ),
    NoticeKind.RECOVERY_CODE_USED: Wording(
        mark("A recovery code for your account was used"),
        (mark("Each works once. Your account shows how many are left."),),
    ),
    NoticeKind.PASSKEY_REFUSED: Wording(
        mark("A passkey on your account was refused"),
        (
            mark(
                "“{about}” may have been copied, because another device seems to use it too. Nobody was signed"
                " in. If you use it on only one device, remove it from your account and add a new one."
            ),
        ),
    ),
    NoticeKind.INTEGRATION_CODE_MADE: Wording(
        mark("An integration code was created in your account"),
        (mark("“{about}” lets a program act for you, within its scopes. You can revoke it in your account."),),
    ),
    NoticeKind.INTEGRATION_CODE_ROTATED: Wording(
        mark("An integration code on your account was renewed"),
        (mark("“{about}” has a new code. The old one works for one more day."),),
    ),
    NoticeKind.ACCESS_ASKED: Wording(
        mark("Someone says they lost access to your account"),
        (
            mark("If nobody stops it, whoever uses {about} can take over your account in 7 days."),
            mark("If that is you, you do not need to do anything."),
        ),
        mark("Not you?"),
        _STOP,
        _STOP_LABEL,
    ),
    NoticeKind.ACCESS_WAITS: Wording(
        mark("Someone is still waiting to take over your account"),
        (mark("If nobody stops it, whoever uses {about} can take over your account once the 7 days are over."),),
        mark("Not you?"),
        _STOP,
        _STOP_LABEL,
    ),
    NoticeKind.ACCESS_RECOVERED: Wording(
        mark("Your account was taken over after the waiting time"),
        (mark("It has a new password, and codes now go to {about}. You can undo this for 7 days."),),
    ),
    NoticeKind.CHANGE_UNDONE: Wording(
        mark("A change to your account was undone"),
        (mark("Everything is as it was before that change."),),
    ),
    NoticeKind.GATHERED: Wording(
        mark("There was more activity in your account"),
        (mark("Your account shows each of them under “Activity”."),),
    ),
    NoticeKind.ACCESS_ASKED_AGAIN: Wording(
        mark("Someone says again that they lost access to your account"),
        (
            mark(
                "If nobody stops it, they can take over your account 7 days after they asked. Your account shows each request."
            ),
        ),
        mark("Not you?"),
        _STOP,
        _STOP_LABEL,
    ),
    NoticeKind.DETAILS_CHANGED: Wording(
        mark("Your name or language was changed"),
        (mark("This was changed in your account. If the language was changed, later messages are in the new one."),),
    ),
    NoticeKind.DELETION_ASKED: Wording(
        mark("Your account will be deleted"),
        (
            mark("Someone who was signed in asked for this and confirmed it with a code."),
            mark(
                "If that was you, you do not need to do anything. To keep your account, sign in and cancel the deletion."
            ),
        ),
        mark("Not you?"),
        mark("Stop the deletion now. This also signs everyone out, and you choose a new password:"),
        mark("Keep my account"),
        mark("Your account at {site} will be deleted"),
        dated=mark("Your account will be deleted on {day}."),
    ),
    NoticeKind.DELETION_CANCELED: Wording(
        mark("Your account will not be deleted"),
        (mark("The deletion was cancelled, or the account was changed after the request. You keep your account."),),
    ),
    NoticeKind.ACCOUNT_ERASED: Wording(
        mark("Your account was deleted"),
        (
            mark("Your details, contact details and history were erased. Nobody can undo this."),
            mark("You can create a new account with the same contact details at any time."),
        ),
    ),
    NoticeKind.DATA_EXPORTED: Wording(
        mark("Your account data was downloaded"),
        (
            mark(
                "The file contains everything we store about you, such as your contact details and where you signed in."
            ),
        ),
    ),
    NoticeKind.ACCOUNT_LOCKED: Wording(
        mark("Your account is locked until you choose a new password"),
        (
            mark(
                "Someone who can read your messages reported that something was not them. We signed everyone out"
                " and undid what was changed since, where we could."
            ),
        ),
        mark("What to do next"),
        mark("Choose a new password. Nobody can sign in with the old one:"),
        _TO_RECOVER,
    ),
}


def render_notice(notice: NoticeMessage) -> Message:
    """Return the message in the language nearest to the account's. No input makes this fail."""
    clean = _harmless(notice)
    language = negotiate(clean.locale)
    subject = html = ""
    if clean.channel is Channel.EMAIL:
        written = _letter(clean, language)
        subject, text, html = written.subject, as_text(written), as_html(written)
    else:
        text = _short(clean, language)
    return Message(
        key=clean.key,
        channel=clean.channel,
        to=clean.to.address,
        locale=language.tag,
        subject=subject,
        text=text,
        html=html,
        sender_name=clean.site,
    )


def _letter(clean: NoticeMessage, language: Language) -> EmailText:
    words, say, apart = WORDINGS[clean.kind], language.say, language.isolated
    when = say(
        "{day}, {time}",
        day=apart(day(clean.at, clean.timezone, language.locale)),
        time=apart(time_of_day(clean.at, clean.timezone, language.locale)),
    )
    facts = (
        (say("When"), when),
        (say("Device"), apart(clean.device)),
        (say("Approximate location"), apart(clean.place) or say("Unknown location")),
    )
    warning = say("Nobody from {site} will ever ask you for a code or your password.", site=apart(clean.site))
    return EmailText(
        language=language.tag,
        direction=language.direction,
        subject=say(words.subject, site=clean.site, title=say(words.title)),
        preheader=f"{when}. {warning}",
        site=clean.site,
        title=say(words.title),
        approving="",
        summary="",
        code=(),
        valid="",
        only_at="",
        facts=tuple((name, value) for name, value in facts if value),
        warning=warning,
        beware=say("Anyone who asks, by phone or in a message, is trying to trick you."),
        not_you=say(words.question) if clean.link else "",
        advice=say(words.advice) if clean.link else "",
        not_me=clean.link,
        not_me_label=say(words.label),
        theme=clean.theme,
        links=labelled_links(clean.theme.links, language),
        body=(
            *_gathered(clean, language),
            *((dated,) if (dated := _dated(clean, language)) else ()),
            *(say(sentence, site=clean.site, about=f"\u2066{clean.about}\u2069") for sentence in words.body),
        ),
    )


def _gathered(clean: NoticeMessage, language: Language) -> tuple[str, ...]:
    """Return how many things a message tells of, then a line for each kind of them."""
    if not clean.gathered:
        return ()
    total = sum(count for _, count in clean.gathered)
    return (
        language.count(
            "{number} more thing happened in your account. It came too soon after others for its own message:",
            "{number} more things happened in your account. They were too many for a message each:",
            total,
        ),
        *(
            f"{language.say(WORDINGS[kind].title)} ({language.isolated(str(count))})"
            for kind, count in clean.gathered
            if kind in WORDINGS
        ),
    )


def _dated(clean: NoticeMessage, language: Language) -> str:
    """Return when what a notice tells of will happen, in a sentence; empty if nothing will."""
    words = WORDINGS[clean.kind]
    if not words.dated or not clean.due_at:
        return ""
    return language.say(words.dated, day=language.isolated(day(clean.due_at, clean.timezone, language.locale)))


def _short(clean: NoticeMessage, language: Language) -> str:
    """Return the text for a phone: always what happened, and further sentences while they cost no further segment."""
    words = WORDINGS[clean.kind]
    due = day(clean.due_at, clean.timezone, language.locale) if clean.due_at else ""
    opening = language.say(words.short, site=clean.site, title=language.say(words.title), due=due)
    question = f"{language.say(words.question)} {clean.link}" if clean.link else ""
    details = ", ".join(part for part in (clean.device, clean.place) if part)
    needed = transliterate("\n".join(line for line in (opening, question) if line), language.tag).text
    whole = transliterate("\n".join(line for line in (opening, details, question) if line), language.tag).text
    return whole if segments(whole).segments <= segments(needed).segments else needed


def _harmless(notice: NoticeMessage) -> NoticeMessage:
    host = host_name(notice.host)
    return msgspec.structs.replace(
        notice,
        site=one_line(notice.site, MAX_SITE) or host or "Countersign",
        host=host,
        about=own_line(notice.contact, MAX_ACT) if notice.contact else one_line(notice.about, MAX_DETAIL).lstrip("@ "),
        device=one_line(notice.device, MAX_DETAIL).lstrip("@ "),
        place=one_line(notice.place, MAX_DETAIL).lstrip("@ "),
        link=safe_link(notice.link),
    )
