"""An occasion: everything a message with a code has to say, and the same made harmless for whoever reads it."""

from __future__ import annotations

import msgspec

from countersign.domain.shared.application import is_app_hash
from countersign.domain.shared.contact import Channel, Contact
from countersign.messages.custom.sanitize import MAX_DETAIL, MAX_SITE, MAX_SUMMARY, host_name, one_line, safe_link


class CodeMessage(msgspec.Struct, frozen=True):
    """Who is told what, about which act (D6).

    `locale` is a BCP 47 tag; `site` the application's name for people; `host` the domain where the code is typed, in ASCII
    form; `purpose` one of the known purposes or an operator's own name; `summary` what is being approved; `asked_at` and
    `expires_at` are in ms; `device`, `place` and `not_me` (an https address) may be empty; `timezone` is an IANA name;
    `app_hash` is that of the application's Android app, or empty.
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


def harmless(occasion: CodeMessage) -> CodeMessage:
    """Return the occasion with all that came from outside on one line each, bounded, with nothing invisible in it.

    A host that is no host name and a link that is not https become empty; a site without a name goes by its host.
    """
    host = host_name(occasion.host)
    return msgspec.structs.replace(
        occasion,
        site=one_line(occasion.site, MAX_SITE) or host or "Countersign",
        host=host,
        purpose=one_line(occasion.purpose, MAX_DETAIL),
        summary=one_line(occasion.summary, MAX_SUMMARY),
        # A line may begin with these two, and no line but ours begins like the one that binds the code.
        device=one_line(occasion.device, MAX_DETAIL).lstrip("@ "),
        place=one_line(occasion.place, MAX_DETAIL).lstrip("@ "),
        not_me=safe_link(occasion.not_me),
        app_hash=occasion.app_hash if is_app_hash(occasion.app_hash) else "",
    )
