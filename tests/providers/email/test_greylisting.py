"""Greylisting: a mail server that turns strangers away for a while gets the same letter again, from the same sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.clock import MINUTE, SECOND, FixedClock
from tests.flows.place import SHOP, done, place_at
from tests.providers.contexts import context

from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.shared.application import ApplicationMode
from countersign.providers.email.smtp import SmtpProvider, SmtpSettings

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from aiosmtpd.smtp import SMTP, Envelope, Session
    from tests.providers.peers import StartMailServer

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)
DELAY = 3 * MINUTE


async def test_greylisting_of_three_minutes_loses_no_code(
    start_mail_server: StartMailServer, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D8, D9: the server goes by sender and recipient, and a resend does not begin anew there."""
    peer, clock = await start_mail_server(), FixedClock()
    first_seen: dict[tuple[str | None, str], int] = {}
    take = peer.handle_RCPT

    async def turn_away(server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        since = first_seen.setdefault((envelope.mail_from, address), clock.now)
        if clock.now < since + DELAY:
            return "450 4.2.0 Greylisted, see you later"
        return await take(server, session, envelope, address, options)

    monkeypatch.setattr(peer, "handle_RCPT", turn_away)
    given = SmtpSettings(
        host="127.0.0.1",
        port=peer.port,
        tls="none",
        from_address="codes@shop.example",
        bounce_address="bounces@shop.example",
    )
    provider = SmtpProvider(given, context(mark=lambda key: key.encode().ljust(8, b"x")))
    async with place_at(sqlite_url, tmp_path, clock=clock, live=("mail",)) as place:
        place.delivery = msgspec.structs.replace(place.delivery, providers={"mail": provider})
        challenge = await place.begun("ada@example.org", application=LIVE)
        for second in range(300):
            if second == 60:
                done(await place.resend(challenge, application=LIVE))
            await place.deliver()
            if second < DELAY // SECOND:
                assert peer.letters == []
            clock.forward(SECOND)
        assert len(first_seen) == 1
        assert [one.state for one in await place.deliveries(challenge)] == [DeliveryState.ACCEPTED] * 2
        assert clock.now < challenge.expires_at
    assert len(peer.letters) == 2
    await provider.close()
