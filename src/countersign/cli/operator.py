"""Who runs a command, for the event log."""

from __future__ import annotations

import os
from typing import Final

MAX_NAME: Final = 64


def operator_name() -> str:
    """Return the name of the person at the command line: who called sudo, or else the user of this process."""
    name = os.environ.get("SUDO_USER") or _user_name()
    return "".join(filter(str.isprintable, name))[:MAX_NAME]


def _user_name() -> str:
    """Return the name of the user of this process, or their number where it has no name, as in many containers."""
    try:
        import pwd  # not on Windows
    except ImportError:
        return os.environ.get("USERNAME", "")
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
