"""Addresses as people type and paste them: a page is found with a slash too many, in capitals, or with the stop of a sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_PATH: Final = 200
"""Characters of a path that are looked at. Every page's own is shorter."""

_SLASHES: Final = re.compile(r"/{2,}")
_TRAILING: Final = "/ \t\u00a0\u200b\u200e\u200f.,;:!?)]}>\"'"


def tidy_path(path: str, pages: Collection[str]) -> str:
    """Return the page that a path means, or "" if it means none.

    The result is one of `pages`, never a part of what was asked for, so it leads to no other site. For example `/Sign-In/` means
    `/sign-in`.
    """
    if len(path) > MAX_PATH:
        return ""
    tidied = _SLASHES.sub("/", path).rstrip(_TRAILING).lower()
    return next((page for page in pages if page == tidied), "")
