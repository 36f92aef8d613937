"""Where the tests keep their files: in memory where there is room, since a disk takes many times as long to make a file.

Tests about what survives a crash ask for a folder on the disk instead (`on_disk`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - that it is shared memory is the point
ROOM: Final = 2 * 1024**3
"""Bytes that must be free there: a container often has 64 MB, which one test would fill."""

DAY: Final = 86_400

DISK: Final = Path(tempfile.gettempdir())
"""The system's own folder for temporary files, asked for before `use_memory` changes it."""


def use_memory() -> None:
    """Have this process, and those it starts, keep temporary files in memory; TMPDIR is respected where it is set."""
    if "TMPDIR" in os.environ or not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        return
    if shutil.disk_usage(MEMORY).free >= ROOM:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # ask again
        _remove_what_was_left()


def _remove_what_was_left() -> None:
    """Remove the databases of test runs that were killed, a day later: memory is dear."""
    for path in MEMORY.glob("countersign-pg-*"):
        if time.time() - path.stat().st_mtime > DAY:
            shutil.rmtree(path, ignore_errors=True)


def on_disk(prefix: str) -> Path:
    """Return a new folder on the disk; whoever asked removes it."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=DISK))
