"""A notice: a message without a code that tells a person what happened to an account."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.contact import Kind

PREFIX: Final = "ntc_"
"""How ids of notices begin; a delivery with such an owner carries one."""
LASTS: Final = 7 * 86_400_000
"""Milliseconds after which a notice that could not be sent is no longer worth sending."""


class NoticeKind(StrEnum):
    """What is told."""

    NEW_DEVICE = "new_device"
    SIGN_UP_KNOWN = "sign_up_known"


class Notice(msgspec.Struct, frozen=True):
    """One notice to one contact; times in ms. `to` is sealed; `facts` are device, place and the like, never a code."""

    id: str
    account: str
    application: str
    kind: NoticeKind
    to: bytes
    to_kind: Kind
    masked: str
    locale: str
    facts: dict[str, str]
    created_at: int
    expires_at: int

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Notice({self.id}, {self.kind.value})"
