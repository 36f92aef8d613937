"""Signed mail through a real server, held against two verifiers that are not ours: npm mailauth's, and dkimpy's own."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
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


@cache
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def records_of_both() -> dict[str, str]:
    public = ed25519_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    text = f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"
    return {NAME: record(key()), "2026b._domainkey.shop.example": text}


BOTH: dict[str, Any] = {"dkim_ed25519_selector": "2026b", "dkim_ed25519_key": pem(ed25519_key())}

RFC_8463 = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")


def relaxed(name: bytes, value: bytes) -> bytes:
    """Return a header in the relaxed form (RFC 6376, 3.4.2)."""
    return name.strip().lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip()


def verified_here(content: bytes, public: ed25519.Ed25519PublicKey) -> bool:
    """Verify the first signature that is by Ed25519, as RFC 6376 and RFC 8463 say, with nothing of the program's."""
    head, _, text = content.partition(b"\r\n\r\n")
    headers = [tuple(one.split(b":", 1)) for one in re.split(rb"\r\n(?![ \t])", head)]
    signature = next(value for name, value in headers if name == b"DKIM-Signature" and b"ed25519-sha256" in value)
    tags = {
        name.strip(): re.sub(rb"\s", b"", value)
        for name, _, value in (one.partition(b"=") for one in signature.split(b";"))
    }
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip() for line in text.split(b"\r\n")]
    body = (b"\r\n".join(lines)).rstrip(b"\r\n") + b"\r\n"
    if base64.b64encode(hashlib.sha256(body).digest()) != tags[b"bh"]:
        return False
    left = list(headers)
    signed = b""
    for name in tags[b"h"].split(b":"):
        found = next((one for one in reversed(left) if one[0].strip().lower() == name), None)
        if found is not None:
            left.remove(found)
            signed += relaxed(*found) + b"\r\n"
    signed += relaxed(b"dkim-signature", re.sub(rb"(?<=[;\s])b=[^;]*", b"b=", signature))
    try:
        public.verify(base64.b64decode(tags[b"b"]), hashlib.sha256(signed).digest())
    except InvalidSignature:
        return False
    return True


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


# RFC 6376, 8.15, to the letter: whatever a reader is shown by, or a program goes by.
NEVER_ADDED = (
    *("From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References"),
    *("MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-ID", "Content-Disposition"),
    *("Content-Description", "Content-Language", "Auto-Submitted", "Resent-From", "Resent-Sender", "Resent-To"),
    *("Resent-Cc", "Resent-Date", "Resent-Message-ID", "List-Id", "List-Help", "List-Unsubscribe"),
    *("List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner", "List-Archive", "Importance", "Priority"),
    *("Content-Location", "Disposition-Notification-To"),
)


def with_each_added(sent: bytes) -> list[bytes]:
    """Return a mail with each header put before and behind its own, and with another body."""
    changed = [sent + b"x", sent.replace(b"\r\n\r\n", b"\r\n\r\nCall us.\r\n", 1)]
    for name in NEVER_ADDED:
        added = f"{name}: text/html; eve@evil.example\r\n".encode()
        # Before all, and at the end of the head: a mail client may show the first or the last of two.
        changed += [added + sent, sent.replace(b"\r\n\r\n", b"\r\n" + added + b"\r\n", 1)]
    return changed


@needs_mailauth
@pytest.mark.parametrize("with_ed25519", [False, True])
async def test_a_header_that_is_added_on_the_way_breaks_the_signature(
    start_mail_server: StartMailServer, *, with_ed25519: bool
) -> None:
    """D5: each of them, before the others and behind them, by each signature."""
    sent = await letter(await start_mail_server(), **(BOTH if with_ed25519 else {}))
    changed = with_each_added(sent)
    genuine, *others = ask_mailauth(sent, *changed, records=records_of_both())
    assert [found["result"] for found in genuine] == ["pass"] * (2 if with_ed25519 else 1)
    for altered, results in zip(changed, others, strict=True):
        assert "pass" not in {found["result"] for found in results}, altered[:80]


async def test_a_header_that_is_added_breaks_it_for_another_verifier_too(start_mail_server: StartMailServer) -> None:
    """D5: dkimpy's, and ours of the test for Ed25519."""
    sent = await letter(await start_mail_server(), **BOTH)
    assert verified_here(sent, ed25519_key().public_key())
    rsa_alone = b"DKIM-Signature" + sent.split(b"DKIM-Signature", 2)[2]
    assert is_sound(rsa_alone, key())
    assert not any(verified_here(one, ed25519_key().public_key()) for one in with_each_added(sent))
    assert not any(is_sound(one, key()) for one in with_each_added(rsa_alone))


@needs_mailauth
async def test_both_keys_sign(start_mail_server: StartMailServer) -> None:
    """RFC 8463: a receiver that knows Ed25519 takes it, another one takes RSA."""
    sent = await letter(await start_mail_server(), {"html": "", "to": "jörg@straße.example"}, **BOTH)
    ((first, second),) = ask_mailauth(sent, records=records_of_both())
    assert (first["algo"], first["selector"], first["result"]) == ("ed25519-sha256", "2026b", "pass")
    assert (second["algo"], second["selector"], second["result"]) == ("rsa-sha256", "2026a", "pass")
    ((unknown, known),) = ask_mailauth(sent)
    assert unknown["result"] != "pass"
    assert known["result"] == "pass"


def test_the_verifier_of_these_tests_verifies_the_example_of_the_standard() -> None:
    """RFC 8463, appendix A: a signature that others made, and none of an altered letter."""
    public = ed25519.Ed25519PublicKey.from_public_bytes(
        base64.b64decode("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    )
    assert verified_here(RFC_8463, public)
    assert not verified_here(RFC_8463.replace(b"lost", b"won"), public)


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
        ({"dkim_key": pem(key(1024))}, "1024 bits.*openssl genrsa 2048"),
        ({"dkim_key": pem(key(2046))}, "2046 bits"),
        ({"dkim_ed25519_key": pem(ed25519_key())}, "together"),
        ({"dkim_ed25519_selector": "2026b"}, "together"),
        ({**BOTH, "dkim_key": "", "dkim_selector": "", "dkim_domain": ""}, "together"),
        ({**BOTH, "dkim_ed25519_key": pem(key())}, "no Ed25519 key"),
        ({**BOTH, "dkim_ed25519_key": "nonsense-of-tests"}, "dkim_ed25519_key"),
        ({**BOTH, "dkim_ed25519_selector": "2026A"}, "record of its own"),
        ({**BOTH, "dkim_ed25519_selector": "a b"}, "dkim_ed25519_selector"),
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
    given = settings(**BOTH)
    signer = given.signer()
    assert signer is not None
    secrets = ("PRIVATE", pem(key()).splitlines()[5], pem(ed25519_key()).splitlines()[1])
    hidden.check(given, signer, *signer.keys, secrets=secrets)
