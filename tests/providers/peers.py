"""The other side, for tests of providers: an authority, a real mail server that obeys, and a watch over what is shown."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
import traceback
import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from countersign.domain.delivery.delivery import Message
from countersign.domain.shared.contact import Channel

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOW = 1_795_428_000_000
CODE = "481516"
ADA = "ada.lovelace@example.org"


def message(**changes: object) -> Message:
    """Return a mail with the code in it."""
    given: dict[str, Any] = {
        "key": "ver_01kabc.1.0",
        "channel": Channel.EMAIL,
        "to": ADA,
        "locale": "de-DE",
        "subject": "Ihr Prüfwort für Müller & Söhne",
        "text": f"Ihr Code: {CODE}\n.\nEine Zeile mit einem Punkt davor\n",
        "html": f"<p>Ihr Code: <b>{CODE}</b></p>",
        "sender_name": "Müller & Söhne",
    }
    return Message(**{**given, **changes})


@dataclass
class Authority:
    """Certificates for 127.0.0.1, localhost and sender.example, and the file that says who issued them."""

    ca_file: str
    server: ssl.SSLContext


def make_authority(folder: Path) -> Authority:
    """Return a new authority, with its files in `folder`."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)

    def begin(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + dt.timedelta(days=30))
        )

    root = begin(name, key.public_key()).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName(
        [
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.DNSName("localhost"),
            x509.DNSName("sender.example"),
        ]
    )
    leaf = begin(x509.Name([]), leaf_key.public_key()).add_extension(names, critical=True)
    ca_file, chain = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(root.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    chain.write_bytes(
        leaf.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain)
    return Authority(str(ca_file), context)


class _CountedSMTP(SMTP):
    peer: MailPeer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self.transport:  # not the second call, that STARTTLS makes
            self.peer.connections += 1
        self.peer.transports.append(transport)
        super().connection_made(transport)

    def _getparams(self, params: Sequence[str]) -> dict[str, str | bool] | None:
        """Return the parameters of MAIL; aiosmtpd does not know those of DSN (RFC 3461)."""
        found = super()._getparams(params)
        if found is not None and self.peer.dsn:
            return {name: value for name, value in found.items() if name not in {"RET", "ENVID"}}
        return found


@dataclass
class MailPeer:
    """A mail server (aiosmtpd) that keeps its letters; set a reply to have a command refused."""

    credentials: tuple[str, str] | None = None
    smtputf8: bool = True
    dsn: bool = False
    port: int = 0
    mail_reply: str | None = None
    rcpt_replies: dict[str, str] = field(default_factory=dict)
    data_reply: str | None = None
    letters: list[Envelope] = field(default_factory=list)
    was_secured: list[bool] = field(default_factory=list)
    signed_in: list[bool] = field(default_factory=list)
    connections: int = 0
    transports: list[asyncio.BaseTransport] = field(default_factory=list)

    def protocol(self, starttls: ssl.SSLContext | None) -> SMTP:
        """Return the server's side of one connection, which demands STARTTLS if it is given the means."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # aiosmtpd does not know that a connection which began with TLS has it
            made = _CountedSMTP(
                self,
                hostname="peer.example",
                enable_SMTPUTF8=self.smtputf8,
                tls_context=starttls,
                require_starttls=starttls is not None,
                authenticator=self._authenticate if self.credentials else None,
                auth_required=self.credentials is not None,
                auth_require_tls=starttls is not None,
            )
        made.peer = self
        return made

    def _authenticate(self, _: SMTP, __: Session, ___: Envelope, mechanism: str, given: object) -> AuthResult:
        assert mechanism in {"LOGIN", "PLAIN"}
        assert isinstance(given, LoginPassword)
        return AuthResult(success=self.credentials == (given.login.decode(), given.password.decode()), handled=False)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _: SMTP, session: Session, __: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-DSN", responses[-1]] if self.dsn else responses

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _: SMTP, __: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mail_reply:
            return self.mail_reply
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        if address in self.rcpt_replies:
            return self.rcpt_replies[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.data_reply:
            return self.data_reply
        self.letters.append(envelope)
        assert server.transport is not None
        self.was_secured.append(server.transport.get_extra_info("sslcontext") is not None)
        self.signed_in.append(bool(session.authenticated))
        return "250 2.0.0 Ok: queued"

    def hang_up(self) -> None:
        """Close every connection, as a server does with idle ones."""
        for transport in self.transports:
            transport.close()


StartMailServer = Callable[..., Awaitable[MailPeer]]
Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
StartServer = Callable[..., Awaitable[int]]


class Hidden:
    """Collects what was logged, and says whether a secret shows anywhere."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def check(self, *shown: object, secrets: tuple[str, ...] = (CODE, ADA)) -> None:
        """Fail if a secret is in the repr or str of one of `shown`, in an exception's whole chain, or in a log of ours."""
        texts = [text for thing in shown for text in (repr(thing), str(thing))]
        for thing in shown:
            if isinstance(thing, BaseException):
                texts += traceback.format_exception(thing)
                assert thing.__cause__ is None
                assert thing.__context__ is None
        texts += [
            record.getMessage() + str(record.exc_text)
            for record in self._caplog.records
            if not record.name.startswith("mail.")  # the log of aiosmtpd, which is the peer
        ]
        for text in texts:
            for secret in secrets:
                assert secret not in text
