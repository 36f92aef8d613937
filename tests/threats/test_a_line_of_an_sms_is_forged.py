"""Somebody puts a line break, a link or another domain into what an application lets them name, to speak in our voice."""

from __future__ import annotations

import msgspec
import pytest
from tests.flows.place import SHOP, Place

from countersign.domain.verifications.challenge import Action

FORGED = "@evil.example #123456"
BREAKS = ["\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\n\u200b", " \n\n"]


@pytest.mark.parametrize("end", BREAKS)
@pytest.mark.parametrize("where", ["summary", "site"])
async def test_the_line_that_a_phone_reads_is_ours_alone(place: Place, end: str, where: str) -> None:
    """D4: `@host #code` is the last line, once, with our host and the true code."""
    text = f"Shop{end}{FORGED}{end}"
    action, site = (Action(text), "Shop") if where == "summary" else (Action(), text)
    await place.change("DELETE FROM applications")
    await place.change(
        "INSERT INTO applications (id, created_at, name, mode, site, host, purposes, key_hash) VALUES ($1, 0, 'shop', 'test', $2, 'shop.example', '[]', $3)",
        SHOP.id,
        site,
        b"hash",
    )
    challenge = await place.begun("+14155550123", application=msgspec.structs.replace(SHOP, site=site), action=action)
    await place.deliver()
    (message,) = place.inbox.sent
    lines = message.text.splitlines()
    assert lines[-1] == f"@shop.example #{place.code(challenge)}"
    assert [line for line in lines if line.startswith("@")] == lines[-1:]
    assert FORGED not in message.text
    assert message.text.count(" #") == 1


@pytest.mark.parametrize("end", BREAKS)
async def test_no_header_of_a_mail_can_be_added(place: Place, end: str) -> None:
    """D5: CR, LF or NUL in any input never reaches a subject or a sender."""
    text = f"Shop{end}Bcc: eve@example.org\0"
    await place.change(
        "INSERT INTO applications (id, created_at, name, mode, site, host, purposes, key_hash) VALUES ($1, 0, 'shop', 'test', $2, 'shop.example', '[]', $3)",
        SHOP.id,
        text.replace("\0", ""),
        b"hash",
    )
    await place.begun(action=Action(text.replace("\0", "")))
    await place.deliver()
    (message,) = place.inbox.sent
    for header in (message.subject, message.sender_name, message.to, message.key, message.locale):
        assert len(header.splitlines()) <= 1
        assert "\0" not in header
    assert "Shop" in message.sender_name


@pytest.mark.parametrize(
    "link", ["https://evil.example/x", "http://evil.example", "www.evil.example", "hthttps://tps://evil.example"]
)
async def test_a_summary_makes_no_link(place: Place, link: str) -> None:
    await place.begun(action=Action(f"Click {link} now"))
    await place.deliver()
    (message,) = place.inbox.sent
    assert "://evil" not in message.text + message.html
    assert "www.evil" not in message.text + message.html
