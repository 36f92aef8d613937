"""Somebody who cannot read a stranger's mail writes a bounce of it, so that the stranger gets no more codes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.clock import FixedClock
from tests.flows.place import SHOP, Place, place_at
from tests.providers.bounces import postfix

from countersign.domain.delivery.delivery import DeliveryState, Reason, Receipt, ReceiptState
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.event import EventKind
from countersign.domain.verifications.challenge import Challenge
from countersign.flows.delivery.bounces import BounceVerdict, bounce_signer, record_bounce
from countersign.flows.delivery.receipts import record_receipt
from countersign.keys import Keyring, new_file
from countersign.providers.email.verp import make_return_path

LIVE = type(SHOP)("app_live", 0, "live", ApplicationMode.LIVE, "Live", "live.example", (), b"live's key")
BOUNCES = "bounces@shop.example"


@pytest_asyncio.fixture
async def live(sqlite_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place whose live keys send by two carriers."""
    async with place_at(sqlite_url, tmp_path, clock=clock, live=("first", "second")) as opened:
        yield opened


@pytest.fixture
def thief(tmp_path: Path) -> Keyring:
    new_file(tmp_path / "thief.json", 0)
    return Keyring(tmp_path / "thief.json", FixedClock())


def address(keyring: Keyring, challenge: Challenge, position: int = 0) -> str:
    return make_return_path(BOUNCES, f"{challenge.id}.1.{position}", bounce_signer(keyring))


async def state(place: Place, challenge: Challenge) -> tuple[DeliveryState, Reason | None]:
    (one,) = await place.deliveries(challenge)
    return one.state, one.reason


async def test_a_bounce_at_the_messages_own_address_counts(live: Place) -> None:
    """D2: the address is gone: no other provider is asked, and the next message is not sent at all."""
    challenge = await live.begun(application=LIVE)
    await live.deliver()
    at = address(live.keyring, challenge)
    assert await record_bounce(live.delivery, postfix(at)) is BounceVerdict.TAKEN
    assert await state(live, challenge) == (DeliveryState.UNDELIVERED, Reason.UNKNOWN_RECIPIENT)
    assert await live.count("suppressions") == 1
    again = await live.begun(application=LIVE, purpose="step_up")
    assert await live.deliver() == 0
    assert await state(live, again) == (DeliveryState.FAILED, Reason.UNKNOWN_RECIPIENT)
    assert len(live.carriers["first"].sent) + len(live.carriers["second"].sent) == 1
    assert (await live.kinds(challenge))[EventKind.ADDRESS_SUPPRESSED] == 1


async def test_a_bounce_that_is_forged_counts_for_nothing(live: Place, thief: Keyring) -> None:
    """D2: whoever knows the verification, the address and the Message-ID, and not the mail itself, changes nothing."""
    challenge = await live.begun(application=LIVE)
    await live.deliver()
    right = address(live.keyring, challenge)
    name, _, rest = right.partition("+")
    key, _, mark = rest.partition("@")[0].rpartition(".")
    for forged in (
        address(thief, challenge),
        BOUNCES,
        f"{name}+{key}@shop.example",
        f"{name}+{key}.@shop.example",
        f"{name}+{key}.{'a' * 13}@shop.example",
        f"{name}+{key}.{mark[:-1]}@shop.example",
        right.replace(".1.0.", ".2.0."),
        right.replace(".1.0.", ".1.1."),
        f"{right} {'x' * 2000}"[::-1],
    ):
        assert await record_bounce(live.delivery, postfix(forged), forged) in {
            BounceVerdict.NOT_OURS,
            BounceVerdict.NO_BOUNCE,
        }
    assert await state(live, challenge) == (DeliveryState.ACCEPTED, None)
    assert await live.count("suppressions") == 0


async def test_one_who_holds_an_address_can_harm_nobody_elses(live: Place) -> None:
    """D2: a bounce about a stranger, sent to an address that one was sent a mail with, does not touch the stranger."""
    mine = await live.begun("eve@example.org", application=LIVE)
    await live.deliver()
    at = address(live.keyring, mine)
    await record_bounce(live.delivery, postfix(at, "ada@example.org"))
    stranger = await live.begun("ada@example.org", application=LIVE)
    assert await live.deliver() >= 1
    assert (await state(live, stranger))[0] is DeliveryState.ACCEPTED
    assert await live.count("suppressions") == 0


async def test_a_mailbox_that_forwards_is_not_taken_for_one_that_is_not_there(live: Place) -> None:
    """D2: what is unknown is another address; the message goes by the next provider, and the person is not shut out."""
    challenge = await live.begun(application=LIVE)
    await live.deliver()
    assert (
        await record_bounce(live.delivery, postfix(address(live.keyring, challenge), "ada@old.example"))
        is BounceVerdict.TAKEN
    )
    assert await live.deliver() == 1
    assert len(live.carriers["second"].sent) == 1
    assert await live.count("suppressions") == 0


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"action": "delayed", "status": "4.4.1"}, BounceVerdict.NOTHING_NEW),
        ({"action": "failed", "status": "4.4.7", "diagnostic": "x-postfix; expired"}, BounceVerdict.NOTHING_NEW),
        ({"action": "relayed", "status": "2.0.0"}, BounceVerdict.NOTHING_NEW),
        ({"action": "delivered", "status": "2.0.0"}, BounceVerdict.TAKEN),
        ({"status": "5.2.2", "diagnostic": "smtp; 552 5.2.2 full"}, BounceVerdict.TAKEN),
        ({"status": "5.7.1", "diagnostic": "smtp; 550 5.7.1 no"}, BounceVerdict.TAKEN),
    ],
)
async def test_only_a_mailbox_that_is_not_there_is_remembered(
    live: Place, said: dict[str, str], verdict: BounceVerdict
) -> None:
    challenge = await live.begun(application=LIVE)
    await live.deliver()
    assert await record_bounce(live.delivery, postfix(address(live.keyring, challenge), **said)) is verdict
    assert await live.count("suppressions") == 0


async def test_an_old_bounce_does_not_undo_what_an_operator_lifted(live: Place, clock: FixedClock) -> None:
    """D2: a bounce can be kept and sent again; it is about a message from before."""
    from countersign.domain.shared.contact import parse_contact
    from countersign.flows.delivery.suppressions import lift_suppression

    challenge = await live.begun(application=LIVE)
    await live.deliver()
    raw = postfix(address(live.keyring, challenge))
    await record_bounce(live.delivery, raw)
    clock.forward(1000)
    contact = parse_contact("ada@example.org")
    assert await lift_suppression(live.database, live.delivery.receipts, live.keyring, contact, clock) is not None
    clock.forward(1000)
    await record_bounce(live.delivery, raw)
    again = await live.begun(application=LIVE, purpose="step_up")
    assert await live.deliver() == 1
    assert (await state(live, again))[0] is DeliveryState.ACCEPTED


async def test_a_test_key_cannot_suppress_what_live_ones_send_to(live: Place) -> None:
    """D2: bounces of the inbox are made up at will."""
    challenge = await live.begun()
    await live.deliver()
    told = Receipt("inbox", "m1", ReceiptState.UNDELIVERED, Reason.UNKNOWN_RECIPIENT)
    assert await record_receipt(live.delivery, told)
    assert (await state(live, challenge))[0] is DeliveryState.UNDELIVERED
    assert await live.count("suppressions") == 0


async def test_the_same_bounce_a_hundred_times_is_one(live: Place) -> None:
    challenge = await live.begun(application=LIVE)
    await live.deliver()
    for _ in range(100):
        await record_bounce(live.delivery, postfix(address(live.keyring, challenge)))
    assert (await live.kinds(challenge))[EventKind.ADDRESS_SUPPRESSED] == 1
    assert (await live.kinds(challenge))[EventKind.DELIVERY_UNDELIVERED] == 1
