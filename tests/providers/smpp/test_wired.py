"""SMPP in a whole house: a code goes out by the worker, and what the SMSC tells moves its message."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.providers.peers import StartServer
from tests.providers.smpp.smsc import PASSWORD, SYSTEM_ID, Answer, Faulty, provider, sms, told

from countersign.cli.doctor.provider_checks import check_providers
from countersign.config import load
from countersign.domain.delivery.delivery import Reason
from countersign.domain.shared.application import ApplicationDraft, ApplicationMode
from countersign.domain.shared.contact import parse_contact
from countersign.errors import DeliveryFailedError
from countersign.flows.maintenance.applications import add_application
from countersign.flows.verifications.begin import BeginRequest, begin_challenge
from countersign.flows.verifications.results import Done
from countersign.providers.registry import ConfiguredProvider
from countersign.providers.smpp.pdu import CommandId, Pdu, decode_short_message
from countersign.providers.smpp.provider import SmppSettings
from countersign.store.engine.database import Sql
from countersign.wiring import Runtime, close_runtime, open_runtime
from countersign.worker import Worker

TOML = """
[routes]
sms = ["first", "second"]
[providers.first]
kind = "smpp"
host = "127.0.0.1"
port = {first}
tls = "none"
system_id = "countersign"
password = "opensesa"
sender = "+4915112345678"
[providers.second]
kind = "smpp"
host = "127.0.0.1"
port = {second}
tls = "none"
system_id = "countersign"
password = "opensesa"
system_type = "OTP"
sender = "Shop"
connections = 2
window = 5
throughput = 50
receipt_ids = "same"
receipts = "no"
"""


def tells(state: int) -> Answer:
    """Return an answer with its receipt right behind, before anybody can have written the answer down."""

    async def answer(smsc: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        writer.write(smsc.polite(pdu).encode())
        writer.write(Pdu(CommandId.DELIVER_SM, smsc.given, body=told(f"id-{smsc.given}", state)).encode())
        return True

    return answer


async def _standing() -> list[tuple[str, int]]:
    rows = await Sql("SELECT state, leg FROM deliveries", ())
    return [(str(row[0]), int(row[1])) for row in rows]


async def began(runtime: Runtime) -> None:
    """Begin a verification by SMS for a live application."""
    application, _ = await add_application(
        runtime.core.database,
        runtime.delivery.records,
        runtime.core.keyring,
        ApplicationDraft("live", ApplicationMode.LIVE, "Shop", "shop.example"),
        runtime.core.clock(),
        os.urandom,
    )
    assert isinstance(
        await begin_challenge(runtime.core, application, BeginRequest(to=parse_contact("+4915123456789"))), Done
    )


@pytest.mark.parametrize(
    ("state", "expected"), [(2, ("delivered", 0)), (5, ("accepted", 1))], ids=["delivered", "undelivered"]
)
async def test_a_receipt_that_outruns_our_record_moves_the_message(
    start_tcp_server: StartServer, tmp_path: Path, state: int, expected: tuple[str, int]
) -> None:
    """D2: delivered is the end; not delivered is the next provider's turn, with the same text."""
    first, second = Faulty(submit_sm=tells(state)), Faulty()
    file = tmp_path / "countersign.toml"
    file.write_text(TOML.format(first=await start_tcp_server(first), second=await start_tcp_server(second)))
    home = str(tmp_path / "home")
    runtime = await open_runtime(load({"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_HOME": home}, file))
    assert runtime.receivers == {}  # nothing of this comes over HTTP
    try:
        await began(runtime)
        worker = Worker(runtime.delivery, runtime.settings.retention_days)
        working = asyncio.get_running_loop().create_task(worker.run())
        async with asyncio.timeout(20):
            await first.until(1, CommandId.DELIVER_SM_RESP)
            if expected[1]:
                await second.until(1, CommandId.SUBMIT_SM)
        worker.stop()
        await working
        assert await runtime.core.database.read(_standing) == [expected]
    finally:
        await close_runtime(runtime)
    assert [pdu.status for pdu in first.heard if pdu.command == CommandId.DELIVER_SM_RESP] == [0]
    sent = [
        decode_short_message(pdu.body)
        for one in (first, second)
        for pdu in one.heard
        if pdu.command == CommandId.SUBMIT_SM
    ]
    assert len({message.text for message in sent}) == 1
    assert [message.registered_delivery for message in sent] == [1, 0][: len(sent)]
    assert first.heard[-1].command == CommandId.UNBIND


async def test_the_doctor_binds_and_says_what_is_wrong(start_tcp_server: StartServer) -> None:
    async def refuses(_: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        writer.write(Pdu(CommandId.BIND_TRANSCEIVER_RESP, pdu.sequence, 0x0E).encode())
        return True

    def configured(port: int) -> ConfiguredProvider:
        settings = SmppSettings(
            host="127.0.0.1", port=port, tls="none", system_id=SYSTEM_ID, password=PASSWORD, sender="Shop"
        )
        return ConfiguredProvider("ours", "smpp", settings)

    ports = {
        "fine": await start_tcp_server(Faulty()),
        "wrong": await start_tcp_server(Faulty(bind_transceiver=refuses)),
    }
    found = {
        name: (what, remedy)
        for name, what, remedy in await check_providers({name: configured(port) for name, port in ports.items()})
    }
    assert found["fine"] == (f"127.0.0.1 port {ports['fine']} accepts us without TLS, bound", "")
    assert "check password" in found["wrong"][0]
    assert found["wrong"][1]
    assert PASSWORD not in str(found)


async def test_sessions_are_as_many_as_the_settings_say_and_no_more(start_tcp_server: StartServer) -> None:
    async def slow(smsc: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(0.05)
        writer.write(smsc.polite(pdu).encode())
        return True

    smsc = Faulty(submit_sm=slow)
    smpp = provider(await start_tcp_server(smsc), connections=3)
    await smpp.send(sms())
    assert smsc.bound == 1
    words = await asyncio.gather(*(smpp.send(sms()) for _ in range(30)))
    assert len({word.provider_message_id for word in words}) == 30
    assert smsc.bound == 3
    await smpp.close()


async def test_an_account_that_allows_fewer_sessions_than_the_settings_carries_all_by_those(
    start_tcp_server: StartServer,
) -> None:
    async def one_alone(smsc: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        polite = smsc.polite(pdu) if not smsc.bound else Pdu(CommandId.BIND_TRANSCEIVER_RESP, pdu.sequence, 0x05)
        writer.write(polite.encode())
        return True

    smsc = Faulty(bind_transceiver=one_alone)
    smpp = provider(await start_tcp_server(smsc), connections=3)
    await smpp.send(sms())
    for _ in range(2):
        words = await asyncio.gather(*(smpp.send(sms()) for _ in range(30)))
        assert len({word.provider_message_id for word in words}) == 30
    assert smsc.count(CommandId.BIND_TRANSCEIVER) <= 3
    await smpp.close()


async def test_closing_while_the_door_is_being_opened_ends_the_send(start_tcp_server: StartServer) -> None:
    async def deaf(_: Faulty, __: Pdu, ___: asyncio.StreamWriter) -> bool:
        return True

    smsc = Faulty(bind_transceiver=deaf)
    smpp = provider(await start_tcp_server(smsc))
    sending = asyncio.get_running_loop().create_task(smpp.send(sms()))
    await smsc.until(1, CommandId.BIND_TRANSCEIVER)
    await smpp.close()
    with pytest.raises(DeliveryFailedError) as caught:
        await sending
    assert (caught.value.reason, caught.value.permanent) == (Reason.UNREACHABLE, False)
