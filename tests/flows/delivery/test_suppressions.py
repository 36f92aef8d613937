"""Suppressions: which messages bring one, what it stops, how it ends, and that no response shows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from tests.clock import FixedClock
from tests.flows.place import SHOP, Place, place_at

from countersign.domain.delivery.delivery import DeliveryState, Reason, Receipt, ReceiptState
from countersign.domain.delivery.suppression import DAY
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.shared.contact import parse_contact
from countersign.errors import DeliveryFailedError
from countersign.flows.delivery.receipts import record_receipt
from countersign.flows.delivery.suppressions import find_suppression, lift_suppression, list_suppressions
from countersign.flows.maintenance.sweep import sweep
from countersign.messages.content.hints import hint
from countersign.providers.email.smtp_replies import Stage, failure_of_reply

LIVE = type(SHOP)("app_live", 0, "live", ApplicationMode.LIVE, "Live", "live.example", (), b"live's key")

ADA = parse_contact("ada@example.org")

GONE = Receipt("first", "m1", ReceiptState.UNDELIVERED, Reason.UNKNOWN_RECIPIENT)

COMPLAINT = Receipt("first", "m1", ReceiptState.DELIVERED, complained=True)


@pytest_asyncio.fixture
async def live(database_url: str, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Place]:
    """A place whose live keys send by two carriers: on SQLite, then on PostgreSQL."""
    async with place_at(database_url, tmp_path, clock=clock, live=("first", "second")) as opened:
        yield opened


async def sent(
    place: Place, to: str = "ada@example.org", purpose: str = "sign_in"
) -> tuple[DeliveryState, Reason | None]:
    """Begin a verification and do a worker's round; return what became of its message."""
    challenge = await place.begun(to, application=LIVE, purpose=purpose)
    await place.deliver()
    (one,) = await place.deliveries(challenge)
    return one.state, one.reason


async def test_a_mailbox_that_is_not_there_is_not_written_to_for_sixty_days(live: Place, clock: FixedClock) -> None:
    """D2: neither provider is asked, the hint says what to do, and then the address has another chance."""
    await sent(live)
    assert await record_receipt(live.delivery, GONE)
    assert await sent(live, purpose="step_up") == (DeliveryState.FAILED, Reason.UNKNOWN_RECIPIENT)
    assert len(live.carriers["first"].sent) + len(live.carriers["second"].sent) == 1
    clock.forward(60 * DAY - 1)
    assert await sent(live, purpose="sign_up") == (DeliveryState.FAILED, Reason.UNKNOWN_RECIPIENT)
    clock.forward(1)
    assert (await sent(live, purpose="recover"))[0] is DeliveryState.ACCEPTED


async def test_a_complaint_is_kept_for_a_year(live: Place, clock: FixedClock) -> None:
    await sent(live)
    assert await record_receipt(live.delivery, COMPLAINT)
    clock.forward(365 * DAY - 1)
    assert await sent(live, purpose="step_up") == (DeliveryState.FAILED, Reason.BLOCKED)


async def test_only_a_server_that_names_the_mailbox_is_believed(live: Place) -> None:
    """D2: a bare 550 may be about anything; 550 5.1.1 is about the mailbox."""
    live.carriers["first"].words.append(failure_of_reply(Stage.RCPT, 550, "administrative prohibition"))
    assert await sent(live, "eve@example.org") == (DeliveryState.FAILED, Reason.UNKNOWN_RECIPIENT)
    assert await live.count("suppressions") == 0
    live.carriers["first"].words.append(failure_of_reply(Stage.RCPT, 550, "5.1.1 no such user"))
    assert await sent(live) == (DeliveryState.FAILED, Reason.UNKNOWN_RECIPIENT)
    assert await live.count("suppressions") == 1
    assert await sent(live, purpose="step_up") == (DeliveryState.FAILED, Reason.UNKNOWN_RECIPIENT)


@pytest.mark.parametrize("receipt", [
    Receipt("first", "m1", ReceiptState.UNDELIVERED, Reason.MAILBOX_FULL),
    Receipt("first", "m1", ReceiptState.UNDELIVERED, Reason.BLOCKED),
    Receipt("first", "m1", ReceiptState.DELIVERED),
    Receipt("first", "another", ReceiptState.UNDELIVERED, Reason.UNKNOWN_RECIPIENT),
])  # fmt: skip
async def test_nothing_else_suppresses(live: Place, receipt: Receipt) -> None:
    await sent(live)
    await record_receipt(live.delivery, receipt)
    assert await live.count("suppressions") == 0


async def test_a_number_is_not_suppressed(live: Place) -> None:
    """D2: numbers are given to others within weeks."""
    await sent(live, "+14155550123")
    await record_receipt(live.delivery, GONE)
    assert await live.count("suppressions") == 0


async def test_a_test_key_sends_to_a_suppressed_address_all_the_same(live: Place) -> None:
    await sent(live)
    await record_receipt(live.delivery, GONE)
    await live.begun(purpose="step_up")
    await live.deliver()
    assert len(live.inbox.sent) == 1


async def test_another_address_is_not_touched_and_the_same_one_is_however_it_is_typed(live: Place) -> None:
    await sent(live)
    await record_receipt(live.delivery, GONE)
    assert (await sent(live, "ada@example.com"))[0] is DeliveryState.ACCEPTED
    assert (await sent(live, "Ada@EXAMPLE.org", "step_up"))[0] is DeliveryState.FAILED


async def test_an_operator_sees_and_lifts_it(live: Place, clock: FixedClock) -> None:
    await sent(live)
    await record_receipt(live.delivery, GONE)
    (one,) = await list_suppressions(live.database, clock())
    assert (one.masked, one.reason, one.provider) == ("a***@example.org", Reason.UNKNOWN_RECIPIENT, "first")
    assert "ada@" not in repr(one)
    assert await find_suppression(live.database, live.keyring, ADA) == one
    assert await lift_suppression(live.database, live.delivery.receipts, live.keyring, ADA, clock) is not None
    assert await lift_suppression(live.database, live.delivery.receipts, live.keyring, ADA, clock) is None
    assert await list_suppressions(live.database, clock()) == []
    assert (await sent(live, purpose="step_up"))[0] is DeliveryState.ACCEPTED


async def test_one_that_has_run_out_is_forgotten(live: Place, clock: FixedClock) -> None:
    await sent(live)
    await record_receipt(live.delivery, GONE)
    clock.forward(59 * DAY)
    await sweep(live.core, 30)
    assert await live.count("suppressions") == 1
    clock.forward(2 * DAY)
    await sweep(live.core, 30)
    assert await live.count("suppressions") == 0


async def test_who_begins_is_answered_as_always(live: Place) -> None:
    """R1: that an address is suppressed shows in no answer to who asks for a code."""
    await sent(live)
    await record_receipt(live.delivery, GONE)
    known = await live.begun(application=LIVE, purpose="step_up")
    other = await live.begun("eve@example.org", application=LIVE, purpose="step_up")
    assert (known.state, known.sends, known.channel) == (other.state, other.sends, other.channel)


def test_the_hint_says_that_the_mailbox_is_not_there() -> None:
    from countersign.domain.shared.contact import Channel

    assert "mailbox does not exist" in str(hint(DeliveryState.FAILED, Reason.UNKNOWN_RECIPIENT, Channel.EMAIL, "en"))


def test_a_refusal_is_lasting_where_it_says_so() -> None:
    said = {
        text: failure_of_reply(Stage.RCPT, 550, text).lasting
        for text in ("5.1.1 x", "5.1.10 x", "5.1.2 x", "5.2.1 x", "x")
    }
    assert said == {"5.1.1 x": True, "5.1.10 x": True, "5.1.2 x": True, "5.2.1 x": False, "x": False}
    assert not failure_of_reply(Stage.MAIL, 550, "5.1.1 x").lasting
    assert not failure_of_reply(Stage.RCPT, 450, "4.1.1 x").lasting
    assert not DeliveryFailedError("unknown_recipient", permanent=True).lasting


async def test_many_bounces_of_one_address_at_once_are_one_suppression(live: Place) -> None:
    """D2: two processes that hear of it in the same moment, and a complaint among them."""
    for purpose in ("sign_in", "sign_up", "step_up", "recover"):
        await live.begun(application=LIVE, purpose=purpose)
    await live.deliver()
    other = msgspec.structs.replace(live.delivery, receipts=live.delivery.claims)
    told = [msgspec.structs.replace(GONE, provider_message_id=f"m{number}") for number in range(1, 5)]
    told.append(msgspec.structs.replace(COMPLAINT, provider_message_id="m4"))
    await asyncio.gather(*(record_receipt(post, one) for one in told for post in (live.delivery, other)))
    (one,) = await list_suppressions(live.database, live.clock())
    assert one.reason is Reason.BLOCKED, "a complaint outweighs, whoever comes first"
