"""The checks of `countersign doctor` for certificates: until when each is valid, for our own address and for every peer."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.errors import SettingsError
from countersign.providers import TlsPeer
from countersign.providers.http import tls

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.config import Settings
    from countersign.providers import Connectivity

SOON: Final = 21
"""Days. A certificate that renews itself does so earlier."""

PATIENCE: Final = 10.0
"""Timeout for one peer in seconds."""

_LINES: Final = 64
"""The most lines that a server may greet us with."""


class SeenCertificate(msgspec.Struct, frozen=True):
    """A certificate that a server showed, and what is wrong with it."""

    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    issuer: str
    fault: tls.CertificateFault | None


async def check_certificates(settings: Settings, seen: Mapping[str, Connectivity]) -> list[CheckResult]:
    """Look at the certificate of each peer that was reached, and at that of our own address."""
    peers = {f"provider {name}" if name != "bounces" else name: one.peer for name, one in seen.items() if one.peer}
    own = urlsplit(settings.public_url)
    if own.scheme == "https" and own.hostname:
        peers["public_url"] = TlsPeer(own.hostname, own.port or 443)
    found = await asyncio.gather(*(_check(name, peer) for name, peer in peers.items()))
    return [one for one in found if one is not None]


async def _check(name: str, peer: TlsPeer) -> CheckResult | None:
    where = f"{peer.host} port {peer.port}"
    try:
        async with asyncio.timeout(PATIENCE):
            certificate = await look_at_certificate(peer)
    except (OSError, TimeoutError, EOFError, SettingsError, ValueError) as error:
        if name != "public_url":
            return None  # its own check says what keeps us from it
        return CheckResult(
            f"certificate {name}",
            CheckState.ADVICE,
            f"{where} cannot be reached from here ({type(error).__name__}), so its certificate was not seen.",
            "Look at it from outside.",
        )
    return judge_certificate(f"certificate {name}", where, certificate, datetime.now(UTC))


def judge_certificate(name: str, where: str, certificate: SeenCertificate, now: datetime) -> CheckResult:
    """Return what is to be said of a certificate."""
    days = (certificate.not_after - now).days
    dates = f"valid from {certificate.not_before:%Y-%m-%d} until {certificate.not_after:%Y-%m-%d}"
    if certificate.fault is not None:
        whose = f", for {', '.join(certificate.names[:5]) or 'no name'}, issued by {certificate.issuer}"
        return CheckResult(
            name,
            CheckState.UNSAFE,
            f"{where}: its certificate {certificate.fault.what} ({dates}{whose}).",
            certificate.fault.remedy,
        )
    if days < SOON:
        return CheckResult(
            name,
            CheckState.ADVICE,
            f"{where}: its certificate ends in {days} day{'s' * (days != 1)} ({dates}).",
            "Renew it.",
        )
    return CheckResult(name, CheckState.FINE, f"{where}: {days} days left ({dates})")


async def look_at_certificate(peer: TlsPeer) -> SeenCertificate:
    """Return the certificate that a server shows. Raises OSError, EOFError or ValueError if it shows none."""
    fault: tls.CertificateFault | None = None
    try:
        shown = await _shown(peer, tls.client_context(peer.ca_file))
    except ssl.SSLCertVerificationError as error:
        fault = tls.certificate_fault(error)
        # Once more without a look at it: one that was refused is not handed out. Nothing is said on this connection.
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        shown = await _shown(peer, blind)
    return _read(shown, fault)


async def _shown(peer: TlsPeer, context: ssl.SSLContext) -> bytes:
    """Connect, ask for TLS if need be, and return the certificate in DER."""
    if peer.starttls:
        reader, writer = await asyncio.open_connection(peer.host, peer.port)
    else:
        reader, writer = await asyncio.open_connection(peer.host, peer.port, ssl=context, server_hostname=peer.host)
    try:
        if peer.starttls == "smtp":
            await _read_reply(reader, b"220")
            await _say(writer, b"EHLO localhost")
            await _read_reply(reader, b"250")
            await _say(writer, b"STARTTLS")
            await _read_reply(reader, b"220")
        elif peer.starttls == "imap":
            await reader.readline()
            await _say(writer, b"a STARTTLS")
            await _read_tagged(reader)
        if peer.starttls:
            await writer.start_tls(context, server_hostname=peer.host)
        secure: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        shown = None if secure is None else secure.getpeercert(binary_form=True)
        if shown is None:
            raise ConnectionAbortedError
        return shown
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _say(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line + b"\r\n")
    await writer.drain()


async def _read_reply(reader: asyncio.StreamReader, code: bytes) -> None:
    """Read a reply of SMTP to its last line (RFC 5321, 4.2.1). Raises ConnectionAbortedError unless it has this code."""
    for _ in range(_LINES):
        line = await reader.readline()
        if not line.startswith(code):
            break
        if line[3:4] != b"-":
            return
    raise ConnectionAbortedError


async def _read_tagged(reader: asyncio.StreamReader) -> None:
    for _ in range(_LINES):
        line = await reader.readline()
        if line.startswith(b"a OK"):
            return
        if not line.startswith(b"*"):
            break
    raise ConnectionAbortedError


def _read(der: bytes, fault: tls.CertificateFault | None) -> SeenCertificate:
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names: list[str] = []
    else:
        names = [
            *found.get_values_for_type(x509.DNSName),
            *map(str, found.get_values_for_type(x509.IPAddress)),
        ]
    return SeenCertificate(
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        tuple(names),
        certificate.issuer.rfc4514_string() or "nobody named",
        fault,
    )
