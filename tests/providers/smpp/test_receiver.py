"""Receipts over SMPP: each is taken down before it is answered, finds its message, and never that of somebody else."""

from __future__ import annotations

import asyncio

import pytest
from tests.providers.peers import StartServer
from tests.providers.smpp.smsc import BOUND, Faulty, Ledger, goes_through, provider, sms, told

from countersign.domain.delivery.delivery import Accepted, Reason, Receipt, ReceiptState
from countersign.errors import UnavailableError
from countersign.providers.smpp.pdu import CommandId, Pdu


async def test_a_receipt_that_outruns_our_record_is_kept_until_the_message_is_known(
    start_tcp_server: StartServer,
) -> None:
    smsc, ledger = Faulty(), Ledger()
    smpp = provider(await start_tcp_server(smsc))
    smpp.on_receipt = ledger
    await goes_through(smpp)
    smsc.writers[0].write(Pdu(CommandId.DELIVER_SM, 5, body=told("id-1", 2)).encode())
    await asyncio.sleep(0.3)
    assert len(ledger.looked) > 1
    assert smsc.count(CommandId.DELIVER_SM_RESP) == 0  # nothing is promised that is not written down
    ledger.known.add("id-1")
    async with asyncio.timeout(BOUND):
        assert await ledger.heard.get() == Receipt("ours", "id-1", ReceiptState.DELIVERED)
        await smsc.until(1, CommandId.DELIVER_SM_RESP)
    assert smsc.heard[-1] == Pdu(CommandId.DELIVER_SM_RESP, 5, body=b"\0")
    await smpp.close()


async def test_a_message_of_which_a_part_is_lost_has_not_arrived_however_soon_the_others_have(
    start_tcp_server: StartServer,
) -> None:
    """The receipts come right behind each answer: before the last part is answered, and before anything is written down."""

    async def tells(smsc: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        writer.write(smsc.polite(pdu).encode())
        state = 5 if smsc.given == 1 else 2
        writer.write(Pdu(CommandId.DELIVER_SM, smsc.given, body=told(f"id-{smsc.given}", state)).encode())
        return True

    smsc, ledger = Faulty(submit_sm=tells), Ledger()
    smpp = provider(await start_tcp_server(smsc))
    smpp.on_receipt = ledger
    word = await smpp.send(sms(text="a" * 400))
    await asyncio.sleep(0.1)
    ledger.known.add(word.provider_message_id)
    async with asyncio.timeout(BOUND):
        await smsc.until(3, CommandId.DELIVER_SM_RESP)
    assert await ledger.heard.get() == Receipt("ours", "id-3", ReceiptState.UNDELIVERED, Reason.NO_SIGNAL)
    assert ledger.heard.empty()
    await smpp.close()


async def test_a_receipt_that_cannot_be_written_down_is_asked_for_again(start_tcp_server: StartServer) -> None:
    smsc = Faulty()
    smpp = provider(await start_tcp_server(smsc))

    async def away(_: Receipt) -> bool:
        raise UnavailableError("The database is away.")

    smpp.on_receipt = away
    await goes_through(smpp)
    smsc.writers[0].write(Pdu(CommandId.DELIVER_SM, 5, body=told("id-1", 2)).encode())
    async with asyncio.timeout(BOUND):
        await smsc.until(1, CommandId.DELIVER_SM_RESP)
    assert smsc.heard[-1].status == 0x64
    await smpp.close()


async def test_a_flood_of_receipts_is_put_off_and_keeps_no_message_waiting(start_tcp_server: StartServer) -> None:
    smsc, ledger = Faulty(), Ledger()
    smpp = provider(await start_tcp_server(smsc))
    smpp.on_receipt = ledger
    await goes_through(smpp)
    for number in range(2_000):
        smsc.writers[0].write(Pdu(CommandId.DELIVER_SM, number + 1, body=told(f"x-{number}", 2)).encode())
    assert await goes_through(smpp) == Accepted("id-2", 60_000)
    async with asyncio.timeout(BOUND):
        await smsc.until(2_000 - 256, CommandId.DELIVER_SM_RESP)
    assert {pdu.status for pdu in smsc.heard if pdu.command == CommandId.DELIVER_SM_RESP} == {0x64}
    await smpp.close()


@pytest.mark.parametrize(
    ("answered", "told_as"),
    [("1A2B3C", "1715004"), ("1a2b3c", "1715004"), ("0001a2b3", "107187"), ("1715004", "1A2B3C")],
)
async def test_an_id_that_a_receipt_writes_in_another_base_is_found_and_soon_at_once(
    start_tcp_server: StartServer, monkeypatch: pytest.MonkeyPatch, answered: str, told_as: str
) -> None:
    monkeypatch.setattr("countersign.providers.smpp.receiver.WAITS", (0.01,))
    smsc, ledger = Faulty(), Ledger(answered)
    smpp = provider(await start_tcp_server(smsc))
    smpp.on_receipt = ledger
    await goes_through(smpp)
    for _ in range(2):
        ledger.looked.clear()
        smsc.writers[0].write(Pdu(CommandId.DELIVER_SM, 5, body=told(told_as, 2)).encode())
        async with asyncio.timeout(10):
            assert (await ledger.heard.get()).provider_message_id == answered
    assert told_as not in ledger.looked
    await smpp.close()


async def test_digits_alone_never_lead_to_the_message_of_somebody_else(
    start_tcp_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receipt for 100 which is not known (yet) is not one for 64 or 256, unless the settings say so."""
    monkeypatch.setattr("countersign.providers.smpp.receiver.WAITS", (0.01,))
    smsc, ledger = Faulty(), Ledger("64", "256")
    smpp = provider(await start_tcp_server(smsc))
    smpp.on_receipt = ledger
    await goes_through(smpp)
    smsc.writers[0].write(Pdu(CommandId.DELIVER_SM, 5, body=told("100", 2)).encode())
    async with asyncio.timeout(BOUND):
        await smsc.until(1, CommandId.DELIVER_SM_RESP)
    assert ledger.heard.empty()
    await smpp.close()
