"""Occasions for the tests of messages: an ordinary one, of which a test changes what it is about."""

import msgspec

from countersign.domain.shared.contact import Channel, Contact, ContactKind
from countersign.domain.verifications.code import Code
from countersign.messages.render import CodeMessage

TWELVE = {"en", "ar", "de", "es", "fr", "he", "it", "ja", "nl", "pl", "pt", "tr"}
"""The languages that are meant to be there; a test holds for those of them that are."""

FROM_RIGHT_TO_LEFT = {"ar", "he"}
OTHER_SCRIPTS = {"ar", "he", "ja"}
"""Those whose letters the default alphabet of SMS has none of: each takes sixteen bits."""

ASKED_AT = 1_795_451_520_000  # 2026-11-23 16:32:00 UTC
CODE = Code("123456")

ORDINARY = CodeMessage(
    key="ver_1.0.0",
    channel=Channel.EMAIL,
    to=Contact(ContactKind.MAIL, "ada@example.org"),
    locale="en",
    site="Ada's Tea Shop",
    host="adasteashop.example",
    purpose="sign_in",
    summary="",
    asked_at=ASKED_AT,
    expires_at=ASKED_AT + 600_000,
    device="Firefox on Windows",
    place="203.0.113.x",
    not_me="https://adasteashop.example/not-me/ver_1",
)


def occasion(channel: Channel = Channel.EMAIL, **changes: Contact | str | int) -> CodeMessage:
    """Return the ordinary occasion with these fields changed."""
    if channel is not Channel.EMAIL:
        changes.setdefault("to", Contact(ContactKind.PHONE, "+14155550123"))
    return msgspec.structs.replace(ORDINARY, channel=channel, **changes)
