"""Which language of ours a list of language tags asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from countersign.messages.language.catalogue import negotiate

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TAG: Final = 35  # RFC 5646, 4.4.1
_TAG: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


def first_available(tags: Iterable[str]) -> str:
    """Return the first well-formed tag whose language is available, or an empty string. For example ("xx", "de-AT") gives "de-AT"."""
    for tag in tags:
        if len(tag) <= MAX_TAG and _TAG.fullmatch(tag) and is_available(tag):
            return tag
    return ""


def is_available(tag: str) -> bool:
    """Return True if we speak the language of a tag."""
    return negotiate(tag).tag.split("-")[0] == tag.lower().split("-")[0]
