"""Signed mail through a real server, held against two verifiers that are not ours: npm mailauth's, and dkimpy's own."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from tests.providers.contexts import context, flat
from tests.providers.peers import Hidden, MailPeer, StartMailServer, message

from countersign.errors import SettingsError
from countersign.providers.email.smtp import SmtpProvider, SmtpSettings

ROOT = Path(__file__).resolve().parent.parent.parent.parent
ORACLE = ROOT / "tests" / "peers" / "mailauth_oracle.mjs"
NAME = "2026a._domainkey.shop.example"
needs_mailauth = pytest.mark.skipif(
    shutil.which("node") is None or not (ROOT / "node_modules" / "mailauth").exists(), reason="needs node and npm ci"
)


@cache
def key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, bits)


def pem(private: Any, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> str:
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    written: bytes = private.private_bytes(Encoding.PEM, form, hidden)
    return written.decode()


def record(private: rsa.RSAPrivateKey) -> str:
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


def settings(**changes: Any) -> SmtpSettings:
    given = {
        "host": "127.0.0.1",
        "tls": "none",
        "from_address": "codes@shop.example",
        "dkim_domain": "shop.example",
        "dkim_selector": "2026a",
        "dkim_key": pem(key()),
    }
    return flat(SmtpSettings, **{**given, **changes})


async def letter(peer: MailPeer, told: dict[str, object] | None = None, **changes: Any) -> bytes:
    provider = SmtpProvider(settings(port=peer.port, **changes), context())
    await provider.send(message(**(told or {})))
    await provider.close()
    content = peer.letters[-1].content
    assert isinstance(content, bytes)
    return content


def ask_mailauth(*letters: bytes, records: dict[str, str] | None = None) -> list[list[dict[str, Any]]]:
    given = {
        "records": {NAME: record(key())} if records is None else records,
        "letters": [base64.b64encode(one).decode() for one in letters],
    }
    done = subprocess.run(
        ["node", str(ORACLE)], input=json.dumps(given), capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_sound(content: bytes, private: rsa.RSAPrivateKey) -> bool:
    return bool(dkim.verify(content, dnsfunc=lambda _name, timeout=5: record(private).encode()))  # noqa: ARG005


@needs_mailauth
async def test_a_letter_is_signed_as_strangers_verify_it(start_mail_server: StartMailServer) -> None:
    """D5: what a real server was handed, with an international name and a line that begins with a dot."""
    peer = await start_mail_server()
    sent = [await letter(peer), await letter(peer, {"html": "", "to": "jörg@straße.example"})]
    for (found,) in ask_mailauth(*sent):
        assert found["result"] == "pass"
        assert (found["signingDomain"], found["selector"]) == ("shop.example", "2026a")
        assert (found["algo"], found["format"]) == ("rsa-sha256", "relaxed/relaxed")
    assert all(is_sound(one, key()) for one in sent)


@needs_mailauth
@pytest.mark.parametrize("name", ["From", "To", "Subject", "Date", "Message-ID"])
async def test_a_header_that_is_added_on_the_way_breaks_the_signature(
    start_mail_server: StartMailServer, name: str
) -> None:
    """D5: a mail client may show the first or the last of two."""
    sent = await letter(await start_mail_server())
    first = f"{name}: eve@evil.example\r\n".encode() + sent
    last = sent.replace(b"\r\n\r\n", f"\r\n{name}: eve@evil.example\r\n\r\n".encode(), 1)
    body = sent.replace(b"Ihr", b"Mein", 1) if b"Ihr" in sent else sent + b"x"
    results = [found[0]["result"] for found in ask_mailauth(sent, first, last, body)]
    assert results[0] == "pass"
    assert "pass" not in results[1:]
    assert not any(is_sound(one, key()) for one in (first, last, body))


@needs_mailauth
async def test_a_signature_of_another_key_is_none(start_mail_server: StartMailServer) -> None:
    sent = await letter(await start_mail_server())
    ((other,),) = ask_mailauth(sent, records={NAME: record(key(1024))})
    ((none,),) = ask_mailauth(sent, records={})
    assert "pass" not in {other["result"], none["result"]}


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
async def test_a_key_may_be_written_in_both_forms_of_openssl(
    start_mail_server: StartMailServer, form: PrivateFormat
) -> None:
    assert is_sound(await letter(await start_mail_server(), dkim_key=pem(key(), form)), key())


async def test_a_letter_without_a_key_is_not_signed(start_mail_server: StartMailServer) -> None:
    content = await letter(await start_mail_server(), dkim_domain="", dkim_selector="", dkim_key="")
    assert b"DKIM" not in content


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"dkim_key": "nonsense-of-tests"}, "dkim_key"),
        ({"dkim_key": ""}, "dkim_key"),
        ({"dkim_domain": ""}, "together"),
        ({"dkim_selector": ""}, "together"),
        ({"dkim_domain": "shop"}, "dkim_domain"),
        ({"dkim_domain": "shop.example; d=evil.example"}, "dkim_domain"),
        ({"dkim_selector": "a b"}, "dkim_selector"),
        ({"dkim_selector": "a\r\nBcc: x"}, "dkim_selector"),
        ({"dkim_key": pem(ed25519.Ed25519PrivateKey.generate())}, "no RSA key"),
        ({"dkim_key": pem(key(), password=b"word")}, "without a password"),
        ({"bounce_address": "bounces"}, "bounce_address"),
        ({"bounce_address": "bounces+x@shop.example"}, "bounce_address"),
        ({"bounce_address": "much-too-long-a-name@shop.example"}, "bounce_address"),
    ],
)
def test_a_bad_key_stops_the_start_with_a_word_and_is_not_shown(changes: dict[str, Any], word: str) -> None:
    """C8: the error says which setting, and nothing of the key."""
    with pytest.raises(SettingsError, match=word) as caught:
        settings(**changes)
    shown = repr(caught.value) + repr(caught.value.__context__ if not caught.value.__suppress_context__ else "")
    assert "nonsense-of-tests" not in shown
    assert "PRIVATE" not in shown


def test_a_key_is_nowhere_shown(hidden: Hidden) -> None:
    """C8: neither by its settings nor by what signs."""
    given = settings()
    hidden.check(given, given.signer(), secrets=("PRIVATE", pem(key()).splitlines()[5]))
