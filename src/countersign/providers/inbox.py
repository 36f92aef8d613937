"""The inbox: messages of development and test keys, kept for people to read in an SQLite file of their own.

They hold valid codes and full contacts. So they stay out of the main database, in a file that only its owner may read. The newest 1,000
are kept, and what is removed is overwritten.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt
from countersign.domain.policy import INBOX
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, PeerUnavailableError, SettingsError, UnavailableError
from countersign.providers import ReceiptHandler
from countersign.providers.inbox_outcomes import Outcome, outcome_of, receipt_of

KEPT: Final = 1_000
"""The number of messages that are kept."""
RECEIPT_TRIES: Final = 20
"""How often a receipt is offered until its message is known."""
PATIENCE: Final = 5.0
"""Seconds to wait for another process that writes."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    html TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS messages_by_recipient ON messages (recipient, number);
CREATE TABLE IF NOT EXISTS changes (count INTEGER NOT NULL) STRICT;
INSERT INTO changes SELECT 0 WHERE NOT EXISTS (SELECT * FROM changes);
"""
_ADD: Final = """
INSERT INTO messages (key, channel, recipient, subject, text, html, at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO NOTHING
"""
_NUMBER: Final = "SELECT number FROM messages WHERE key = ?"
_TRIM: Final = (
    "DELETE FROM messages WHERE number <= (SELECT number FROM messages ORDER BY number DESC LIMIT 1 OFFSET ?)"
)
_CHANGED: Final = "UPDATE changes SET count = count + 1"
_LIST: Final = """
SELECT number, channel, recipient, subject, text, html, at FROM messages
WHERE ?1 IS NULL OR recipient = ?1 ORDER BY number DESC LIMIT ?2
"""

T = TypeVar("T")


class InboxMessage(msgspec.Struct, frozen=True):
    """A message as its reader sees it; `at` is when it arrived, in milliseconds since the epoch."""

    id: str
    channel: Channel
    to: str
    subject: str
    text: str
    html: str
    at: int

    def __repr__(self) -> str:
        """Hide the recipient and the text."""
        return f"InboxMessage({self.id}, {self.channel.value})"


class Inbox:
    """One file of messages, whose name must begin with `inbox`. Any number of processes may use it at once.

    Every method raises UnavailableError if the file cannot be used. Within a process it is used in a thread of its own.
    """

    def __init__(self, path: Path) -> None:
        if not path.name.startswith("inbox"):
            raise SettingsError("The inbox's file must have a name that begins with inbox.")
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self._database: sqlite3.Connection | None = None

    async def add(self, message: Message, at: int) -> str:
        """Keep `message`, which arrived at `at` (milliseconds since the epoch), and return its id. A known key is not kept twice."""
        return await self._run(lambda database: _add(database, message, at))

    async def list(self, to: str | None = None, limit: int = 100) -> list[InboxMessage]:
        """Return up to `limit` messages, newest first; with `to` only those to that address, in canonical form."""

        def read(database: sqlite3.Connection) -> list[InboxMessage]:
            return [_message(row) for row in database.execute(_LIST, (to, max(0, min(limit, KEPT))))]

        return await self._run(read)

    async def clear(self) -> None:
        """Remove every message, and overwrite it in the file."""
        await self._run(_clear)

    async def version(self) -> int:
        """Return a number that changes whenever any process adds or removes something."""
        return await self._run(lambda database: int(database.execute("SELECT count FROM changes").fetchone()[0]))

    async def close(self) -> None:
        """Close the file; the inbox cannot be used afterwards."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        except RuntimeError:  # it is closed already
            return
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    async def _run(self, act: Callable[[sqlite3.Connection], T]) -> T:
        failure: str
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._do, act)
        except (sqlite3.Error, OSError) as error:
            failure = type(error).__name__
        except RuntimeError:
            failure = "it is closed"
        raise PeerUnavailableError(
            f"The inbox's file cannot be used ({failure}); check that its folder belongs to this user and has space."
        )

    def _do(self, act: Callable[[sqlite3.Connection], T]) -> T:
        if self._database is None:
            self._database = _open(self._path)
        return act(self._database)


class InboxProvider:
    """Delivers into an inbox; some recipients stand for an outcome (`inbox_outcomes.py`), with a refusal or a receipt.

    Arguments:
        inbox: where messages are kept; closing the provider does not close it.
        clock: returns milliseconds since the epoch.
        wait: waits for so many seconds of that clock.

    """

    def __init__(
        self, inbox: Inbox, clock: Callable[[], int], wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._wait = wait
        self._refused_once: set[str] = set()
        self._pending: set[asyncio.Task[None]] = set()
        self.on_receipt: ReceiptHandler | None = None

    async def send(self, message: Message) -> Accepted:
        """Put `message` into the inbox; raises DeliveryFailedError if the recipient stands for a refusal, or the file cannot be used."""
        outcome = outcome_of(message.to)
        if outcome is not None and outcome.refused is not None and self._refuses(outcome, message.key):
            raise DeliveryFailedError(
                outcome.refused, "The recipient stands for this outcome.", permanent=outcome.permanent
            )
        if outcome is not None and not outcome.kept:
            identifier = f"out_{message.key}"
        else:
            try:
                identifier = await self._inbox.add(message, self._clock())
            except UnavailableError as error:
                raise DeliveryFailedError(Reason.UNREACHABLE, str(error), permanent=False) from error
        receipt = None if outcome is None else receipt_of(outcome, INBOX, identifier)
        if outcome is None or receipt is None or self.on_receipt is None:
            return Accepted(identifier)
        task = asyncio.create_task(self._report(self.on_receipt, receipt, outcome.after / 1_000))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return Accepted(identifier)

    async def close(self) -> None:
        """Cancel the receipts that were to come; the inbox stays open, since pages show it."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    def _refuses(self, outcome: Outcome, key: str) -> bool:
        if not outcome.first_only:
            return True
        if key in self._refused_once:
            self._refused_once.discard(key)
            return False
        if len(self._refused_once) >= KEPT:
            self._refused_once.clear()
        self._refused_once.add(key)
        return True

    async def _report(self, on_receipt: ReceiptHandler, receipt: Receipt, after: float) -> None:
        """Offer the receipt until its message is known: it can come before the hand-over is recorded."""
        await self._wait(after)
        for _ in range(RECEIPT_TRIES):
            try:
                if await on_receipt(receipt):
                    return
            except UnavailableError:
                pass
            await asyncio.sleep(0.2)


def _open(path: Path) -> sqlite3.Connection:
    # The mode is set when the file is created, so that others can never read it; its WAL gets the same mode.
    # One that is there is not opened: closing it again would drop every lock that this process has on it (POSIX, fcntl).
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    if path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    path.chmod(0o600)
    database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        _write_ahead(database)
        database.execute(
            "PRAGMA synchronous = NORMAL"
        )  # survives a kill of every process; a power cut may lose the last messages
        database.execute("PRAGMA secure_delete = ON")  # what is removed is overwritten
        database.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            database.execute(statement)
        database.execute("COMMIT")
    except BaseException:
        database.close()
        raise
    return database


def _write_ahead(database: sqlite3.Connection) -> None:
    """Turn the write-ahead log on, with retries: on a new file SQLite refuses all but one of several processes at once."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _add(database: sqlite3.Connection, message: Message, at: int) -> str:
    with _Writing(database):
        added = database.execute(
            _ADD, (message.key, message.channel.value, message.to, message.subject, message.text, message.html, at)
        ).rowcount
        number = int(database.execute(_NUMBER, (message.key,)).fetchone()[0])
        if added:
            database.execute(_TRIM, (KEPT,))
            database.execute(_CHANGED)
    return _id(number)


def _clear(database: sqlite3.Connection) -> None:
    with _Writing(database):
        database.execute("DELETE FROM messages")
        database.execute(_CHANGED)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log has them too


class _Writing:
    """A transaction that takes the write lock at its beginning: SQLite may refuse to upgrade a read lock without a wait."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self._database.execute("ROLLBACK" if failed else "COMMIT")


def _message(row: tuple[int, str, str, str, str, str, int]) -> InboxMessage:
    number, channel, *rest, at = row
    to, subject, text, html = (str(part) for part in rest)
    return InboxMessage(_id(number), Channel(channel), to, subject, text, html, at)


def _id(number: int) -> str:
    return f"inb_{number:012d}"
