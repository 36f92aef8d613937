"""Bounces as mail servers write them, for tests: written by hand after RFC 3464, with the spellings that each server has."""

from __future__ import annotations

POSTFIX = """\
From: MAILER-DAEMON@mx.example.org (Mail Delivery System)
To: {at}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4Xk.1/mx.example.org"

This is a MIME-encapsulated message.

--4Xk.1/mx.example.org
Content-Description: Notification
Content-Type: text/plain; charset=utf-8

Your message could not be delivered.

--4Xk.1/mx.example.org
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org
X-Postfix-Queue-ID: 4Xk
Arrival-Date: Wed, 25 Nov 2026 12:00:00 +0000 (UTC)

Final-Recipient: rfc822; {to}
Original-Recipient: rfc822;{to}
Action: {action}
Status: {status}
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; {diagnostic}

--4Xk.1/mx.example.org
Content-Description: Undelivered Message
Content-Type: text/rfc822-headers

Subject: Your code

--4Xk.1/mx.example.org--
"""


def postfix(
    at: str,
    to: str = "ada@example.org",
    *,
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "550 5.1.1 <ada>: User unknown",
) -> bytes:
    """Return a bounce that arrives at `at` and is about `to`."""
    return POSTFIX.format(at=at, to=to, action=action, status=status, diagnostic=diagnostic).encode()
