"""The messages of the preview: a code for every purpose by every channel, and every notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.look.theme import Theme
from countersign.domain.shared.contact import Channel, Contact, ContactKind
from countersign.domain.verifications.code import Code
from countersign.domain.verifications.purpose import DEFAULT_POLICIES
from countersign.messages.content.code_message import CodeMessage
from countersign.messages.content.device_name import device_name
from countersign.messages.content.notice import NoticeMessage, render_notice
from countersign.messages.render import render
from countersign.web.preview.sample import (
    CODE,
    DAY,
    HOUR,
    MAIL,
    NOW,
    OTHER_MAIL,
    PLACE,
    SUMMARY,
    USER_AGENT,
    Sample,
)

if TYPE_CHECKING:
    from countersign.domain.delivery.delivery import Message
    from countersign.messages.custom.custom_templates import CustomTemplates

PHONE: Final = "+447700900123"
_LINK: Final = "https://verify.example.org/not-me?ref=ver_1.x"
_LINKS: Final = {
    NoticeKind.SIGN_UP_KNOWN: "https://verify.example.org/sign-in",
    NoticeKind.RECOVER_UNKNOWN: "https://verify.example.org/recover",
    NoticeKind.RECOVER_TOO_NEW: "https://verify.example.org/recover",
    NoticeKind.ACCOUNT_LOCKED: "https://verify.example.org/recover",
    NoticeKind.ACCOUNT_ERASED: "",
}
"""Where notices lead that do not report what they tell of."""
_NOTICE_CHANNELS: Final = (Channel.EMAIL, Channel.SMS)
_METHOD: Final = "MacBook"
_ABOUT_A_CONTACT: Final = frozenset(
    {
        NoticeKind.CONTACT_ASKED,
        NoticeKind.CONTACT_ADDED,
        NoticeKind.CONTACT_REPLACED,
        NoticeKind.CONTACT_PRIMARY,
        NoticeKind.CONTACT_REMOVED,
        NoticeKind.ACCESS_ASKED,
        NoticeKind.ACCESS_WAITS,
        NoticeKind.ACCESS_RECOVERED,
    }
)


class MessageState(msgspec.Struct, frozen=True):
    """One message: an id for its address, what to call it, and the function that writes it."""

    id: str
    name: str
    write: Callable[[Sample, Theme, CustomTemplates], Message]


def message_states() -> tuple[MessageState, ...]:
    """Return every message that there is."""
    codes = (
        _code(purpose, channel, act=act)
        for purpose in DEFAULT_POLICIES
        for channel in Channel
        for act in ((False, True) if purpose == "step_up" else (False,))
    )
    return (*codes, *(_notice(kind, channel) for kind in NoticeKind for channel in _NOTICE_CHANNELS))


def _to(channel: Channel) -> Contact:
    return Contact(ContactKind.MAIL, MAIL) if channel is Channel.EMAIL else Contact(ContactKind.PHONE, PHONE)


def _code(purpose: str, channel: Channel, *, act: bool) -> MessageState:
    def write(sample: Sample, theme: Theme, own: CustomTemplates) -> Message:
        message = CodeMessage(
            key="preview",
            channel=channel,
            to=_to(channel),
            locale=sample.language.tag,
            site=sample.site,
            host=sample.host,
            purpose=purpose,
            summary=SUMMARY if act else "",
            asked_at=NOW,
            expires_at=NOW + HOUR // 6,
            device=device_name(USER_AGENT, sample.language.tag),
            place=PLACE,
            not_me=_LINK,
            asker=sample.asker if act else sample.application,
            theme=theme,
        )
        return render(message, Code(CODE), own)

    ending = "-act" if act else ""
    name = f"{purpose.replace('_', ' ')} by {channel.value}{' for an act' if act else ''}"
    return MessageState(f"code-{purpose}-{channel.value}{ending}", name, write)


def _notice(kind: NoticeKind, channel: Channel) -> MessageState:
    gathered = ((NoticeKind.NEW_DEVICE, 2), (NoticeKind.CONTACT_ADDED, 1)) if kind is NoticeKind.GATHERED else ()

    def write(sample: Sample, theme: Theme, _: CustomTemplates) -> Message:
        return render_notice(
            NoticeMessage(
                key="preview",
                kind=kind,
                channel=channel,
                to=_to(channel),
                locale=sample.language.tag,
                site=sample.site,
                host=sample.host,
                at=NOW,
                device="" if gathered else device_name(USER_AGENT, sample.language.tag),
                place=PLACE,
                link=_LINKS.get(kind, _LINK),
                about=_METHOD,
                contact=OTHER_MAIL if kind in _ABOUT_A_CONTACT else "",
                due_at=NOW + 7 * DAY if kind is NoticeKind.DELETION_ASKED else 0,
                gathered=gathered,
                theme=theme,
            )
        )

    return MessageState(
        f"notice-{kind.value}-{channel.value}", f"{kind.value.replace('_', ' ')} by {channel.value}", write
    )
