"""Reads the settings of the mailbox that bounces come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from countersign.errors import SettingsError
from countersign.providers.email.bounce_mailbox import MailboxSettings


def read_mailbox(value: Callable[[str, Any], Any], faults: list[str]) -> MailboxSettings | None:
    """Return the mailbox, None where none is set; what is wrong is added to `faults`."""
    found = {name: value(f"bounces.imap_{name}", None) for name in MailboxSettings.__struct_fields__}
    given = {name: one for name, one in found.items() if one is not None}
    if not given:
        return None
    try:
        return msgspec.convert({"host": "", "username": "", "password": "", **given}, MailboxSettings)
    except (msgspec.ValidationError, SettingsError) as error:
        faults.append(str(error))  # neither repeats a value
        return None
