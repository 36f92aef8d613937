"""The content of a message with a code, and the same content sanitised."""

from __future__ import annotations

import msgspec

from countersign.domain.look.theme import Theme
from countersign.domain.shared.application import is_app_hash
from countersign.domain.shared.contact import Channel, Contact
from countersign.messages.custom.sanitize import (
    MAX_ACT,
    MAX_DETAIL,
    MAX_SITE,
    MAX_SUMMARY,
    host_name,
    one_line,
    own_line,
    safe_link,
)


class CodeMessage(msgspec.Struct, frozen=True):
    """What a message with a code says (D6).

    - `locale` is a BCP 47 tag, `timezone` an IANA name.
    - `site` is the application's name for people; `host` is the domain where the code is entered, in ASCII form.
    - `purpose` is a built-in purpose or an operator's own. `summary` says what is being approved, and `asker` is the name of the one
      that asks for it, where `site` is not that application (semantics P4).
    - `names_contact`: the summary is a sentence of ours that names a contact, which must stay as it is to the letter.
    - `asked_at` and `expires_at` are in ms.
    - `device`, `place` and `not_me` (an https address) may be empty. `app_hash` is the hash of the application's Android app, or empty.
    - `theme` gives a mail its colours and the links at its foot.
    """

    key: str
    channel: Channel
    to: Contact
    locale: str
    site: str
    host: str
    purpose: str
    summary: str
    asked_at: int
    expires_at: int
    device: str
    place: str
    not_me: str
    timezone: str = "UTC"
    app_hash: str = ""
    asker: str = ""
    names_contact: bool = False
    theme: Theme = Theme()


def harmless(message: CodeMessage) -> CodeMessage:
    """Return the content with every value from outside on one line, of bounded length and without invisible characters.

    An invalid host name becomes empty, and so does a link that is not https. A site without a name is called by its host.
    """
    host = host_name(message.host)
    return msgspec.structs.replace(
        message,
        site=one_line(message.site, MAX_SITE) or host or "Countersign",
        host=host,
        purpose=one_line(message.purpose, MAX_DETAIL),
        summary=own_line(message.summary, MAX_ACT) if message.names_contact else one_line(message.summary, MAX_SUMMARY),
        asker=one_line(message.asker, MAX_SITE),
        # A line may begin with these two values, and only our own last line may look like the one that binds the code.
        device=one_line(message.device, MAX_DETAIL).lstrip("@ "),
        place=one_line(message.place, MAX_DETAIL).lstrip("@ "),
        not_me=safe_link(message.not_me),
        app_hash=message.app_hash if is_app_hash(message.app_hash) else "",
    )
