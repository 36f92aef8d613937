"""Bounces: what a returned mail changes in the message that it is about. Forged ones are in tests/threats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest_asyncio
from tests.clock import SECOND
from tests.flows.place import SHOP, Place, done, place_at
from tests.providers.bounces import postfix

from countersign.domain.delivery.delivery import DeliveryState, Reason
from countersign.domain.shared.application import ApplicationMode
from countersign.flows.delivery.bounces import BounceVerdict, bounce_signer, record_bounce
from countersign.providers.email.verp import make_return_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.clock import FixedClock

    from countersign.domain.verifications.challenge import Challenge

LIVE = msgspec.structs.replace(SHOP, mode=ApplicationMode.LIVE)


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place whose live keys send by one carrier: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first",)) as opened:
        yield opened


def address(place: Place, challenge: Challenge) -> str:
    return make_return_path("bounces@shop.example", f"{challenge.id}.1.0", bounce_signer(place.keyring))


async def test_a_bounce_ends_its_message_and_says_so_once(live: Place) -> None:
    """D2."""
    challenge = await live.begun(application=LIVE)
    await live.deliver()
    mail = postfix(address(live, challenge))
    assert await record_bounce(live.delivery, mail) is BounceVerdict.TAKEN
    (delivery,) = await live.deliveries(challenge)
    assert (delivery.state, delivery.reason) == (DeliveryState.UNDELIVERED, Reason.UNKNOWN_RECIPIENT)
    await record_bounce(live.delivery, mail)
    assert await live.deliveries(challenge) == [delivery]


async def test_a_mail_that_is_not_a_bounce_changes_nothing(live: Place) -> None:
    challenge = await live.begun(application=LIVE)
    await live.deliver()
    before = await live.deliveries(challenge)
    raw = b"From: eve@example.org\r\nTo: bounces@shop.example\r\nSubject: Hello\r\n\r\nHello\r\n"
    assert await record_bounce(live.delivery, raw, address(live, challenge)) is BounceVerdict.NO_BOUNCE
    assert await record_bounce(live.delivery, postfix("bounces@shop.example")) is BounceVerdict.NOT_OURS
    assert await live.deliveries(challenge) == before


async def test_a_bounce_at_the_address_of_a_verification_is_about_the_message_that_it_names(
    live: Place, clock: FixedClock
) -> None:
    """D9: by the envelope id or the Message-ID, and otherwise about the last mail that was sent."""
    challenge = await live.begun(application=LIVE)
    await live.deliver()
    clock.forward(30 * SECOND)
    done(await live.resend(challenge, application=LIVE))
    await live.deliver()
    at = make_return_path("bounces@shop.example", challenge.id, bounce_signer(live.keyring))
    for named in ("Message-ID: <{}@shop.example>", "Message-ID:\n <{}@shop.example>"):
        bounce = postfix(at).replace(b"Subject: Your code", named.format(f"{challenge.id}.1.0").encode())
        await record_bounce(live.delivery, bounce)
        states = [one.state for one in await live.deliveries(challenge)]
        assert states == [DeliveryState.UNDELIVERED, DeliveryState.ACCEPTED]
    strange = postfix(at).replace(b"X-Postfix-Queue-ID: 4Xk", f"Original-Envelope-Id: {'ver_' + 'a' * 26}.1.0".encode())
    assert await record_bounce(live.delivery, strange) is BounceVerdict.TAKEN
    assert [one.state for one in await live.deliveries(challenge)] == [DeliveryState.UNDELIVERED] * 2
