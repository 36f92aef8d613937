"""The address of the database, as its file has it at this moment: a password that was replaced needs no reload."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import structlog

from countersign.config.live_settings import DATABASE_URL
from countersign.config.values import read_database_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from countersign.config.settings import Settings

_log = structlog.get_logger("countersign.database")


def database_address(settings: Settings) -> Callable[[], str]:
    """Return a function that gives the address for a new connection.

    If `database_url_file` names the file, it is read each time. User and password may change there. What cannot be read, or leads to
    another database, is told in the log, and the address before stays in use.
    """
    path = settings.secret_files.get(DATABASE_URL)
    if path is None or settings.sqlite:
        return lambda: settings.database_url
    return _AddressFile(path, settings.database_url).read


class _AddressFile:
    def __init__(self, path: Path, address: str) -> None:
        self._path = path
        self._address = address
        self._complaint = ""

    def read(self) -> str:
        complaint = ""
        try:
            address = read_database_url(self._path.read_text(encoding="utf-8").rstrip("\r\n"))
        except OSError as error:
            complaint = f"it cannot be read ({error.strerror})"
        except ValueError:
            complaint = "it holds no address of a database"
        else:
            if _place(address) == _place(self._address):
                self._address = address
            else:
                complaint = "it leads to another database, which only a reload (SIGHUP) can change"
        if complaint and complaint != self._complaint:
            _log.warning("database_url_not_read", file=str(self._path), why=complaint)
        self._complaint = complaint
        return self._address


def _place(address: str) -> tuple[str, str, str, list[tuple[str, str]]]:
    """Return an address without the user and the password."""
    parts = urlsplit(address)
    options = [(name, value) for name, value in parse_qsl(parts.query) if name not in {"user", "password"}]
    return parts.scheme, parts.netloc.rpartition("@")[2], parts.path, options
