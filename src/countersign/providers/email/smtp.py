"""Mail by SMTP: a few kept connections to one server, each used by one task at a time, every wait bounded."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec
from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPTimeoutError,
)

from countersign.domain.delivery.delivery import MAX_TRY, Accepted, Message, Reason
from countersign.domain.shared.contact import Channel, ContactKind, parse_contact
from countersign.errors import DeliveryFailedError, InputError, SettingsError
from countersign.providers.email import verp
from countersign.providers.email.message import MailMessage, ascii_domain, write_message
from countersign.providers.email.smtp_replies import Stage, refusal
from countersign.providers.email.verp import Mark, return_path
from countersign.providers.http import tls

if TYPE_CHECKING:
    from countersign.providers.email.dkim import Signer

IDLE: Final = 60.0
"""Seconds a connection is kept unused; servers drop it after 10 s (a busy Postfix) to 5 minutes (RFC 5321, 4.5.3.2.7)."""

PATIENCE: Final = 2
"""Time-outs that a message waits for a free connection."""

PROBE: Final = 1 / 3
"""Part of the time-out that a kept connection may take to show that it is alive, so that a new one can still be made."""

_FAREWELL: Final = 1.0  # seconds for QUIT when the program stops
_MAX_PORT: Final = 65_535


class SmtpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mail server and how to speak to it.

    `tls`: "starttls" and "tls" are required, never tried and given up; `ca_file` replaces the system's authorities. `timeout` is in
    seconds and covers one hand-over: connecting, signing in, sending. `connections` is both
    how many are kept and how many are used at once. With `bounce_address` each message has an address of its own that its bounce comes
    back to; with the three of DKIM each is signed. Raises SettingsError.
    """

    host: str
    from_address: str
    port: int = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: str = ""
    timeout: float = 15.0
    connections: int = 4
    ca_file: str | None = None
    bounce_address: str = ""
    dkim_domain: str = ""
    dkim_selector: str = ""
    dkim_key: str = ""

    def __post_init__(self) -> None:
        if not self.host or not self.host.isprintable() or " " in self.host:
            raise SettingsError("smtp host is no host name; give the mail server's, such as mail.example.org.")
        if not 0 < self.port <= _MAX_PORT:
            raise SettingsError(
                "smtp port must be between 1 and 65535; mail servers take 587 (starttls), 465 (tls) or 25."
            )
        if not 0 < self.timeout < MAX_TRY / 1000:
            raise SettingsError(f"smtp timeout must be above 0 and below {MAX_TRY // 1000} seconds.")
        if self.connections < 1:
            raise SettingsError("smtp connections must be at least 1.")
        if bool(self.username) != bool(self.password):
            raise SettingsError("smtp username and password come together; one of them is missing.")
        if self.username and self.tls == "none":
            raise SettingsError("smtp would send the password in the clear; set tls to starttls or tls.")
        try:
            sender = parse_contact(self.from_address)
        except InputError as error:
            raise SettingsError("smtp from_address is no mail address; write it like codes@example.org.") from error
        if sender.kind is not ContactKind.MAIL or not self.from_address.rpartition("@")[0].isascii():
            raise SettingsError("smtp from_address must be a mail address whose part before the @ is ASCII.")
        if self.bounce_address:
            verp.check(self.bounce_address)
        self.signer()

    def signer(self) -> Signer | None:
        """Return what signs letters, None where nothing does; raises SettingsError."""
        if not (self.dkim_domain or self.dkim_selector or self.dkim_key):
            return None
        from countersign.providers.email.dkim import signer  # a library that most installations have no use for

        return signer(self.dkim_domain, self.dkim_selector, self.dkim_key)

    def __repr__(self) -> str:
        """Hide the password, and whether there is one."""
        return f"SmtpSettings({self.host}:{self.port}, {self.tls})"


class _Connection(msgspec.Struct):
    smtp: SMTP
    kept_at: float = 0.0


class SmtpProvider:
    """Hands mail to one server. `clock` returns milliseconds since the epoch, `mark` is what addresses for bounces are marked with."""

    def __init__(self, settings: SmtpSettings, clock: Callable[[], int], mark: Mark | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._mark = mark
        self._signer = settings.signer()
        self._bounces = ascii_domain(settings.bounce_address) if settings.bounce_address else ""
        self._tls = None if settings.tls == "none" else tls.context(settings.ca_file)
        self._hello = ascii_domain(settings.from_address).rpartition("@")[2]
        self._free = asyncio.Semaphore(settings.connections)
        self._idle: list[_Connection] = []
        self._closed = False

    async def send(self, message: Message) -> Accepted:
        """Hand `message` over within the time-out once a connection is free; raises DeliveryFailedError.

        After the message was sent and before the server's word for it nothing is repeated here: such a failure is temporary, and
        the next try has the same Message-ID.
        """
        if message.channel is not Channel.EMAIL:
            raise DeliveryFailedError(
                Reason.MISCONFIGURED, "SMTP carries mail alone; route other channels elsewhere.", permanent=True
            )
        mail = await self._letter(message)
        failure: DeliveryFailedError | None = None
        try:
            # Waiting for a free connection has a bound of its own, so that a burst is not taken for a server that hangs.
            async with asyncio.timeout(self._settings.timeout * PATIENCE):
                await self._free.acquire()
        except TimeoutError:
            raise DeliveryFailedError(
                Reason.THROTTLED, "Every connection to the mail server was busy for too long.", permanent=False
            ) from None
        try:
            async with asyncio.timeout(self._settings.timeout):
                failure = await self._hand_over(mail)
        except TimeoutError:
            failure = _timed_out()
        finally:
            self._free.release()
        # Raised here, outside of any handler: what the library raised names the recipient, and would hang on as its context.
        if failure is not None:
            raise failure
        return Accepted(mail.message_id)

    async def _letter(self, message: Message) -> MailMessage:
        """Return the letter as it goes over the wire: signed, and with the address that its bounce comes back to."""
        mail = write_message(message, self._settings.from_address, self._clock())
        if self._bounces and self._mark is not None:
            mail = msgspec.structs.replace(mail, sender=return_path(self._bounces, message.key, self._mark))
        if self._signer is not None:
            # In a thread: the library computes in Python, some 16 ms with a key of 2048 bits.
            signed = await asyncio.to_thread(self._signer.signed, mail.content)
            mail = msgspec.structs.replace(mail, content=signed)
        return mail

    async def close(self) -> None:
        """Say goodbye on connections that were kept, within a second."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(_leave(connection.smtp) for connection in idle))

    async def _hand_over(self, mail: MailMessage) -> DeliveryFailedError | None:
        smtp: SMTP | None = None
        try:
            smtp = await self._kept() or await self._connect()
            failure = await _transact(smtp, mail)
        except (SMTPException, OSError, ValueError) as error:
            failure = _failure(error)
            # A server that refused is still there; anything else leaves the conversation at an unknown place.
            if smtp is not None and not _refused(error):
                _drop(smtp)
        except BaseException:
            if smtp is not None:
                _drop(smtp)
            raise
        if smtp is not None:
            self._keep(smtp)
        return failure

    async def _kept(self) -> SMTP | None:
        """Return a kept connection that has just answered, or None; nothing has been sent on it, so to give it up is safe."""
        oldest = asyncio.get_running_loop().time() - IDLE
        while self._idle:
            connection = self._idle.pop()
            if not connection.smtp.is_connected or connection.kept_at < oldest:
                _drop(connection.smtp)
                continue
            try:
                async with asyncio.timeout(self._settings.timeout * PROBE):
                    await connection.smtp.rset()
            except (SMTPException, OSError):  # TimeoutError is an OSError
                _drop(connection.smtp)
                return None  # its neighbours are no fresher: do not spend the time on them
            except BaseException:
                _drop(connection.smtp)
                raise
            return connection.smtp
        return None

    async def _connect(self) -> SMTP:
        settings = self._settings
        smtp = SMTP(
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=self._tls,
            username=settings.username or None,
            password=settings.password or None,
            local_hostname=self._hello,
            # Ours is the one bound (in `send`). The library's own would close politely, which a peer that hangs can hold off, and
            # until Python 3.12 `asyncio.wait_for`, which it is made of, can swallow our cancellation (CPython issue 86296).
            timeout=None,
        )
        await smtp.connect()
        return smtp

    def _keep(self, smtp: SMTP) -> None:
        if self._closed or not smtp.is_connected:
            _drop(smtp)
            return
        self._idle.append(_Connection(smtp, asyncio.get_running_loop().time()))


async def _transact(smtp: SMTP, mail: MailMessage) -> DeliveryFailedError | None:
    options: list[str] = []
    if mail.international:
        await smtp.noop()  # a connection that was neither secured nor signed in on has not said EHLO yet
        if not smtp.supports_extension("smtputf8"):
            return DeliveryFailedError(
                Reason.REFUSED, "The mail server takes no international addresses (SMTPUTF8).", permanent=True
            )
        options = ["SMTPUTF8", "BODY=8BITMIME"] if smtp.supports_extension("8bitmime") else ["SMTPUTF8"]
    await smtp.mail(mail.sender, options=options, encoding="utf-8" if mail.international else "ascii")
    await smtp.rcpt(mail.recipient, encoding="utf-8" if mail.international else "ascii")
    await smtp.data(mail.content)
    return None


def _failure(error: Exception) -> DeliveryFailedError:
    """Return what `error` means, without what it says: it may name the recipient."""
    if isinstance(error, SMTPResponseException):
        return refusal(_stage(error), error.code, error.message)
    if isinstance(error, SMTPTimeoutError):
        return _timed_out()
    if isinstance(error, ssl.SSLCertVerificationError) or isinstance(error.__cause__, ssl.SSLCertVerificationError):
        return DeliveryFailedError(
            Reason.MISCONFIGURED,
            "The mail server's certificate is not trusted, or not for this name; check host, or name its authority in ca_file.",
            permanent=True,
        )
    if isinstance(error, OSError):  # refused, reset, dropped, no such host; aiosmtplib's own are ConnectionErrors
        return DeliveryFailedError(
            Reason.UNREACHABLE, "The mail server could not be reached, or hung up.", permanent=False
        )
    if isinstance(error, SMTPException):
        return DeliveryFailedError(
            Reason.MISCONFIGURED,
            "The mail server does not offer what is required of it: STARTTLS, or a way to sign in.",
            permanent=True,
        )
    return DeliveryFailedError(Reason.REFUSED, "The address cannot be written in an SMTP command.", permanent=True)


def _refused(error: Exception) -> bool:
    return isinstance(error, SMTPResponseException) and error.code // 100 in {4, 5}


def _stage(error: SMTPResponseException) -> Stage:
    match error:
        case SMTPAuthenticationError():
            return Stage.AUTH
        case SMTPSenderRefused():
            return Stage.MAIL
        case SMTPRecipientRefused():
            return Stage.RCPT
        case SMTPDataError():
            return Stage.DATA
        case _:
            return Stage.CONNECT


def _timed_out() -> DeliveryFailedError:
    return DeliveryFailedError(Reason.TIMED_OUT, "The mail server did not answer in time.", permanent=False)


def _drop(smtp: SMTP) -> None:
    """Cut a connection: a polite close would wait for a peer that may be gone."""
    if smtp.transport is not None:
        cast("asyncio.WriteTransport", smtp.transport).abort()
    smtp.close()


async def _leave(smtp: SMTP) -> None:
    try:
        async with asyncio.timeout(_FAREWELL):
            await smtp.quit()
    except (SMTPException, OSError):  # it may be gone already, or not answer in time
        pass
    finally:
        _drop(smtp)
