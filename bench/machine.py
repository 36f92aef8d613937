"""What a figure was measured on: the machine, the versions, the commit and the day."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.peers.postgres import binaries

LIBRARIES: Final = ("uvicorn", "httptools", "uvloop", "asyncpg", "msgspec", "falcon", "cryptography")


def described() -> list[tuple[str, str]]:
    """Return (what, which) of everything that moves a figure."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        ("Date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("Commit", _commit()),
        ("Processors", f"{len(os.sched_getaffinity(0))} of {_model()}"),
        ("Memory", f"{memory:.0f} GiB"),
        ("Kernel", f"{platform.system()} {platform.release()}"),
        ("Load when it began", f"{os.getloadavg()[0]:.1f} (1 minute)"),
        ("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
        ("PostgreSQL", _said(str(binaries() / "postgres"), "--version").split()[-1]),
        ("SQLite", sqlite3.sqlite_version),
        ("Libraries", ", ".join(f"{name} {version(name)}" for name in LIBRARIES)),
    ]


def _commit() -> str:
    changed = " and changes that are not committed" if _said("git", "status", "--porcelain", "-uno") else ""
    return (_said("git", "rev-parse", "--short=12", "HEAD") or "unknown") + changed


def _model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _said(*words: str) -> str:
    ended = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return ended.stdout.strip()
