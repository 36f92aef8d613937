"""Chromium, the real one, kept to this machine and to its task."""

from __future__ import annotations

import shutil
from typing import Final

NAMES: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The shell comes first: it is the same engine, and a window costs it no second page for the frame around it."""
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE: Final = {"width": 390, "height": 844}
DESKTOP: Final = {"width": 1280, "height": 900}


def chromium() -> str | None:
    """Return the path of Chromium, or None if there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)
