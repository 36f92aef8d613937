"""The address at which development was served last, for the commands beside it: they are started without its port."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from countersign.config import Settings

_FILE: Final = "address"
_MAX_ADDRESS: Final = 300


def remember_address(settings: Settings) -> None:
    """Write down, in development, where this installation is served. Nothing depends on it, so a folder that is full is no fault."""
    if settings.development:
        with contextlib.suppress(OSError):
            (settings.home / _FILE).write_text(settings.public_url + "\n", encoding="utf-8")


def served_address(settings: Settings) -> str:
    """Return where this installation is served, or was served last; by the settings alone if it never was."""
    try:
        with (settings.home / _FILE).open(encoding="utf-8") as file:
            written = file.read(_MAX_ADDRESS).strip()
    except (OSError, UnicodeDecodeError):
        written = ""
    return written if written.startswith(("http://", "https://")) and written.isprintable() else settings.public_url
