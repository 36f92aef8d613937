"""The test key of the application "demo", which development makes for the start page and the first example."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from countersign.domain.shared.application import ApplicationDraft, ApplicationMode
from countersign.errors import NotFoundError
from countersign.flows.maintenance.applications import ApplicationDirectory, add_application, rotate_application_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from countersign.keys import Keyring
    from countersign.store.engine.database import Database
    from countersign.store.ledger.event_log import Log

DEMO: Final = "demo"
"""The name of the application."""


async def ensure_demo_key(
    path: Path, database: Database, log: Log, keyring: Keyring, clock: Callable[[], int], *, site: str, host: str
) -> str:
    """Return the key that is kept in the file `path`, or a new one if that does not authenticate any more.

    `site` and `host` are those of the application, should it have to be added.
    """
    kept = _read(path)
    if kept and await ApplicationDirectory(database, keyring, clock).authenticate(kept) is not None:
        return kept
    try:
        _, key = await rotate_application_key(database, log, keyring, DEMO, clock(), os.urandom)
    except NotFoundError:
        draft = ApplicationDraft(DEMO, ApplicationMode.TEST, site, host)
        _, key = await add_application(database, log, keyring, draft, clock(), os.urandom)
    _write_private(path, key + "\n")
    return key


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _write_private(path: Path, text: str) -> None:
    """Replace a file at once by one that its owner alone can read."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
