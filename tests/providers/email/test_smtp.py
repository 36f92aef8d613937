"""Mail through a real server: what arrives, how it is secured, and what its refusals mean."""

from __future__ import annotations

import asyncio
import base64
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from tests.providers.contexts import context, flat
from tests.providers.peers import ADA, CODE, NOW, Authority, Hidden, MailPeer, StartMailServer, message

from countersign.domain.delivery.delivery import Accepted, Reason
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers.email.smtp import SmtpProvider, SmtpSettings

SENDER = "codes@shop.example"
PASSWORD = "correct horse battery"


def settings(peer: MailPeer, **changes: object) -> SmtpSettings:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": peer.port,
        "tls": "none",
        "from_address": SENDER,
        "timeout": 5,
    }
    return flat(SmtpSettings, **{**given, **changes})


def provider(peer: MailPeer, **changes: object) -> SmtpProvider:
    return SmtpProvider(settings(peer, **changes), context())


async def refusal(mail: SmtpProvider, **changes: object) -> DeliveryFailedError:
    with pytest.raises(DeliveryFailedError) as caught:
        await mail.send(message(**changes))
    return caught.value


def read(peer: MailPeer, number: int = -1) -> EmailMessage:
    content = peer.letters[number].content
    assert isinstance(content, bytes)
    found = message_from_bytes(content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


async def test_mail_arrives_as_text_and_html_with_the_headers_it_needs(start_mail_server: StartMailServer) -> None:
    """D5: both parts, Auto-Submitted, a Message-ID made of the key, no List-Unsubscribe."""
    peer = await start_mail_server()
    mail = provider(peer)
    word = await mail.send(message())
    await mail.close()
    found = read(peer)
    assert word == Accepted("<ver_01kabc.1.0@shop.example>")
    assert found["Message-ID"] == word.provider_message_id
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["List-Unsubscribe"] is None
    assert found["Content-Language"] == "de-DE"
    assert str(found["Subject"]) == "Ihr Prüfwort für Müller & Söhne"
    assert found["From"].addresses[0].display_name == "Müller & Söhne"
    assert found["From"].addresses[0].addr_spec == SENDER
    assert str(found["To"]) == ADA
    assert parsedate_to_datetime(str(found["Date"])).timestamp() * 1000 == NOW
    assert found.get_content_type() == "multipart/alternative"
    text, html = found.iter_parts()
    assert isinstance(text, EmailMessage)
    assert isinstance(html, EmailMessage)
    assert text.get_content().replace("\r\n", "\n") == f"Ihr Code: {CODE}\n.\nEine Zeile mit einem Punkt davor\n"
    assert html.get_content().strip() == f"<p>Ihr Code: <b>{CODE}</b></p>"
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert (peer.letters[0].mail_from, peer.letters[0].rcpt_tos) == (SENDER, [ADA])


async def test_a_second_try_has_the_same_message_id_and_another_message_another(
    start_mail_server: StartMailServer,
) -> None:
    """D2: a mail that goes out twice can be recognised as one."""
    peer = await start_mail_server()
    mail = provider(peer)
    for key in ("ver_1.1.0", "ver_1.1.0", "ver_1.2.0"):
        await mail.send(message(key=key))
    await mail.close()
    assert [read(peer, number)["Message-ID"] for number in range(3)] == [
        "<ver_1.1.0@shop.example>",
        "<ver_1.1.0@shop.example>",
        "<ver_1.2.0@shop.example>",
    ]


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mail_is_secured_and_signed_in_on_one_kept_connection(
    start_mail_server: StartMailServer, authority: Authority, tls: str
) -> None:
    peer = await start_mail_server(tls, ("codes", PASSWORD))
    mail = provider(peer, tls=tls, username="codes", password=PASSWORD, ca_file=authority.ca_file)
    for number in range(3):
        await mail.send(message(key=f"ver_1.{number}.0"))
    await mail.close()
    assert peer.was_secured == [True] * 3
    assert peer.signed_in == [True] * 3
    assert peer.connections == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_of_an_unknown_authority_is_refused_and_nothing_is_sent(
    start_mail_server: StartMailServer, tls: str, hidden: Hidden
) -> None:
    peer = await start_mail_server(tls)
    failure = await refusal(provider(peer, tls=tls))
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)
    assert "certificate" in str(failure)
    assert peer.letters == []
    hidden.check(failure)


async def test_a_certificate_for_another_name_is_refused(
    start_mail_server: StartMailServer, authority: Authority
) -> None:
    peer = await start_mail_server(
        "starttls", address="127.0.0.2"
    )  # this machine as well, but the certificate does not say so
    failure = await refusal(provider(peer, host="127.0.0.2", tls="starttls", ca_file=authority.ca_file))
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)
    assert peer.letters == []


async def test_starttls_is_required_where_it_is_asked_for(start_mail_server: StartMailServer, hidden: Hidden) -> None:
    peer = await start_mail_server("none")
    failure = await refusal(provider(peer, tls="starttls"))
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)
    assert peer.letters == []
    hidden.check(failure)


async def test_a_wrong_password_is_the_operators_mistake_and_stays_hidden(
    start_mail_server: StartMailServer, authority: Authority, hidden: Hidden
) -> None:
    """C8: neither the password nor what it becomes on the wire is shown."""
    peer = await start_mail_server("tls", ("codes", "another"))
    mail = provider(peer, tls="tls", username="codes", password=PASSWORD, ca_file=authority.ca_file)
    failure = await refusal(mail)
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)
    plain = base64.b64encode(f"\0codes\0{PASSWORD}".encode()).decode()
    hidden.check(failure, mail, mail._settings, secrets=(PASSWORD, plain, CODE, ADA))
    assert peer.letters == []


@pytest.mark.parametrize(
    ("reply", "reason", "permanent"),
    [
        ("550 5.1.1 <ada.lovelace@example.org>: no such user", Reason.UNKNOWN_RECIPIENT, True),
        ("550 no such user ada.lovelace@example.org", Reason.UNKNOWN_RECIPIENT, True),
        ("550 User not listed in directory", Reason.UNKNOWN_RECIPIENT, True),
        ("551 user not local", Reason.UNKNOWN_RECIPIENT, True),
        ("553 5.1.3 bad address", Reason.UNKNOWN_RECIPIENT, True),
        ("550 5.2.1 mailbox disabled", Reason.UNKNOWN_RECIPIENT, True),
        ("550 5.1.8 sender has no MX", Reason.MISCONFIGURED, True),
        ("552 mailbox is over its quota", Reason.MAILBOX_FULL, True),
        ("552 5.2.2 mailbox full", Reason.MAILBOX_FULL, True),
        ("552 5.3.4 message too big", Reason.REFUSED, True),
        ("554 transaction failed", Reason.REFUSED, True),
        ("554 5.7.1 Service unavailable; client blocked using a list", Reason.BLOCKED, True),
        ("550 5.7.1 message refused by policy", Reason.REFUSED, True),
        ("550 your address is listed on a denylist", Reason.BLOCKED, True),
        ("554 5.7.1 Relay access denied", Reason.MISCONFIGURED, True),
        ("530 5.7.0 authentication required", Reason.MISCONFIGURED, True),
        ("450 4.2.0 Greylisted, see you in 5 minutes", Reason.GREYLISTED, False),
        ("451 4.7.1 Greylisting in action, please come back later", Reason.GREYLISTED, False),
        ("450 4.7.1 too many messages", Reason.THROTTLED, False),
        ("421 4.7.0 rate limit exceeded", Reason.THROTTLED, False),
        ("421 shutting down", Reason.UNREACHABLE, False),
        ("451 local error in processing", Reason.PROVIDER_ERROR, False),
        ("452 4.2.2 the mailbox is over its quota", Reason.MAILBOX_FULL, False),
        ("452 insufficient storage", Reason.MAILBOX_FULL, False),
        ("452 4.3.1 the server's disk is full", Reason.PROVIDER_ERROR, False),
    ],
)
async def test_a_refused_recipient_is_told_by_its_reason(
    start_mail_server: StartMailServer, hidden: Hidden, reply: str, reason: Reason, *, permanent: bool
) -> None:
    """D2: 4xx may be tried again, 5xx may not; C8: the reply, which repeats the address, is not shown."""
    peer = await start_mail_server()
    peer.rcpt_replies[ADA] = reply
    mail = provider(peer)
    failure = await refusal(mail)
    await mail.close()
    assert (failure.reason, failure.permanent) == (reason, permanent)
    assert reply[:3] in str(failure)
    hidden.check(failure)
    assert peer.letters == []


async def test_a_refused_sender_is_not_told_as_an_unknown_recipient(start_mail_server: StartMailServer) -> None:
    """D2: that would end the message on every route."""
    peer = await start_mail_server()
    peer.mail_reply = "550 5.1.0 sender rejected"
    mail = provider(peer)
    failure = await refusal(mail)
    await mail.close()
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)


@pytest.mark.parametrize(
    ("reply", "reason", "permanent"),
    [
        ("550 5.7.1 this looks like spam", Reason.BLOCKED, True),
        ("550 content rejected", Reason.REFUSED, True),
        ("550 5.1.1 found out late", Reason.UNKNOWN_RECIPIENT, True),
        ("451 4.3.0 try later", Reason.PROVIDER_ERROR, False),
        ("452 4.2.2 full", Reason.MAILBOX_FULL, False),
    ],
)
async def test_a_refusal_after_the_message_is_told_by_its_reason(
    start_mail_server: StartMailServer, hidden: Hidden, reply: str, reason: Reason, *, permanent: bool
) -> None:
    """D2: the last answer counts as much as the first."""
    peer = await start_mail_server()
    peer.data_reply = reply
    mail = provider(peer)
    failure = await refusal(mail)
    await mail.close()
    assert (failure.reason, failure.permanent) == (reason, permanent)
    hidden.check(failure)


async def test_one_refused_of_many_hinders_no_other_and_costs_no_connection(start_mail_server: StartMailServer) -> None:
    peer = await start_mail_server()
    peer.rcpt_replies["nobody@example.org"] = "550 5.1.1 no such user"
    mail = provider(peer, connections=1)
    await mail.send(message(key="a.1.0"))
    await refusal(mail, key="b.1.0", to="nobody@example.org")
    await mail.send(message(key="c.1.0"))
    await mail.close()
    assert [letter.rcpt_tos for letter in peer.letters] == [[ADA], [ADA]]
    assert peer.connections == 1


async def test_no_more_connections_than_are_allowed_serve_many_at_once(start_mail_server: StartMailServer) -> None:
    peer = await start_mail_server()
    mail = provider(peer, connections=3)
    assert mail.most_at_once == 12
    words = await asyncio.gather(*(mail.send(message(key=f"ver_1.{number}.0")) for number in range(30)))
    await mail.close()
    assert len({word.provider_message_id for word in words}) == 30
    assert len({read(peer, number)["Message-ID"] for number in range(30)}) == 30
    assert peer.connections == 3


async def test_a_connection_that_was_dropped_while_idle_is_replaced_without_a_word(
    start_mail_server: StartMailServer,
) -> None:
    """D2: nothing had been sent on it, so nothing can arrive twice."""
    peer = await start_mail_server()
    mail = provider(peer)
    await mail.send(message(key="a.1.0"))
    peer.hang_up()
    await mail.send(message(key="b.1.0"))  # we may or may not have heard of the loss by now
    peer.hang_up()
    await asyncio.sleep(0.05)
    await mail.send(message(key="c.1.0"))  # now we have
    await mail.close()
    assert [read(peer, number)["Message-ID"][1:6] for number in range(len(peer.letters))] == ["a.1.0", "b.1.0", "c.1.0"]
    assert peer.connections == 3


async def test_an_international_domain_is_written_in_ascii(start_mail_server: StartMailServer) -> None:
    peer = await start_mail_server(smtputf8=False)
    mail = provider(peer, from_address="codes@müller.example")
    await mail.send(message(to="ada@straße.example"))
    await mail.close()
    assert peer.letters[0].rcpt_tos == ["ada@xn--strae-oqa.example"]
    assert peer.letters[0].mail_from == "codes@xn--mller-kva.example"
    assert str(read(peer)["To"]) == "ada@xn--strae-oqa.example"


async def test_an_international_local_part_goes_where_the_server_takes_it(start_mail_server: StartMailServer) -> None:
    peer = await start_mail_server()
    mail = provider(peer)
    await mail.send(message(to="jörg@münchen.example"))
    await mail.close()
    assert peer.letters[0].rcpt_tos == ["jörg@xn--mnchen-3ya.example"]
    assert "SMTPUTF8" in peer.letters[0].mail_options
    assert isinstance(peer.letters[0].content, bytes)
    assert "\r\nTo: jörg@xn--mnchen-3ya.example\r\n".encode() in peer.letters[0].content


async def test_an_international_local_part_is_refused_where_the_server_does_not_take_it(
    start_mail_server: StartMailServer, hidden: Hidden
) -> None:
    peer = await start_mail_server(smtputf8=False)
    mail = provider(peer)
    failure = await refusal(mail, to="jörg@münchen.example")
    await mail.send(message())  # and the connection is still good
    await mail.close()
    assert (failure.reason, failure.permanent) == (Reason.REFUSED, True)
    assert (peer.connections, len(peer.letters)) == (1, 1)
    hidden.check(failure, secrets=("jörg", CODE))


async def test_other_channels_are_not_for_mail(start_mail_server: StartMailServer) -> None:
    peer = await start_mail_server()
    failure = await refusal(provider(peer), channel=Channel.SMS, to="+14155550123")
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)
    assert peer.connections == 0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"host": ""}, "host"),
        ({"host": "mail.example\r\nQUIT"}, "host"),
        ({"port": 0}, "port"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 60}, "timeout"),
        ({"connections": 0}, "connections"),
        ({"username": "codes"}, "password"),
        ({"username": "codes", "password": PASSWORD, "tls": "none"}, "tls"),
        ({"from_address": "codes"}, "from_address"),
        ({"from_address": "+14155550123"}, "from_address"),
        ({"from_address": "cödes@shop.example"}, "from_address"),
        ({"from_address": "codes@shop.example\nBcc: eve@example.org"}, "from_address"),
    ],
)
def test_a_bad_setting_is_named_and_no_secret_with_it(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError, match=word) as caught:
        settings(MailPeer(port=25), **changes)
    assert PASSWORD not in str(caught.value)


def test_a_file_of_authorities_that_is_none_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(SettingsError, match="ca_file"):
        provider(MailPeer(port=25), tls="tls", ca_file=str(tmp_path / "ca.pem"))
