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
    question: str = mark("Was this not you?")
    advice: str = mark(
        "Then somebody has got into your account. Take it back now: what was changed is undone, everybody is signed out:"
    )
    label: str = mark("This was not me")
    subject: str = mark("{title} at {site}")
    short: str = mark("{site}: {title}.")
    dated: str = ""


_STOP: Final = mark("Then stop it now:")
_STOP_LABEL: Final = mark("Stop it")
_TO_RECOVER: Final = mark("Recover an account")

WORDINGS: Final = {
    NoticeKind.NEW_DEVICE: Wording(
        mark("A new browser signed in to your account"),
        (
            mark(
                "Your password and a code were entered on a browser that your account did not know. If that was you, all is well."
            ),
        ),
        mark("Was this not you?"),
        mark("Then somebody knows your password and can read your messages. End their access now:"),
        mark("This was not me"),
        mark("A new browser signed in to your account at {site}"),
        mark("{site}: a new browser signed in to your account."),
    ),
    NoticeKind.SIGN_UP_KNOWN: Wording(
        mark("You have an account already"),
        (
            mark(
                "Somebody, perhaps you, wanted to open an account with this address. It has one already, so no code was sent."
            ),
            mark("Nothing was changed, and the page has not told them."),
        ),
        mark("Was it you?"),
        mark("Then sign in to the account that you have:"),
        mark("Sign in"),
        mark("You have an account already at {site}"),
        mark("{site}: somebody tried to open an account with your number. You have one already; nothing was changed."),
    ),
    NoticeKind.RECOVER_UNKNOWN: Wording(
        mark("No account was found here"),
        (
            mark("Somebody, perhaps you, wanted to recover an account with this address. There is none with it."),
            mark("Nothing was changed, and the page has not told them."),
        ),
        mark("Was it you?"),
        mark("Then try another address or number, one that you signed up with:"),
        _TO_RECOVER,
    ),
    NoticeKind.RECOVER_TOO_NEW: Wording(
        mark("This contact is too new to recover your account"),
        (
            mark(
                "It was added less than seven days ago. Until then it cannot recover the account alone, so no code was sent."
            ),
        ),
        mark("Was it you?"),
        mark("Then use an older contact, or a recovery code:"),
        _TO_RECOVER,
    ),
    NoticeKind.CONTACT_ASKED: Wording(
        mark("A new contact was asked for in your account"),
        (mark("{about} is to be added. It is not yet: it has to be confirmed first."),),
    ),
    NoticeKind.CONTACT_ADDED: Wording(
        mark("A contact was added to your account"),
        (mark("{about} gets codes from now on. You can undo this for 7 days."),),
    ),
    NoticeKind.CONTACT_REPLACED: Wording(
        mark("A contact of your account was replaced"),
        (mark("{about} gets codes from now on, in place of the old one. You can undo this for 7 days."),),
    ),
    NoticeKind.CONTACT_PRIMARY: Wording(
        mark("The first contact of your account was changed"),
        (mark("Codes go to {about} first from now on. You can undo this for 7 days."),),
    ),
    NoticeKind.CONTACT_REMOVED: Wording(
        mark("A contact was removed from your account"),
        (mark("{about} gets no more codes. You can undo this for 7 days."),),
    ),
    NoticeKind.PASSWORD_CHANGED: Wording(
        mark("The password of your account was changed"),
        (mark("All other sessions have ended, and no browser is trusted any more."),),
    ),
    NoticeKind.PASSWORD_RECOVERED: Wording(
        mark("The password of your account was replaced"),
        (mark("Somebody who can read your messages chose a new one. All sessions have ended; nobody was signed in."),),
    ),
    NoticeKind.METHOD_ADDED: Wording(
        mark("A way to confirm was added to your account"),
        (mark("“{about}” confirms that it is you from now on. You can undo this for 7 days."),),
    ),
    NoticeKind.METHOD_REMOVED: Wording(
        mark("A way to confirm was removed from your account"),
        (mark("“{about}” is not asked for any more. You can undo this for 7 days."),),
    ),
    NoticeKind.RECOVERY_CODES_MADE: Wording(
        mark("Your account has new recovery codes"),
        (mark("The old ones are worth nothing now. You can undo this for 7 days."),),
    ),
    NoticeKind.RECOVERY_CODE_USED: Wording(
        mark("A recovery code of your account was used"),
        (mark("Each works once. See in your account how many are left."),),
    ),
    NoticeKind.PASSKEY_REFUSED: Wording(
        mark("A passkey of your account was refused"),
        (
            mark(
                "“{about}” may have been copied: another device seems to use it too. Nobody was signed in. If you use it on one device alone,"
                " remove it in your account and add a new one."
            ),
        ),
    ),
    NoticeKind.INTEGRATION_CODE_MADE: Wording(
        mark("An integration code was made in your account"),
        (mark("“{about}” lets a program act for you, as far as its scopes say. You can revoke it in your account."),),
    ),
    NoticeKind.INTEGRATION_CODE_ROTATED: Wording(
        mark("An integration code of your account was renewed"),
        (mark("“{about}” has a new code. The old one works for one more day."),),
    ),
    NoticeKind.ACCESS_ASKED: Wording(
        mark("Somebody says that they lost access to your account"),
        (
            mark("If nobody stops it, {about} can take over the account in 7 days."),
            mark("If that is you, you need not do anything."),
        ),
        mark("Was this not you?"),
        _STOP,
        _STOP_LABEL,
    ),
    NoticeKind.ACCESS_WAITS: Wording(
        mark("Somebody still waits to take over your account"),
        (mark("If nobody stops it, {about} can take over the account when 7 days are over."),),
        mark("Was this not you?"),
        _STOP,
        _STOP_LABEL,
    ),
    NoticeKind.ACCESS_RECOVERED: Wording(
        mark("Your account was taken over after the waiting time"),
        (mark("It has a new password and gets its codes at {about}. You can undo this for 7 days."),),
    ),
    NoticeKind.CHANGE_UNDONE: Wording(
        mark("A change of your account was undone"),
        (mark("What was changed is as it was before."),),
    ),
    NoticeKind.GATHERED: Wording(
        mark("More happened in your account"),
        (mark("Your account shows each of them under “Activity”."),),
    ),
    NoticeKind.ACCESS_ASKED_AGAIN: Wording(
        mark("Somebody says again that they lost access to your account"),
        (
            mark(
                "If nobody stops it, they can take over the account 7 days after they asked. Your account shows each request."
            ),
        ),
        mark("Was this not you?"),
        _STOP,
        _STOP_LABEL,
    ),
    NoticeKind.DETAILS_CHANGED: Wording(
        mark("Your name or language was changed"),
        (mark("It was changed in your account. If you changed the language, later messages are in the new one."),),
    ),
    NoticeKind.DELETION_ASKED: Wording(
        mark("Your account will be deleted"),
        (
            mark("Somebody who was signed in asked for this and confirmed it with a code."),
            mark(
                "If that was you, you do not need to do anything. To keep your account, sign in and cancel the deletion."
            ),
        ),
        mark("Was this not you?"),
        mark("Stop the deletion now. This also signs everybody out, and you choose a new password:"),
        mark("Keep my account"),
        mark("Your account at {site} will be deleted"),
        dated=mark("Your account will be deleted on {day}."),
    ),
    NoticeKind.DELETION_CANCELED: Wording(
        mark("Your account will not be deleted"),
        (mark("The deletion was canceled, or the account was changed after it was asked for. You keep your account."),),
    ),
    NoticeKind.ACCOUNT_ERASED: Wording(
        mark("Your account was deleted"),
        (
            mark("Your details, contacts and history were erased. Nobody can undo this."),
            mark("You can open a new account with the same contacts at any time."),
        ),
    ),
    NoticeKind.DATA_EXPORTED: Wording(
        mark("The data of your account was downloaded"),
        (mark("The file holds everything that we store about you, such as your contacts and where you signed in."),),
    ),
    NoticeKind.ACCOUNT_LOCKED: Wording(
        mark("Your account is closed until you choose a new password"),
        (
            mark(
                "Somebody who reads your messages said that something was not them. Everybody was signed out. What was changed since was undone, if it could be."
            ),
        ),
        mark("What now?"),
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
        (say("Where, roughly"), apart(clean.place) or say("Unknown place")),
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
        beware=say("Whoever does, on the phone or in a message, is trying to deceive you."),
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
            "{number} more thing happened in your account. It was too soon after others for a message of its own:",
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
