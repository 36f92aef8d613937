"""SMTP: mail over a few kept connections to one server, each used by one task at a time, every wait bounded."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast

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
from countersign.providers import Connectivity, ProviderContext, ProviderKind, TlsPeer
from countersign.providers.email import verp
from countersign.providers.email.message import MailMessage, ascii_domain, write_message
from countersign.providers.email.smtp_replies import Stage, failure_of_reply, why_unreachable
from countersign.providers.email.verp import make_return_path
from countersign.providers.fields import CaFile, Timeout
from countersign.providers.http import tls
from countersign.providers.http.name_lookup import find_addresses
from countersign.setting import Described

if TYPE_CHECKING:
    from countersign.providers.email.dkim import DkimSigner

IDLE: Final = 60.0
"""Seconds that a connection is kept unused; servers drop it after 10 s (a busy Postfix) to 5 minutes (RFC 5321, 4.5.3.2.7)."""

PATIENCE: Final = 2
"""The number of time-outs that a message waits for a free connection."""

AT_ONCE: Final = 4
"""Messages for each connection that may be under way: one is handed over, the others are written and signed meanwhile."""

PROBE: Final = 1 / 3
"""The part of the time-out that a kept connection may take to show that it is alive, so that a new one can still be made."""

LOOK_UP: Final = 2 / 3
"""The part of the time-out that the look-up of the server's address may take, so that a DNS that hangs is told from a server that does."""

_FAREWELL: Final = 1.0  # seconds for QUIT when the program stops
_MAX_PORT: Final = 65_535
_CLOSING: Final = 421
"""The server closes the connection (RFC 5321, 4.2.3)."""


class SmtpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server and how to use it. Raises SettingsError."""

    host: Annotated[str, Described("The mail server.", expects="a host name")]
    from_address: Annotated[str, Described("The sender of mail.", expects="a mail address")]
    port: Annotated[int, Described("The port of the mail server.", expects="1 to 65535")] = 587
    tls: Annotated[
        Literal["starttls", "tls", "none"],
        Described(
            "How the connection is protected. It is never given up: without TLS on the other side nothing is sent."
        ),
    ] = "starttls"
    username: Annotated[str, Described("The user name to sign in with.")] = ""
    password: Annotated[str, Described("The password to sign in with.", secret=True)] = ""
    timeout: Timeout = 15.0
    connections: Annotated[
        int, Described("The most connections at once, which are also kept.", expects="at least 1")
    ] = 4
    ca_file: CaFile = None
    bounce_address: Annotated[
        str,
        Described(
            "Where bounces come back, with the id of each verification put in; see providers.md.",
            expects="a mail address such as bounces@example.org",
        ),
    ] = ""
    dkim_domain: Annotated[str, Described("The domain in whose name mail is signed (DKIM).", expects="a domain")] = ""
    dkim_selector: Annotated[
        str, Described("The name of the signing key in the DNS.", expects="a word such as 2026a")
    ] = ""
    dkim_key: Annotated[
        str,
        Described(
            "The private signing key, best set by `dkim_key_file`.",
            expects="an RSA key of 2048 to 4096 bits in PEM form",
            secret=True,
        ),
    ] = ""
    dkim_ed25519_selector: Annotated[
        str, Described("The name of a second signing key in the DNS.", expects="a word such as 2026b")
    ] = ""
    dkim_ed25519_key: Annotated[
        str,
        Described(
            "A second private signing key: mail then bears a signature by each. Best set by `dkim_ed25519_key_file`.",
            expects="an Ed25519 key in PEM form",
            secret=True,
        ),
    ] = ""

    def __post_init__(self) -> None:
        if not self.host or not self.host.isprintable() or " " in self.host:
            raise SettingsError("host is no host name; give the mail server's, such as mail.example.org.")
        if not 0 < self.port <= _MAX_PORT:
            raise SettingsError("port must be between 1 and 65535; mail servers take 587 (starttls), 465 (tls) or 25.")
        if not 0 < self.timeout < MAX_TRY / 1000:
            raise SettingsError(f"timeout must be above 0 and below {MAX_TRY // 1000} seconds.")
        if self.connections < 1:
            raise SettingsError("connections must be at least 1.")
        if bool(self.username) != bool(self.password):
            raise SettingsError("username and password come together; one of them is missing.")
        if self.username and self.tls == "none":
            raise SettingsError(
                "tls must be starttls or tls if there is a password, which would travel unencrypted otherwise."
            )
        try:
            sender = parse_contact(self.from_address)
        except InputError as error:
            raise SettingsError("from_address is no mail address; write it like codes@example.org.") from error
        if sender.kind is not ContactKind.MAIL or not self.from_address.rpartition("@")[0].isascii():
            raise SettingsError("from_address must be a mail address whose part before the @ is ASCII.")
        if self.bounce_address:
            verp.check_bounce_address(self.bounce_address)
        self.signer()

    def signer(self) -> DkimSigner | None:
        """Return the DKIM signer, None if mail is not signed; raises SettingsError."""
        rsa = (self.dkim_domain, self.dkim_selector, self.dkim_key)
        ed25519 = (self.dkim_ed25519_selector, self.dkim_ed25519_key)
        if not any(rsa + ed25519):
            return None
        from countersign.providers.email.dkim import make_signer  # a library that most installations do not need

        return make_signer(*rsa, *ed25519)

    def __repr__(self) -> str:
        """Hide the password, and whether there is one."""
        return f"SmtpSettings({self.host}:{self.port}, {self.tls})"


class _Connection(msgspec.Struct):
    smtp: SMTP
    kept_at: float = 0.0


class SmtpProvider:
    """Hands mail to one server."""

    def __init__(self, settings: SmtpSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._clock = context.clock
        self._mark = context.mark
        self._signer = settings.signer()
        self._bounces = ascii_domain(settings.bounce_address) if settings.bounce_address else ""
        self._tls = None if settings.tls == "none" else tls.client_context(settings.ca_file)
        self._hello = ascii_domain(settings.from_address).rpartition("@")[2]
        self.most_at_once = settings.connections * AT_ONCE
        self._free = asyncio.Semaphore(settings.connections)
        self._idle: list[_Connection] = []
        self._closed = False

    async def send(self, message: Message) -> Accepted:
        """Hand `message` over within the time-out once a connection is free; raises DeliveryFailedError.

        A message whose reply is lost is not sent again here: that is a temporary failure, and the next try has the same Message-ID.
        """
        if message.channel is not Channel.EMAIL:
            raise DeliveryFailedError(
                Reason.MISCONFIGURED, "SMTP carries mail only; route other channels elsewhere.", permanent=True
            )
        mail = await self._write(message)
        failure: DeliveryFailedError | None = None
        try:
            # The wait for a free connection has its own bound, so that a burst of messages is not taken for a server that hangs.
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
        # Raised outside of any handler: the library's error names the recipient, and would be its context.
        if failure is not None:
            raise failure
        return Accepted(mail.message_id)

    async def _write(self, message: Message) -> MailMessage:
        """Return the mail as it is sent: signed, and with the address that its bounce comes back to."""
        mail = write_message(message, self._settings.from_address, self._clock())
        if self._bounces and self._mark is not None:
            owner = message.key.partition(".")[0]
            mail = msgspec.structs.replace(mail, sender=make_return_path(self._bounces, owner, self._mark))
        if self._signer is not None:
            # In a thread: the library is written in Python and takes about 16 ms with a key of 2048 bits.
            signed = await asyncio.to_thread(self._signer.sign, mail.content)
            mail = msgspec.structs.replace(mail, content=signed)
        return mail

    async def check(self) -> Connectivity:
        """Return whether the mail server accepts our credentials; the caller bounds the time."""
        settings = self._settings
        where = f"{settings.host} port {settings.port}"
        peer = (
            None
            if settings.tls == "none"
            else TlsPeer(settings.host, settings.port, settings.ca_file, "smtp" if settings.tls == "starttls" else "")
        )
        smtp = self._new_connection()
        try:
            await smtp.connect()
            await smtp.quit()
        except SMTPAuthenticationError:
            return Connectivity(f"{where} refuses our credentials.", "Check username and password.", peer)
        except (SMTPException, OSError) as error:
            if (fault := tls.certificate_fault(error)) is not None:
                return Connectivity(f"{where}: its certificate is not valid: it {fault.what}.", fault.remedy, peer)
            if tls.is_tls_failure(error):
                return Connectivity(
                    f"{where}: TLS failed there.",
                    "Check port and tls, and look at the mail server's own log. Its certificate was not reached.",
                )
            return Connectivity(
                f"{where} cannot be used: {why_unreachable(error)}.",
                "Check host, port and tls, and that the server offers what the settings ask for.",
            )
        finally:
            _drop(smtp)
        how = {"none": "without TLS", "tls": "over TLS", "starttls": "over STARTTLS"}[settings.tls]
        return Connectivity(f"{where} accepts us {how}{', signed in' if settings.username else ''}", peer=peer)

    async def close(self) -> None:
        """Close the connections that were kept, politely, within a second."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(_leave(connection.smtp) for connection in idle))

    async def _hand_over(self, mail: MailMessage) -> DeliveryFailedError | None:
        smtp: SMTP | None = None
        try:
            smtp = kept = await self._take_kept()
            if smtp is None:
                smtp = await self._connect()
            try:
                failure = await _transact(smtp, mail)
            except SMTPResponseException as error:
                if kept is None or error.code != _CLOSING:
                    raise
                # The server has had enough of this connection (Exim after so many messages), and accepted nothing on it.
                _drop(kept)
                smtp = None
                smtp = await self._connect()
                failure = await _transact(smtp, mail)
        except (SMTPException, OSError, ValueError) as error:
            failure = _failure(error)
            # A server that refused is still there; after anything else the state of the conversation is unknown.
            if smtp is not None and not _refused(error):
                _drop(smtp)
        except BaseException:
            if smtp is not None:
                _drop(smtp)
            raise
        if smtp is not None:
            self._keep(smtp)
        return failure

    async def _take_kept(self) -> SMTP | None:
        """Return a kept connection that has just answered, or None. No message was sent on it yet, so dropping it is safe."""
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
                return None  # the other ones are no fresher, and not worth the time
            except BaseException:
                _drop(connection.smtp)
                raise
            return connection.smtp
        return None

    async def _connect(self) -> SMTP:
        # The library looks the host up as well, in threads that are few and shared. A DNS that hangs must not get that far.
        try:
            async with asyncio.timeout(self._settings.timeout * LOOK_UP):
                await find_addresses(self._settings.host, self._settings.port)
        except TimeoutError:
            raise socket.gaierror from None
        smtp = self._new_connection()
        await smtp.connect()
        return smtp

    def _new_connection(self) -> SMTP:
        settings = self._settings
        return SMTP(
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=self._tls,
            username=settings.username or None,
            password=settings.password or None,
            local_hostname=self._hello,
            # The only bound is ours (in `send`). The library's own closes politely, which a peer that hangs can delay, and it uses
            # `asyncio.wait_for`, which can swallow our cancellation before Python 3.12 (CPython issue 86296).
            timeout=None,
        )

    def _keep(self, smtp: SMTP) -> None:
        if self._closed or not smtp.is_connected:
            _drop(smtp)
            return
        self._idle.append(_Connection(smtp, asyncio.get_running_loop().time()))


async def _transact(smtp: SMTP, mail: MailMessage) -> DeliveryFailedError | None:
    if smtp.is_ehlo_or_helo_needed:  # without TLS and without a sign-in EHLO was not sent yet
        await smtp.noop()
    options: list[str] = []
    if mail.international:
        if not smtp.supports_extension("smtputf8"):
            return DeliveryFailedError(
                Reason.REFUSED, "The mail server does not support international addresses (SMTPUTF8).", permanent=True
            )
        options = ["SMTPUTF8", "BODY=8BITMIME"] if smtp.supports_extension("8bitmime") else ["SMTPUTF8"]
    if smtp.supports_extension("dsn"):
        # RFC 3461: a bounce returns the headers alone, not the code, and names the message (semantics D9).
        options += ["RET=HDRS", f"ENVID={mail.message_id.strip('<>').partition('@')[0]}"]
    await smtp.mail(mail.sender, options=options, encoding="utf-8" if mail.international else "ascii")
    await smtp.rcpt(mail.recipient, encoding="utf-8" if mail.international else "ascii")
    await smtp.data(mail.content)
    return None


def _failure(error: Exception) -> DeliveryFailedError:
    """Return the failure that an error stands for, without its text, which may name the recipient."""
    if isinstance(error, SMTPResponseException):
        return failure_of_reply(_stage(error), error.code, error.message)
    if isinstance(error, SMTPTimeoutError):
        return _timed_out()
    if (fault := tls.certificate_fault(error)) is not None:
        return DeliveryFailedError(
            Reason.MISCONFIGURED,
            f"The mail server's certificate {fault.what}. {fault.remedy}",
            permanent=not fault.passes,
        )
    if isinstance(
        error, OSError
    ):  # refused, reset, dropped, no such host; the errors of aiosmtplib are ConnectionErrors
        return DeliveryFailedError(Reason.UNREACHABLE, f"The mail server: {why_unreachable(error)}.", permanent=False)
    if isinstance(error, SMTPException):
        return DeliveryFailedError(
            Reason.MISCONFIGURED,
            "The mail server does not offer what is required: STARTTLS, or a way to sign in.",
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
    """Cut a connection; closing it politely would wait for a peer that may be gone."""
    if smtp.transport is not None:
        cast("asyncio.WriteTransport", smtp.transport).abort()
    smtp.close()


async def _leave(smtp: SMTP) -> None:
    try:
        async with asyncio.timeout(_FAREWELL):
            await smtp.quit()
    except (SMTPException, OSError):  # the server may be gone already, or not answer in time
        pass
    finally:
        _drop(smtp)


KIND: Final = ProviderKind(
    summary="a mail server", channels=(Channel.EMAIL,), settings=SmtpSettings, provider=SmtpProvider
)
