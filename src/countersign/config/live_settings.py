"""The settings of a program that runs: read again at a signal, and their secrets again when a file of theirs changes.

What is in force is kept as text. So secrets can be read again while somebody edits the settings file, whose changes wait for a signal.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

from countersign.config.load import load_document
from countersign.config.settings import Settings
from countersign.config.sources import Document, find_document

DATABASE_URL: Final = "database_url"
"""The setting whose file each new connection reads by itself; see `database_address`."""

Stamps: TypeAlias = dict[Path, tuple[int, int, int] | None]
"""Of each file its inode, its size and when it was written (ns); None for one that is not there."""


class LiveSettings:
    """Reads the settings of a running program again. What is in force changes by `take` alone."""

    def __init__(self, environ: Mapping[str, str], settings: Settings) -> None:
        self._environ = environ
        self._document = self._read_document = find_document(environ)
        self.settings = settings
        self._known = self._seen = self._read_stamps = _stamps(settings)

    def read(self) -> Settings:
        """Return the settings as the file and the environment have them now. Raises SettingsError."""
        return self._load(find_document(self._environ))

    def read_secrets(self) -> Settings:
        """Return the settings in force with their secrets as the files have them now. Raises SettingsError."""
        return self._load(self._document)

    def _load(self, document: Document | None) -> Settings:
        # Looked at before they are read: a file that changes meanwhile has changed since.
        before = _stamps(self.settings)
        settings = load_document(self._environ, document)
        self._read_document = document
        self._read_stamps = {path: before.get(path, stamp) for path, stamp in _stamps(settings).items()}
        return settings

    def take(self, settings: Settings) -> None:
        """Put in force what was read last, or a variant of it."""
        self._document, self.settings = self._read_document, settings
        self._known = self._seen = self._read_stamps

    @property
    def document(self) -> Document | None:
        """Return the settings file in force, as it was when it was read."""
        return self._document

    def restore(self, settings: Settings, document: Document | None) -> None:
        """Put settings in force that were so before, with the settings file of then. Files of secrets are not read again for them."""
        self._document, self.settings = document, settings

    def have_secrets_changed(self) -> bool:
        """Return True once for each change of a file of secrets, when it has stayed the same between two calls.

        So a file is not read while it is being written. One that is missing has not changed: whoever replaces it may remove it first.
        """
        now = _stamps(self.settings)
        settled, self._seen = now == self._seen, now
        if not settled or now == self._known or None in now.values():
            return False
        self._known = now
        return True


def _stamps(settings: Settings) -> Stamps:
    files = [path for name, path in settings.secret_files.items() if name != DATABASE_URL]
    peers = [each.settings for each in settings.providers.values()] + [settings.bounces]
    files += [Path(peer.ca_file) for peer in peers if getattr(peer, "ca_file", None)]
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
