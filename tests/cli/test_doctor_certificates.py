"""The doctor looks at certificates: until when each is valid, and what is wrong with one, each cause by itself."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import pytest
from tests.peers.certificates import CertificateAuthority
from tests.providers.contexts import context
from tests.providers.peers import message

from countersign.cli.doctor.certificate_checks import SOON, judge_certificate, look_at_certificate
from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError
from countersign.providers import TlsPeer
from countersign.providers.email.smtp import SmtpProvider, SmtpSettings
from countersign.providers.http.client import Endpoint, HttpClient

if TYPE_CHECKING:
    from pathlib import Path

Starttls = Literal["", "smtp", "imap"]


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext, how: str
) -> None:
    """Greet as a mail server does, until TLS is asked for; then say nothing more."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
        if how == "smtp":
            writer.write(b"220-mail.example.org\r\n220 at your service\r\n")
            assert (await reader.readline()).startswith(b"EHLO")
            writer.write(b"250-mail.example.org\r\n250-SIZE 1000\r\n250 STARTTLS\r\n")
            assert await reader.readline() == b"STARTTLS\r\n"
            writer.write(b"220 go on\r\n")
            await writer.start_tls(context)
        elif how == "imap":
            writer.write(b"* OK at your service\r\n")
            assert await reader.readline() == b"a STARTTLS\r\n"
            writer.write(b"a OK go on\r\n")
            await writer.start_tls(context)
        await reader.read()
    writer.close()


@contextlib.asynccontextmanager
async def serving(context: ssl.SSLContext, how: Starttls = "") -> AsyncIterator[int]:
    """Serve with a certificate on a port of loopback."""
    server = await asyncio.start_server(
        lambda reader, writer: converse(reader, writer, context, how),
        "127.0.0.1",
        0,
        ssl=None if how else context,
    )
    async with server:
        yield server.sockets[0].getsockname()[1]


async def judged(authority: CertificateAuthority, how: Starttls = "", **changes: Any) -> tuple[str, str, str]:
    """Return the state, what was seen and the remedy for a server with such a certificate."""
    known = changes.pop("known", True)
    async with serving(authority.server(**changes), how) as port:
        seen = await look_at_certificate(TlsPeer("localhost", port, authority.ca_file if known else None, how))
    found = judge_certificate("certificate x", "localhost", seen, datetime.now(UTC))
    return found.state.value, found.what, found.remedy


@pytest.mark.parametrize("how", ["", "smtp", "imap"])
async def test_its_days_are_counted(authority: CertificateAuthority, how: Starttls) -> None:
    """No date was said."""
    state, what, remedy = await judged(authority, how, ends=90.5)
    assert (state, remedy) == ("fine", "")
    assert "90 days left" in what
    state, what, remedy = await judged(authority, how, ends=SOON - 0.5)
    assert (state, remedy) == ("advice", "Renew it.")
    assert f"ends in {SOON - 1} days" in what


@pytest.mark.parametrize("how", ["", "smtp", "imap"])
@pytest.mark.parametrize(
    ("changes", "said", "remedy"),
    [
        ({"begins": -90, "ends": -3}, "has expired", "Renew"),
        ({"begins": 3, "ends": 90}, "not valid yet", "clocks"),
        ({"names": ("other.example",)}, "for another name", "name"),
        ({"known": False}, "not trusted", "ca_file"),
    ],
)
async def test_each_cause_is_told_apart_with_the_dates(
    authority: CertificateAuthority, how: Starttls, changes: dict[str, Any], said: str, remedy: str
) -> None:
    """Every error of TLS was "name its authority in ca_file"."""
    state, what, advice = await judged(authority, how, **changes)
    assert state == "unsafe"
    assert said in what
    assert remedy in advice
    assert ("ca_file" in advice) == ("known" in changes)
    assert what.count("20") >= 2, "both dates"
    assert ("other.example" in what) == ("names" in changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"begins": -90, "ends": -3}, "has expired"),
        ({"begins": 3, "ends": 90}, "not valid yet"),
        ({"names": ("other.example",)}, "for another name"),
        ({"known": False}, "not trusted"),
    ],
)
async def test_the_log_says_the_same_cause(authority: CertificateAuthority, changes: dict[str, Any], said: str) -> None:
    known = changes.pop("known", True)
    async with serving(authority.server(**changes)) as port:
        client = HttpClient(
            Endpoint(
                label="Acme",
                url=f"https://localhost:{port}",
                allow_private=True,
                ca_file=authority.ca_file if known else None,
            )
        )
        looked = await client.check()
        with pytest.raises(DeliveryFailedError, match=said) as caught:
            await client.post(f"https://localhost:{port}/x", {}, b"")
        await client.close()
    changes["known"] = known
    assert caught.value.reason is Reason.MISCONFIGURED
    assert said in looked.seen
    assert looked.remedy


@pytest.mark.parametrize(
    ("changes", "permanent"),
    [
        ({"begins": -90, "ends": -3}, False),
        ({"begins": 3, "ends": 90}, False),
        ({"names": ("other.example",)}, True),
    ],
)
async def test_what_is_renewed_over_there_ends_by_itself(
    authority: CertificateAuthority, changes: dict[str, Any], *, permanent: bool
) -> None:
    """D8: an expired certificate ended each message at once, though its code lived until after the renewal."""
    async with serving(authority.server(**changes), "smtp") as port:
        given = SmtpSettings(
            host="localhost", port=port, ca_file=authority.ca_file, from_address="codes@shop.example", timeout=5.0
        )
        mail = SmtpProvider(given, context())
        with pytest.raises(DeliveryFailedError, match="certificate") as by_mail:
            await mail.send(message())
        await mail.close()
    async with serving(authority.server(**changes)) as port:
        url = f"https://localhost:{port}"
        client = HttpClient(Endpoint(label="Acme", url=url, allow_private=True, ca_file=authority.ca_file))
        with pytest.raises(DeliveryFailedError, match="certificate") as by_http:
            await client.post(f"{url}/x", {}, b"")
        await client.close()
    for caught in (by_mail, by_http):
        assert (caught.value.reason, caught.value.permanent) == (Reason.MISCONFIGURED, permanent)


async def test_a_server_whose_tls_fails_is_not_told_to_renew_its_certificate(authority: CertificateAuthority) -> None:
    """OpenSMTPD's own engine failed, and the doctor blamed the authority."""

    async def breaks(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"no TLS is spoken here\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(breaks, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = HttpClient(
            Endpoint(label="Acme", url=f"https://localhost:{port}", allow_private=True, ca_file=authority.ca_file)
        )
        found = await client.check()
        await client.close()
    assert "TLS failed there" in found.seen
    assert "ca_file" not in found.remedy
    assert "Renew" not in found.remedy
