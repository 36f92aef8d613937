"""Bounces: what real servers write is understood, and what is broken or hostile is no bounce."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.providers.bounces import postfix

from countersign.domain.delivery.delivery import Reason
from countersign.providers.email.dsn import MAX_BYTES, Bounce, DsnAction, parse_bounce, reason_of

AT = "bounces+x@shop.example"


def bounce(raw: bytes) -> Bounce:
    found = parse_bounce(raw)
    assert found is not None
    return found


def report(*groups: str, type_: str = "message/delivery-status", encoding: str = "7bit", head: str = "") -> bytes:
    """Return a report whose status has these groups of fields."""
    status = "\n\n".join(groups) + "\n"
    if encoding == "base64":
        status = base64.encodebytes(status.encode()).decode()
    return (
        f'To: {AT}\n{head}Content-Type: multipart/report; boundary="b"\n\n--b\nContent-Type: text/plain\n\nSorry.\n'
        f"--b\nContent-Type: {type_}\nContent-Transfer-Encoding: {encoding}\n\n{status}\n--b--\n"
    ).encode()


def test_a_bounce_says_where_it_arrived_whom_it_is_about_and_why() -> None:
    found = bounce(postfix(AT))
    assert found.arrived_at == (AT,)
    (one,) = found.recipients
    assert (set(one.addresses), one.action, one.reason) == (
        {"ada@example.org"},
        DsnAction.FAILED,
        Reason.UNKNOWN_RECIPIENT,
    )


@pytest.mark.parametrize(
    ("status", "diagnostic", "reason"),
    [
        ("5.1.1", "", Reason.UNKNOWN_RECIPIENT),
        ("5.1.10", "", Reason.UNKNOWN_RECIPIENT),
        ("5.2.1", "", Reason.UNKNOWN_RECIPIENT),
        ("5.1.1 (bad destination mailbox address)", "", Reason.UNKNOWN_RECIPIENT),
        ("5.0.0", "smtp; 550 5.1.1 no such user here", Reason.UNKNOWN_RECIPIENT),
        ("", "smtp;550-5.1.1 The email account does not exist", Reason.UNKNOWN_RECIPIENT),
        ("5.2.2", "", Reason.MAILBOX_FULL),
        ("5.0.0", "smtp; 552 mailbox is full", Reason.MAILBOX_FULL),
        ("5.7.1", "smtp; 550 5.7.1 message looks like spam", Reason.BLOCKED),
        ("5.7.26", "", Reason.BLOCKED),
        ("5.1.8", "", Reason.REFUSED),
        ("5.4.4", "", Reason.REFUSED),
        ("5.3.4", "", Reason.REFUSED),
        ("5.0.0", "smtp; 550 administrative prohibition", Reason.REFUSED),
        ("", "", Reason.REFUSED),
        ("5.999.999", "", Reason.REFUSED),
        ("no status", "no code", Reason.REFUSED),
        ("4.4.7", "smtp; delivery time expired", None),
        ("4.2.2", "", None),
        ("", "smtp; 451 try later", None),
        ("2.0.0", "", None),
    ],
)
def test_a_failure_has_the_reason_that_a_refusal_would_have(
    status: str, diagnostic: str, reason: Reason | None
) -> None:
    """D2: a bare 550 is never taken for a mailbox that is not there, and what fails for now says nothing."""
    assert reason_of(status, diagnostic) == reason
    (one,) = bounce(postfix(AT, status=status, diagnostic=diagnostic)).recipients
    assert one.reason == reason


@pytest.mark.parametrize("word", ["delayed", "relayed", "delivered", "expanded", "Delayed (will retry)", "DELIVERED"])
def test_what_is_no_failure_has_no_reason(word: str) -> None:
    (one,) = bounce(postfix(AT, action=word)).recipients
    assert (one.action.value, one.reason) == (word.split(maxsplit=1)[0].lower(), None)


@pytest.mark.parametrize(
    "raw",
    [
        report("Reporting-MTA: dns; x", "final-recipient : RFC822;<Ada@Example.ORG>\nACTION:Failed\nstatus:5.1.1"),
        report("Reporting-MTA: dns; x", "Final-Recipient: ada@example.org\nAction: failed (no)\nStatus: 5.1.1"),
        report("Final-Recipient: rfc822; ada@example.org\nAction: failed\nStatus: 5.1.1"),
        report(
            "Reporting-MTA: dns; x",
            "Final-Recipient: rfc822;\n  ada@example.org\nAction: failed\nDiagnostic-Code: smtp; 550\n 5.1.1 unknown\nStatus: 5.0.0",
        ),
        report(
            "Reporting-MTA: dns; x",
            "Final-Recipient: utf-8; ada@example.org\nAction: failed\nStatus: 5.1.1",
            type_="message/global-delivery-status",
        ),
        report(
            "Reporting-MTA: dns; x",
            "Final-Recipient: rfc822; ada@example.org\nAction: failed\nStatus: 5.1.1",
            encoding="base64",
        ),
        postfix(AT).replace(b"\n", b"\r\n"),
        b"From MAILER-DAEMON Wed Nov 25 12:00:00 2026\n" + postfix(AT),
        postfix(AT).replace(b"report-type=delivery-status;", b""),
    ],
    ids=["case", "no type", "one group", "folded", "utf-8", "base64", "crlf", "mbox", "no report-type"],
)
def test_the_spellings_of_many_servers_are_understood(raw: bytes) -> None:
    (one,) = bounce(raw).recipients
    assert (one.addresses[0], one.reason) == ("ada@example.org", Reason.UNKNOWN_RECIPIENT)


def test_each_of_several_recipients_is_told_apart() -> None:
    found = bounce(
        report(
            "Reporting-MTA: dns; x",
            "Final-Recipient: rfc822; ada@example.org\nAction: delayed\nStatus: 4.4.1",
            "Final-Recipient: rfc822; eve@example.org\nAction: failed\nStatus: 5.2.2",
        )
    )
    assert [(one.addresses, one.reason) for one in found.recipients] == [
        (("ada@example.org",), None),
        (("eve@example.org",), Reason.MAILBOX_FULL),
    ]


def test_where_it_arrived_is_read_from_every_header_that_servers_note_it_in() -> None:
    names = ("Delivered-To", "X-Original-To", "Envelope-To", "Original-Recipient")
    head = "".join(f"{name}: rfc822;<B{number}@Shop.example>\n" for number, name in enumerate(names))
    group = "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1"
    assert bounce(report(group, head=head)).arrived_at == (AT, *(f"b{number}@shop.example" for number in range(4)))


def nested(depth: int) -> bytes:
    parts = [f"Content-Type: multipart/report; boundary=b{level}\n\n--b{level}\n" for level in range(depth)]
    return ("To: x@y.example\n" + "".join(parts) + "Content-Type: message/delivery-status\n\nAction: failed\n").encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 1000,
        b"\n\n\n",
        b"Subject: hello\n\nhello\n",
        postfix(AT) + b"x" * MAX_BYTES,
        nested(3),
        nested(3000),
        postfix(AT).replace(b"Content-Type: message/delivery-status", b"Content-Type: text/plain"),
        postfix(AT).replace(b'boundary="4Xk.1/mx.example.org"', b""),
        postfix(AT).replace(b'boundary="4Xk.1/mx.example.org"', b"boundary*=no-such-charset''%FF%FE"),
        postfix(AT).replace(b'boundary="4Xk.1/mx.example.org"', b"boundary=\xff\xfe"),
        postfix(AT).replace(b"Action: failed\n", b""),
        postfix(AT).replace(b"Action: failed\n", b"Action: exploded\n"),
        postfix(AT)[:400],
        report("", encoding="base64").replace(b"\n\n--b--", b"\n!!!\n--b--"),
    ],
)
def test_what_is_broken_or_hostile_is_no_bounce(raw: bytes) -> None:
    began = time.process_time()
    assert parse_bounce(raw) is None
    assert time.process_time() - began < 1


@pytest.mark.parametrize("filler", [b"--4Xk.1/mx.example.org\n", b"a: b\n", b"\n", b" \n", b"\t", b"<a@", b"5.", b";"])
def test_a_mail_of_the_greatest_size_is_read_in_no_time(filler: bytes) -> None:
    for place in (b"Reporting-MTA", b"Diagnostic-Code: ", b"To: "):
        raw = postfix(AT).replace(place, filler * 30_000 + place)[:MAX_BYTES]
        began = time.process_time()
        parse_bounce(raw)
        assert time.process_time() - began < 1


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_mail_however_spoilt_is_an_error(data: st.DataObject) -> None:
    raw = bytearray(postfix(AT))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=12))
    parse_bounce(bytes(raw))
    parse_bounce(data.draw(st.binary(max_size=300)))


def test_a_bounce_shows_no_address() -> None:
    """C8: what is logged of one holds nobody's address."""
    found = bounce(postfix(AT))
    assert "@" not in repr(found) + repr(found.recipients)
