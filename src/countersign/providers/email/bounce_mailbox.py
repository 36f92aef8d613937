"""Read the mailbox that bounces come back to, over IMAP: each visit in its own thread, with a bound on its time."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec

from countersign.errors import SettingsError, UnavailableError
from countersign.providers import Connectivity, TlsPeer
from countersign.providers.email.dsn import MAX_BYTES
from countersign.providers.fields import CaFile
from countersign.providers.http import tls
from countersign.setting import Described

AT_ONCE: Final = 20
"""The most mails that are fetched in one visit."""

VISIT: Final = 60.0
"""Seconds that one visit may take, whatever the server does."""

_ANSWER: Final = 15.0  # seconds for each response within it
_FAREWELL: Final = 1.0
_MAX_PORT: Final = 65_535
_VALIDITY: Final = re.compile(rb"\d{1,10}", re.ASCII)
_FOLDER: Final = re.compile(r"[^\"\\\r\n\0*%]{1,200}")

T = TypeVar("T")


class MailboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server and a folder there. Raises SettingsError."""

    host: Annotated[
        str,
        Described(
            "The mail server with the mailbox that bounces come to, which is read every minute; see providers.md.",
            expects="a host name",
            default="none",
        ),
    ] = ""
    port: Annotated[
        int, Described("The port of the mail server: 993 for tls, 143 for starttls.", expects="1 to 65535")
    ] = 993
    tls: Annotated[
        Literal["tls", "starttls", "none"],
        Described("How the connection is protected; with none the password travels unencrypted."),
    ] = "tls"
    username: Annotated[str, Described("The user name to sign in with.")] = ""
    password: Annotated[str, Described("The password to sign in with.", secret=True)] = ""
    folder: Annotated[str, Described("The folder to read, all of it.", expects="a name in ASCII")] = "INBOX"
    after: Annotated[
        Literal["seen", "delete"], Described("What is done with a mail that was read: marked as seen, or deleted.")
    ] = "seen"
    ca_file: CaFile = None

    def __post_init__(self) -> None:
        if not self.host or not self.host.isprintable() or " " in self.host:
            raise SettingsError("bounces.imap_host is no host name; give the mail server's, such as imap.example.org.")
        if not 0 < self.port <= _MAX_PORT:
            raise SettingsError("bounces.imap_port must be between 1 and 65535; 993 is for tls, 143 for starttls.")
        if not (self.username and self.password):
            raise SettingsError("bounces.imap_username and bounces.imap_password are required with bounces.imap_host.")
        if not _FOLDER.fullmatch(self.folder) or not self.folder.isascii():
            raise SettingsError("bounces.imap_folder is no name of a folder in ASCII; write it like INBOX.")
        tls.client_context(self.ca_file)

    def __repr__(self) -> str:
        """Hide the password and the account."""
        return f"MailboxSettings({self.host}:{self.port}, {self.tls})"


class MailboxMessage(msgspec.Struct, frozen=True):
    """One mail: its number in the folder of this `validity` (RFC 9051, 2.3.1.1), and its bytes, or the first ones if it is too long."""

    uid: bytes
    validity: bytes
    raw: bytes

    def __repr__(self) -> str:
        """Hide the content."""
        return f"MailboxMessage({len(self.raw)} bytes)"


class _Connections:
    """The connections of one visit, which another thread can cut off at any time."""

    def __init__(self) -> None:
        self._opened: list[imaplib.IMAP4] = []
        self._is_cut = threading.Event()

    def add(self, imap: imaplib.IMAP4) -> None:
        """Add a connection whose socket was made now; raises OSError if the visit has been cut off before."""
        if imap not in self._opened:
            self._opened.append(imap)
        if self._is_cut.is_set():
            raise ConnectionAbortedError

    def cut(self) -> None:
        """Cut all connections off, those that are still to be made too: a thread that waits for one goes on."""
        self._is_cut.set()
        for imap in self._opened:
            with contextlib.suppress(OSError, AttributeError):
                imap.sock.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        """Log out of all of them, within a second each."""
        for imap in self._opened:
            _leave(imap)


class _PlainImap(imaplib.IMAP4):
    """A connection that can be cut off as soon as it has a socket."""

    def __init__(self, connections: _Connections, host: str, port: int) -> None:
        self._connections = connections
        super().__init__(host, port, timeout=_ANSWER)

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        super().open(host, port, timeout)
        self._connections.add(self)


class _TlsImap(imaplib.IMAP4_SSL):
    """The same over TLS."""

    def __init__(self, connections: _Connections, host: str, port: int, context: ssl.SSLContext) -> None:
        self._connections = connections
        super().__init__(host, port, ssl_context=context, timeout=_ANSWER)

    def open(self, host: str = "", port: int | None = 993, timeout: float | None = None) -> None:
        super().open(host, port, timeout)
        self._connections.add(self)


class _MailboxError(UnavailableError):
    """The mailbox cannot be read. `cause` is not the exception's own cause, because the library repeats what was sent."""

    def __init__(self, text: str, cause: Exception) -> None:
        super().__init__(text)
        self.cause = cause


class _LoginRefusedError(imaplib.IMAP4.error):
    """The server does not let us in."""


class _NoFolderError(imaplib.IMAP4.error):
    """The server has no such folder, or does not let us open it."""


class BounceMailbox:
    """The mailbox of the settings; a visit takes at most `seconds`.

    Every method raises UnavailableError if the server is away, refuses, or takes too long.
    """

    def __init__(self, settings: MailboxSettings, seconds: float = VISIT) -> None:
        self._settings = settings
        self._seconds = seconds

    async def check(self) -> Connectivity:
        """Return whether the server lets us in and has the folder; nothing is fetched or marked."""
        settings = self._settings
        where = f"{settings.host} port {settings.port}"
        starttls: Literal["", "imap"] = "imap" if settings.tls == "starttls" else ""
        peer = None if settings.tls == "none" else TlsPeer(settings.host, settings.port, settings.ca_file, starttls)
        try:
            await self._visit(lambda _: None)
        except UnavailableError as error:
            cause = error.cause if isinstance(error, _MailboxError) else None
            fault = None if cause is None else tls.certificate_fault(cause)
            if fault is not None:
                return Connectivity(f"{where}: its certificate is not valid: it {fault.what}.", fault.remedy, peer)
            if isinstance(cause, _NoFolderError):
                return Connectivity(
                    f"{where} lets us in, and has no folder {settings.folder}.", "Check bounces.imap_folder.", peer
                )
            if isinstance(cause, _LoginRefusedError):
                return Connectivity(
                    f"{where} refuses our credentials.", "Check bounces.imap_username and bounces.imap_password.", peer
                )
            what = "did not answer in time" if cause is None else f"cannot be read ({type(cause).__name__})"
            return Connectivity(
                f"{where} {what}.", "Check bounces.imap_host, bounces.imap_port and bounces.imap_tls.", None
            )
        return Connectivity(f"{where} lets us in, and has the folder {settings.folder}", peer=peer)

    async def fetch_unseen(self) -> list[MailboxMessage]:
        """Return up to AT_ONCE mails that are not marked as seen, and leave them so."""
        return await self._visit(_fetch_unseen)

    async def mark_read(self, mails: list[MailboxMessage]) -> None:
        """Mark mails as seen, or delete them, as the settings say."""
        if mails:
            delete = self._settings.after == "delete"
            await self._visit(lambda imap: _mark_read(imap, mails, delete=delete))

    async def _visit(self, act: Callable[[imaplib.IMAP4], T]) -> T:
        """Run `act` in a thread with a connection that is signed in and has the folder open."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        connections = _Connections()

        def visit() -> None:
            try:
                result = act(self._open(connections))
            except (imaplib.IMAP4.error, OSError, ValueError, EOFError, IndexError, TypeError, AttributeError) as error:
                # Only the type is shown: the library repeats what was received and sent.
                failure = _MailboxError(
                    f"The mailbox of bounces at {self._settings.host} could not be read ({type(error).__name__}); check"
                    " bounces.imap_*.",
                    error,
                )
                _report(loop, future, lambda: future.set_exception(failure))
            else:
                _report(loop, future, lambda: future.set_result(result))
            finally:
                connections.leave()

        # Not one of the loop's own threads: the program waits for those when it ends, and this one may hang.
        threading.Thread(target=visit, name="bounces", daemon=True).start()
        try:
            async with asyncio.timeout(self._seconds):
                return await future
        except BaseException as error:
            connections.cut()
            if not isinstance(error, TimeoutError):
                raise
        raise UnavailableError(f"The mailbox of bounces at {self._settings.host} took too long.")

    def _open(self, connections: _Connections) -> imaplib.IMAP4:
        settings = self._settings
        context = tls.client_context(settings.ca_file)
        imap = (
            _TlsImap(connections, settings.host, settings.port, context)
            if settings.tls == "tls"
            else _PlainImap(connections, settings.host, settings.port)
        )
        if settings.tls == "starttls":
            imap.starttls(context)
            connections.add(imap)  # it has another socket now
        try:
            imap.login(settings.username, settings.password)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:
            raise _LoginRefusedError("refused") from None  # the library's own repeats what the server said
        if imap.select(f'"{settings.folder}"')[0] != "OK":
            raise _NoFolderError("refused")
        return imap


def _fetch_unseen(imap: imaplib.IMAP4) -> list[MailboxMessage]:
    validity = _validity(imap)
    found: list[MailboxMessage] = []
    listed: bytes = _check_ok(imap.uid("SEARCH", "UNSEEN"))[0] or b""
    for uid in listed.split()[:AT_ONCE]:
        # One byte more than the limit, so that a longer mail is recognised; PEEK leaves it unseen.
        parts = _check_ok(imap.uid("FETCH", uid.decode("ascii"), f"(BODY.PEEK[]<0.{MAX_BYTES + 1}>)"))
        raw = next((part[1] for part in parts if isinstance(part, tuple)), None)
        if raw is not None:
            found.append(MailboxMessage(uid, validity, raw))
    return found


def _mark_read(imap: imaplib.IMAP4, mails: list[MailboxMessage], *, delete: bool) -> None:
    validity = _validity(imap)
    uids = b",".join(mail.uid for mail in mails if mail.validity == validity).decode("ascii")
    if not uids:
        return  # the folder was recreated: its numbers mean other mails
    _check_ok(imap.uid("STORE", uids, "+FLAGS.SILENT", r"(\Seen \Deleted)" if delete else r"(\Seen)"))
    if delete:
        imap.expunge()


def _validity(imap: imaplib.IMAP4) -> bytes:
    _, parts = imap.response("UIDVALIDITY")
    found = _VALIDITY.search(parts[0] or b"") if parts else None
    return found[0] if found else b""


def _check_ok(answer: tuple[str, list[Any]]) -> list[Any]:
    status, parts = answer
    if status != "OK":
        raise imaplib.IMAP4.error("refused")
    return parts


def _leave(imap: imaplib.IMAP4) -> None:
    """Log out within a second, and close the connection."""
    with contextlib.suppress(imaplib.IMAP4.error, OSError, ValueError, AttributeError):
        imap.sock.settimeout(_FAREWELL)
        imap.logout()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        imap.shutdown()


def _report(loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], act: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the caller
        loop.call_soon_threadsafe(lambda: None if future.done() else act())
