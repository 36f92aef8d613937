"""SMPP against an SMSC that others wrote: what arrives there, what its receipts move, and what its refusals mean."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.providers.contexts import flat
from tests.providers.peers import Hidden
from tests.providers.smpp.smsc import NODE, NUMBER, SECRETS, TEXT, Ledger, provider, sms, started

from countersign.domain.delivery.delivery import Accepted, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers import PushesReceipts
from countersign.providers.smpp.provider import SmppProvider, SmppSettings

pytestmark = [pytest.mark.peers, pytest.mark.skipif(not NODE, reason="needs Node.js and npm ci")]

RECEIPT = "id:{} sub:001 dlvrd:001 submit date:2611251200 done date:2611251201 stat:{} err:000 text:Ihr Code: 4815"


def receipt(identifier: str, state: str, **facts: Any) -> dict[str, Any]:
    """Return a deliver_sm as an SMSC writes its receipts."""
    return {
        "esm_class": 4,
        "source_addr": NUMBER[1:],
        "destination_addr": "4915112345678",
        "short_message": RECEIPT.format(identifier, state),
        **facts,
    }


async def refusal(smpp: SmppProvider, **changes: Any) -> DeliveryFailedError:
    with pytest.raises(DeliveryFailedError) as caught:
        await smpp.send(sms(**changes))
    return caught.value


async def test_an_sms_arrives_over_one_session_that_all_tasks_share(hidden: Hidden) -> None:
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port)
        words = await asyncio.gather(*(smpp.send(sms(key=f"ver_1.{number}.0")) for number in range(25)))
        assert await smsc.seen("bind") == {"event": "bind", "known": True, "version": 0x34, "system_type": ""}
        found = await smsc.seen("submit")
        assert found | {"id": ""} == {
            "event": "submit",
            "id": "",
            "text": TEXT,
            "header": "",
            "coding": 0,
            "esm_class": 0,
            "registered": 1,
            "from": [1, 1, "4915112345678"],
            "to": [1, 1, NUMBER[1:]],
        }
        assert {word.provider_message_id for word in words} == {f"msg-{number}" for number in range(1, 26)}
        assert {word.receipt_within for word in words} == {None}  # nobody listens
        await smpp.close()
        await smsc.seen("unbind")
        hidden.check(smpp, *words, secrets=SECRETS)


@pytest.mark.parametrize(
    ("text", "coding"),
    [
        ("@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡AZÄÖÑÜ§¿azäöñüà", 0),
        ("^{}\\[~]|€ 481516", 0),
        ("Код: 481516", 8),
        ("コード 481516 😀", 8),
    ],
)
async def test_what_the_default_alphabet_has_goes_in_septets_and_all_else_in_sixteen_bits(
    text: str, coding: int
) -> None:
    """D3: as the other side reads it."""
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port)
        await smpp.send(sms(text=text))
        found = await smsc.seen("submit")
        assert (found["text"], found["coding"]) == (text, coding)
        await smpp.close()


@pytest.mark.parametrize(
    ("text", "parts", "most"), [("{a" * 200, 4, 153), ("Код 😀 " * 30, 4, 67), ("a" * 161, 2, 153), ("ж" * 71, 2, 67)]
)
async def test_a_long_text_goes_in_parts_that_a_header_joins(text: str, parts: int, most: int) -> None:
    """D3: one reference, numbered parts, and the word is given when all were taken."""
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port, window=1)
        word = await smpp.send(sms(text=text))
        found = [await smsc.seen("submit") for _ in range(parts)]
        assert "".join(one["text"] for one in found) == text
        assert {one["esm_class"] for one in found} == {0x40}
        heads = [bytes.fromhex(one["header"]) for one in found]
        assert [(head[:2], head[3], head[4]) for head in heads] == [
            (b"\0\3", parts, number) for number in range(1, parts + 1)
        ]
        assert len({head[2] for head in heads}) == 1
        assert all(len(one["text"]) <= most for one in found)
        assert word == Accepted(f"msg-{parts}")
        await smpp.close()


async def test_a_long_text_of_which_a_part_is_refused_is_not_taken() -> None:
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port)
        await smsc.tell("answer", status=0x58, times=1)
        failure = await refusal(smpp, text="a" * 400)
        assert (failure.reason, failure.permanent) == (Reason.THROTTLED, False)
        before = {(await smsc.seen("submit"))["header"] for _ in range(3)}
        await smpp.send(sms(text="a" * 400))
        assert {(await smsc.seen("submit"))["header"] for _ in range(3)} == before  # a second try is the same message
        await smpp.close()


@pytest.mark.parametrize(
    ("state", "expected", "reason"),
    [
        ("DELIVRD", ReceiptState.DELIVERED, None),
        ("UNDELIV", ReceiptState.UNDELIVERED, Reason.NO_SIGNAL),
        ("EXPIRED", ReceiptState.UNDELIVERED, Reason.NO_SIGNAL),
        ("REJECTD", ReceiptState.UNDELIVERED, Reason.REFUSED),
    ],
)
async def test_a_receipt_is_taken_down_and_answered(
    state: str, expected: ReceiptState, reason: Reason | None, hidden: Hidden
) -> None:
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port)
        assert isinstance(smpp, PushesReceipts)
        ledger = Ledger("msg-1")
        smpp.on_receipt = ledger
        assert await smpp.send(sms()) == Accepted("msg-1", 60_000)
        await smsc.tell("deliver", pdu=receipt("msg-1", "ENROUTE"))
        assert (await smsc.seen("taken"))["status"] == 0
        await smsc.tell("deliver", pdu=receipt("msg-1", state))
        assert (await smsc.seen("taken"))["status"] == 0
        assert ledger.heard.get_nowait() == Receipt("ours", "msg-1", expected, reason)
        assert ledger.heard.empty()
        await smpp.close()
        hidden.check(smpp, secrets=SECRETS)


async def test_a_receipt_in_parameters_alone_is_read_as_well() -> None:
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port)
        ledger = Ledger("msg-1")
        smpp.on_receipt = ledger
        await smpp.send(sms())
        pdu = receipt("", "", short_message="", receipted_message_id="msg-1", message_state=5)
        await smsc.tell("deliver", pdu={**pdu, "esm_class": 0})
        assert (await smsc.seen("taken"))["status"] == 0
        assert (await ledger.heard.get()).state is ReceiptState.UNDELIVERED
        await smpp.close()


async def test_a_message_of_parts_has_arrived_when_all_have() -> None:
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port)
        ledger = Ledger("msg-3")
        smpp.on_receipt = ledger
        assert await smpp.send(sms(text="a" * 400)) == Accepted("msg-3", 60_000)
        for number in (3, 1, 3):
            await smsc.tell("deliver", pdu=receipt(f"msg-{number}", "DELIVRD"))
            assert (await smsc.seen("taken"))["status"] == 0
        assert ledger.heard.empty()
        await smsc.tell("deliver", pdu=receipt("msg-2", "DELIVRD"))
        assert await ledger.heard.get() == Receipt("ours", "msg-3", ReceiptState.DELIVERED)
        await smpp.close()


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (0x58, Reason.THROTTLED, False),
        (0x14, Reason.THROTTLED, False),
        (0x0A, Reason.MISCONFIGURED, True),
        (0x0B, Reason.REFUSED, True),
        (0x08, Reason.PROVIDER_ERROR, False),
        (0x0455, Reason.PROVIDER_ERROR, False),
    ],
)
async def test_a_refusal_is_sorted_and_the_next_message_goes_through(
    status: int, reason: Reason, *, permanent: bool, hidden: Hidden
) -> None:
    """D2: over the same session."""
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port)
        await smsc.tell("answer", status=status, times=1)
        failure = await refusal(smpp)
        assert (failure.reason, failure.permanent) == (reason, permanent)
        hidden.check(failure, secrets=SECRETS)
        assert (await smpp.send(sms())).provider_message_id == "msg-2"
        await smpp.close()


async def test_a_wrong_password_is_the_operators_mistake_and_stays_hidden(hidden: Hidden) -> None:
    """C8: neither in the error nor in the log."""
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port, password="another1")
        failure = await refusal(smpp)
        assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)
        assert "check password" in str(failure)
        again = await asyncio.gather(*(refusal(smpp) for _ in range(20)))
        assert {str(one) for one in again} == {str(failure)}  # and the SMSC was not asked twenty times
        assert not (await smsc.seen("bind"))["known"]
        await smpp.close()
        hidden.check(failure, smpp, secrets=(*SECRETS, "another1"))


async def test_a_session_that_the_smsc_unbinds_is_bound_anew() -> None:
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port)
        await smpp.send(sms())
        await smsc.tell("unbind")
        await smsc.seen("closed")
        assert (await smpp.send(sms())).provider_message_id == "msg-2"
        await smpp.close()


async def test_a_session_that_is_lost_is_bound_anew_while_receipts_are_to_come() -> None:
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port)
        ledger = Ledger("msg-1")
        smpp.on_receipt = ledger
        await smpp.send(sms())
        await smsc.seen("bind")
        await smsc.tell("unbind")
        await smsc.seen("bind")
        await smsc.tell("deliver", pdu=receipt("msg-1", "DELIVRD"))
        assert (await ledger.heard.get()).state is ReceiptState.DELIVERED
        await smpp.close()


async def test_each_side_is_told_that_the_other_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countersign.providers.smpp.session.KEEP_ALIVE", 0.2)
    async with started() as smsc, asyncio.timeout(30):
        smpp = provider(smsc.port)
        await smpp.send(sms())
        await smsc.tell("ask")
        assert (await smsc.seen("alive"))["status"] == 0
        for _ in range(3):
            await smsc.seen("asked")
        await smpp.close()


async def test_other_channels_are_not_carried() -> None:
    failure = await refusal(provider(1), channel=Channel.EMAIL)
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"host": ""},
        {"host": "smsc example"},
        {"port": 0},
        {"tls": "starttls"},
        {"system_id": ""},
        {"system_id": "sixteencharacter"},
        {"password": "ninechars"},
        {"password": "pass\0wd"},
        {"system_type": "thirteenchars"},
        {"sender": ""},
        {"sender": "+name"},
        {"sender": "Müller"},
        {"sender": "twelve chars"},
        {"timeout": 0},
        {"timeout": 45},
        {"connections": 0},
        {"window": 0},
        {"throughput": -1},
        {"receipt_within": 0},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, Any]) -> None:
    given: dict[str, Any] = {"host": "smsc.example.org", "system_id": "shop", "sender": "Shop"}
    with pytest.raises(SettingsError) as caught:
        flat(SmppSettings, **{**given, **changes})
    assert str(changes.get("password", "\0")) not in str(caught.value)
