"""A notice: a message without a code that tells people what happened to their account."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.shared.contact import ContactKind

NOTICE_PREFIX: Final = "ntc_"
"""The prefix of notice ids. The owner of a delivery is a notice if its id begins with this."""
LIFETIME: Final = 7 * 86_400_000
"""Milliseconds after which an unsent notice is no longer sent."""


CONTACT_FACT: Final = "contact"
"""The fact of a notice that holds the id of the contact that it was sent to."""
ZONE_FACT: Final = "zone"
"""The fact of a notice that holds the time zone in which it is written, if the account has one."""
DUE_FACT: Final = "due"
"""The fact of a notice that holds when (ms) what it tells of will happen."""
TOLD_AT_FACT: Final = "told_at"
"""When (ms) the newest of the notices was made that one message tells of: its link is as old as that."""
PROVED_BY_FACT: Final = "by"
"""The fact of a notice that holds the id of the contact or authenticator by which the act was proved; left out if none was.

A message about several notices holds all of theirs, with a space between."""


class NoticeKind(StrEnum):
    """The subject of a notice. GATHERED and ACCESS_ASKED_AGAIN tell of notices that were held: of acts, or of what strangers asked for."""

    NEW_DEVICE = "new_device"
    SIGN_UP_KNOWN = "sign_up_known"
    RECOVER_UNKNOWN = "recover_unknown"
    RECOVER_TOO_NEW = "recover_too_new"
    CONTACT_ASKED = "contact_asked"
    CONTACT_ADDED = "contact_added"
    CONTACT_REPLACED = "contact_replaced"
    CONTACT_PRIMARY = "contact_primary"
    CONTACT_REMOVED = "contact_removed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of a kind
    PASSWORD_RECOVERED = "password_recovered"  # noqa: S105
    METHOD_ADDED = "method_added"
    METHOD_REMOVED = "method_removed"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    PASSKEY_REFUSED = "passkey_refused"
    INTEGRATION_CODE_MADE = "integration_code_made"
    INTEGRATION_CODE_ROTATED = "integration_code_rotated"
    ACCESS_ASKED = "access_asked"
    ACCESS_WAITS = "access_waits"
    ACCESS_RECOVERED = "access_recovered"
    CHANGE_UNDONE = "change_undone"
    ACCOUNT_LOCKED = "account_locked"
    GATHERED = "gathered"
    ACCESS_ASKED_AGAIN = "access_asked_again"
    DETAILS_CHANGED = "details_changed"
    DELETION_ASKED = "deletion_asked"
    DELETION_CANCELED = "deletion_canceled"
    ACCOUNT_ERASED = "account_erased"
    DATA_EXPORTED = "data_exported"


_VALUES: Final = frozenset(kind.value for kind in NoticeKind)


def gathered_counts(notice: Notice) -> tuple[tuple[NoticeKind, int], ...]:
    """Return which kinds of notices one tells of, and how many of each; empty if it tells of itself."""
    pairs = (pair.partition(":") for pair in notice.facts.get("kinds", "").split(",") if pair)
    return tuple((NoticeKind(name), int(count)) for name, _, count in pairs if name in _VALUES)


class Notice(msgspec.Struct, frozen=True):
    """A notice to one contact. Times are in ms. `to` is sealed. `facts` hold the browser, the place and the like, never a code.

    `about` is the contact that the notice tells of, sealed and whole; the facts hold its mask.

    One that is beyond its contact's budget has no delivery. It waits until `held_until` and is told together with others, by the notice
    `gathered_by`.
    """

    id: str
    account: str
    application: str
    kind: NoticeKind
    to: bytes
    to_kind: ContactKind
    masked: str
    locale: str
    facts: dict[str, str]
    created_at: int
    expires_at: int
    about: bytes | None = None
    held_until: int | None = None
    gathered_by: str = ""

    def __repr__(self) -> str:
        """Show only what may be logged."""
        return f"Notice({self.id}, {self.kind.value})"
