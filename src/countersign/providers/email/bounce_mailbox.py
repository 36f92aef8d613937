"""A mailbox that bounces come back to, read over IMAP: each call in a thread of its own, with one bound on all of it."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

import msgspec

from countersign.errors import SettingsError, UnavailableError
from countersign.providers.email.dsn import MAX_BYTES
from countersign.providers.http import tls

AT_ONCE: Final = 20
"""Mails that are fetched in one visit."""

VISIT: Final = 60.0
"""Seconds that one visit may take, whatever the server does."""

_ANSWER: Final = 15.0  # seconds for each answer within it
_FAREWELL: Final = 1.0
_MAX_PORT: Final = 65_535
_VALIDITY: Final = re.compile(rb"\d{1,10}", re.ASCII)
_FOLDER: Final = re.compile(r"[^\"\\\r\n\0*%]{1,200}")

T = TypeVar("T")


class MailboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server and a folder there; what was read is marked as seen, or deleted. Raises SettingsError."""

    host: str
    username: str
    password: str
    port: int = 993
    tls: Literal["tls", "starttls", "none"] = "tls"
    folder: str = "INBOX"
    after: Literal["seen", "delete"] = "seen"
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if not self.host or not self.host.isprintable() or " " in self.host:
            raise SettingsError("bounces.imap_host is no host name; give the mail server's, such as imap.example.org.")
        if not 0 < self.port <= _MAX_PORT:
            raise SettingsError("bounces.imap_port must be between 1 and 65535; 993 is for tls, 143 for starttls.")
        if not (self.username and self.password):
            raise SettingsError("bounces.imap_username and bounces.imap_password are required with bounces.imap_host.")
        if not _FOLDER.fullmatch(self.folder) or not self.folder.isascii():
            raise SettingsError("bounces.imap_folder is no name of a folder in ASCII, such as INBOX.")
        tls.context(self.ca_file)

    def __repr__(self) -> str:
        """Hide the password and the account."""
        return f"MailboxSettings({self.host}:{self.port}, {self.tls})"


class MailboxMessage(msgspec.Struct, frozen=True):
    """One mail as it lies there: its number in the folder of this `validity`, and its bytes, of one that is too long the beginning."""

    uid: bytes
    validity: bytes
    raw: bytes

    def __repr__(self) -> str:
        """Hide what is written."""
        return f"Mail({len(self.raw)} bytes)"


class _Plain(imaplib.IMAP4):
    """A connection that is among the `opened` before it speaks, so that it can be cut off while it is greeted."""

    def __init__(self, opened: list[imaplib.IMAP4], host: str, port: int) -> None:
        opened.append(self)
        super().__init__(host, port, timeout=_ANSWER)


class _Secured(imaplib.IMAP4_SSL):
    """The same over TLS."""

    def __init__(self, opened: list[imaplib.IMAP4], host: str, port: int, context: ssl.SSLContext) -> None:
        opened.append(self)
        super().__init__(host, port, ssl_context=context, timeout=_ANSWER)


class BounceMailbox:
    """The mailbox by its settings. Every method raises UnavailableError where the server is away, refuses, or takes too long."""

    def __init__(self, settings: MailboxSettings, flow: float = VISIT) -> None:
        self._settings = settings
        self._visit = flow

    async def unseen(self) -> list[MailboxMessage]:
        """Return up to AT_ONCE mails that nobody has looked at, and leave them so."""
        return await self._visited(_unseen)

    async def done(self, mails: list[MailboxMessage]) -> None:
        """Mark mails as seen, or delete them, as the settings say."""
        if mails:
            delete = self._settings.after == "delete"
            await self._visited(lambda imap: _done(imap, mails, delete=delete))

    async def _visited(self, act: Callable[[imaplib.IMAP4], T]) -> T:
        """Do something there, signed in and with the folder open."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        opened: list[imaplib.IMAP4] = []

        def flow() -> None:
            try:
                result = act(self._opened(opened))
            except (imaplib.IMAP4.error, OSError, ValueError, EOFError, IndexError, TypeError, AttributeError) as error:
                # The type alone: the library repeats what was answered, and what was sent.
                failure = UnavailableError(
                    f"The mailbox of bounces at {self._settings.host} could not be read ({type(error).__name__}); check"
                    " bounces.imap_*."
                )
                _tell(loop, future, lambda: future.set_exception(failure))
            else:
                _tell(loop, future, lambda: future.set_result(result))
            finally:
                for imap in opened:
                    _leave(imap)

        # Not of the loop's own threads: those are waited for when the program ends, and this one may hang on a server.
        threading.Thread(target=flow, name="bounces", daemon=True).start()
        try:
            async with asyncio.timeout(self._visit):
                return await future
        except BaseException as error:
            for imap in opened:
                with contextlib.suppress(OSError, AttributeError):
                    imap.sock.shutdown(socket.SHUT_RDWR)  # frees the thread, should it still wait
            if not isinstance(error, TimeoutError):
                raise
        raise UnavailableError(f"The mailbox of bounces at {self._settings.host} took too long.")

    def _opened(self, opened: list[imaplib.IMAP4]) -> imaplib.IMAP4:
        settings = self._settings
        context = tls.context(settings.ca_file)
        imap = (
            _Secured(opened, settings.host, settings.port, context)
            if settings.tls == "tls"
            else _Plain(opened, settings.host, settings.port)
        )
        if settings.tls == "starttls":
            imap.starttls(context)
        imap.login(settings.username, settings.password)
        _sure(imap.select(f'"{settings.folder}"'))
        return imap


def _unseen(imap: imaplib.IMAP4) -> list[MailboxMessage]:
    validity = _validity(imap)
    found: list[MailboxMessage] = []
    listed: bytes = _sure(imap.uid("SEARCH", "UNSEEN"))[0] or b""
    for uid in listed.split()[:AT_ONCE]:
        # One byte more than is read, so that a longer mail is known as one; PEEK leaves it unseen until it was taken.
        parts = _sure(imap.uid("FETCH", uid.decode("ascii"), f"(BODY.PEEK[]<0.{MAX_BYTES + 1}>)"))
        raw = next((part[1] for part in parts if isinstance(part, tuple)), None)
        if raw is not None:
            found.append(MailboxMessage(uid, validity, raw))
    return found


def _done(imap: imaplib.IMAP4, mails: list[MailboxMessage], *, delete: bool) -> None:
    validity = _validity(imap)
    uids = b",".join(mail.uid for mail in mails if mail.validity == validity).decode("ascii")
    if not uids:
        return  # the folder was made anew: its numbers mean other mails
    _sure(imap.uid("STORE", uids, "+FLAGS.SILENT", r"(\Seen \Deleted)" if delete else r"(\Seen)"))
    if delete:
        imap.expunge()


def _validity(imap: imaplib.IMAP4) -> bytes:
    _, told = imap.response("UIDVALIDITY")
    found = _VALIDITY.search(told[0] or b"") if told else None
    return found[0] if found else b""


def _sure(answer: tuple[str, list[Any]]) -> list[Any]:
    status, parts = answer
    if status != "OK":
        raise imaplib.IMAP4.error("refused")
    return parts


def _leave(imap: imaplib.IMAP4) -> None:
    """Say goodbye, within a second, and let go."""
    with contextlib.suppress(imaplib.IMAP4.error, OSError, ValueError, AttributeError):
        imap.sock.settimeout(_FAREWELL)
        imap.logout()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        imap.shutdown()


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], act: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it who asked
        loop.call_soon_threadsafe(lambda: None if future.done() else act())
