"""Addresses that bounces come back to: short enough for an envelope, changed by no server, and made by nobody else."""

from __future__ import annotations

import hashlib
from typing import Literal

import pytest
from email_validator import validate_email
from tests.providers.contexts import context
from tests.providers.peers import ADA, NOW, Authority, StartMailServer, message

from countersign.domain.shared import identifier
from countersign.providers.email.smtp import SmtpProvider, SmtpSettings
from countersign.providers.email.verp import MAX_LOCAL, make_return_path, read_return_path


def mark(key: str) -> bytes:
    return hashlib.sha256(b"secret of tests" + key.encode()).digest()


OWNER = identifier.make("ver", NOW, bytes(range(10)))
KEY = OWNER + ".1.0"
AT = make_return_path("bounces@shop.example", KEY, mark)


def test_an_address_leads_back_to_its_message_however_servers_write_it() -> None:
    validate_email(AT, check_deliverability=False)
    assert len(AT.partition("@")[0]) <= MAX_LOCAL
    for written in (AT, AT.upper(), AT.replace("shop.example", "mx1.shop.example"), AT.replace("bounces+", "codes+")):
        assert read_return_path(written, mark) == KEY


@pytest.mark.parametrize("key", [OWNER, KEY, KEY.replace(".1.0", ".10.9"), KEY.replace("ver_", "ntc_")])
def test_the_longest_name_has_room(key: str) -> None:
    assert read_return_path(make_return_path("bounce-codes@shop.example", key, mark), mark) == key


@pytest.mark.parametrize(
    "address",
    ["", "@", "bounces@shop.example", AT[:-20], AT.replace(".1.0.", ".1.1."), AT + "\n", "x" * 10_000, "+" * 10_000],
)
def test_no_other_address_leads_anywhere(address: str) -> None:
    assert read_return_path(address, mark) is None


def test_a_mark_of_another_secret_leads_nowhere() -> None:
    assert read_return_path(AT, lambda key: hashlib.sha256(key.encode()).digest()) is None


async def test_the_envelope_bears_the_address_and_the_letter_does_not(start_mail_server: StartMailServer) -> None:
    """D5: `From` stays as it is, and so does everything that a person sees."""
    peer = await start_mail_server()
    given = SmtpSettings(
        host="127.0.0.1",
        port=peer.port,
        tls="none",
        from_address="codes@shop.example",
        bounce_address="bounces@müller.example",
    )
    provider = SmtpProvider(given, context(mark=mark))
    await provider.send(message(key=KEY))
    await provider.close()
    (sent,) = peer.letters
    assert sent.mail_from == make_return_path("bounces@xn--mller-kva.example", OWNER, mark)
    assert sent.rcpt_tos == [ADA]
    assert isinstance(sent.content, bytes)
    assert b"bounces" not in sent.content
    assert b"codes@shop.example" in sent.content


async def test_all_letters_of_a_verification_have_one_sender(start_mail_server: StartMailServer) -> None:
    """D9: a try, a resend and another provider of the route are one to a server that greylists; the Message-IDs differ."""
    peer = await start_mail_server()
    given = SmtpSettings(
        host="127.0.0.1",
        port=peer.port,
        tls="none",
        from_address="codes@shop.example",
        bounce_address="bounces@shop.example",
    )
    provider = SmtpProvider(given, context(mark=mark))
    other = OWNER.replace("ver_", "ntc_")
    for key in (KEY, f"{OWNER}.1.1", f"{OWNER}.2.0", f"{other}.1.0"):
        await provider.send(message(key=key))
    await provider.close()
    senders = [one.mail_from for one in peer.letters]
    assert len(set(senders[:3])) == 1
    assert senders[3] != senders[0]
    assert read_return_path(str(senders[0]), mark) == OWNER


@pytest.mark.parametrize("tls", ["none", "starttls"])
async def test_a_server_that_offers_dsn_is_asked_for_the_headers_alone(
    start_mail_server: StartMailServer, authority: Authority, tls: Literal["none", "starttls"]
) -> None:
    """D9: a bounce then brings no code back, and says which message it is about."""
    for dsn, options in ((True, ["RET=HDRS", f"ENVID={KEY}".upper()]), (False, [])):
        peer = await start_mail_server(tls, dsn=dsn)
        given = SmtpSettings(
            host="localhost", port=peer.port, tls=tls, from_address="codes@shop.example", ca_file=authority.ca_file
        )
        provider = SmtpProvider(given, context(mark=mark))
        await provider.send(message(key=KEY))
        await provider.close()
        (sent,) = peer.letters
        assert sent.mail_options == options
