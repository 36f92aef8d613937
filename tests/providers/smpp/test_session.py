"""SMPP through an SMSC that hangs, resets, babbles, lags or dies: every wait is bounded, and the next message goes through."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from tests.providers.peers import Authority, Hidden, StartServer
from tests.providers.smpp.smsc import BOUND, SECRETS, Answer, Faulty, goes_through, provider, sms

from countersign.domain.delivery.delivery import Accepted, Reason
from countersign.errors import DeliveryFailedError
from countersign.providers.smpp.pdu import MAX_PDU, CommandId, Pdu, encode_c_octets
from countersign.providers.smpp.provider import SmppProvider

TIMEOUT = 0.6
AFTER_KNOCK = 0.7
"""Seconds after which a door that stayed shut once is tried again."""


async def refusal(smpp: SmppProvider) -> DeliveryFailedError:
    async with asyncio.timeout(BOUND):
        with pytest.raises(DeliveryFailedError) as caught:
            await smpp.send(sms())
    return caught.value


WRITTEN: dict[str, Callable[[bytes], bytes]] = {
    "hang": lambda _: b"",
    "close": lambda _: b"",
    "cut": lambda polite: polite[:-1],
    "cut header": lambda polite: polite[:9],
    "cut and hang": lambda polite: polite[:-1],
    "garbage": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "huge": lambda polite: (MAX_PDU + 1).to_bytes(4, "big") + polite[4:],
    "tiny": lambda polite: (15).to_bytes(4, "big") + polite[4:],
    "nack": lambda _: Pdu(CommandId.GENERIC_NACK, 0, 2).encode(),
}
BROKEN = {"close", "reset", "cut", "cut header"}
SILENT = {"hang", "cut and hang", "drip"}
FAULTS = sorted({*WRITTEN, *BROKEN, *SILENT})


def fault(then: str) -> Answer:
    """Return a fault that strikes once; afterwards the SMSC is polite."""
    struck = False

    async def answer(smsc: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        nonlocal struck
        polite = smsc.polite(pdu).encode()
        if struck:
            writer.write(polite)
            return True
        struck = True
        if then == "reset":
            taken = writer.get_extra_info("socket")
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        elif then == "drip":
            for octet in polite:
                writer.write(bytes((octet,)))
                await asyncio.sleep(0.3)
        else:
            writer.write(WRITTEN[then](polite))
            if then in BROKEN:
                writer.close()
                await writer.wait_closed()
            else:
                await asyncio.sleep(30)
        return False

    return answer


@pytest.mark.parametrize("then", FAULTS)
@pytest.mark.parametrize("at", ["bind_transceiver", "submit_sm"])
async def test_a_fault_is_sorted_in_bounded_time_and_the_next_message_goes_through(
    start_tcp_server: StartServer, hidden: Hidden, at: str, then: str
) -> None:
    """D2: every such failure is temporary, and nothing is sent twice in one try."""
    smsc = Faulty(**{at: fault(then)})
    smpp = provider(await start_tcp_server(smsc), timeout=TIMEOUT)
    failure = await refusal(smpp)
    expected = Reason.UNREACHABLE if then in BROKEN else Reason.TIMED_OUT if then in SILENT else Reason.PROVIDER_ERROR
    assert (failure.reason, failure.permanent) == (expected, False)
    assert smsc.count(CommandId.SUBMIT_SM) == (1 if at == "submit_sm" else 0)
    hidden.check(failure, secrets=SECRETS)
    if at == "bind_transceiver":
        await asyncio.sleep(AFTER_KNOCK)
    assert await goes_through(smpp) == Accepted(f"id-{smsc.given}")
    assert smsc.count(CommandId.SUBMIT_SM) == (2 if at == "submit_sm" else 1)
    await smpp.close()


async def test_a_slow_smsc_is_waited_for_and_not_for_ever(start_tcp_server: StartServer) -> None:
    """D2: an answer that comes late is nobody's any more."""
    delays = [0.4, 0.9, 0.0]

    async def late(smsc: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(delays.pop(0))
        writer.write(smsc.polite(pdu).encode())
        return True

    smpp = provider(await start_tcp_server(Faulty(submit_sm=late)), timeout=TIMEOUT)
    assert await goes_through(smpp) == Accepted("id-1")
    assert (await refusal(smpp)).reason is Reason.TIMED_OUT
    await asyncio.sleep(0.5)
    assert (await goes_through(smpp)).provider_message_id == "id-3"
    await smpp.close()


async def test_a_half_open_session_is_found_out_though_nothing_is_sent(
    start_tcp_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countersign.providers.smpp.session.KEEP_ALIVE", 0.1)

    async def deaf(_: Faulty, __: Pdu, ___: asyncio.StreamWriter) -> bool:
        return True

    smsc = Faulty(enquire_link=deaf)
    smpp = provider(await start_tcp_server(smsc), timeout=TIMEOUT)
    await goes_through(smpp)
    await asyncio.sleep(TIMEOUT + 0.4)
    assert await goes_through(smpp) == Accepted("id-2")
    assert smsc.bound == 2
    await smpp.close()


async def test_a_half_open_session_costs_one_message_its_time_out(start_tcp_server: StartServer) -> None:
    async def deaf(smsc: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        if smsc.bound == 1 and smsc.count(CommandId.SUBMIT_SM) > 1:
            return True
        writer.write(smsc.polite(pdu).encode())
        return True

    smsc = Faulty(submit_sm=deaf)
    smpp = provider(await start_tcp_server(smsc), timeout=TIMEOUT)
    await goes_through(smpp)
    assert (await refusal(smpp)).reason is Reason.TIMED_OUT
    assert await goes_through(smpp) == Accepted("id-2")
    await smpp.close()


async def test_nobody_listening_is_unreachable_and_is_not_run_at(hidden: Hidden) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        smpp = provider(unused.getsockname()[1], timeout=TIMEOUT)
    failures = await asyncio.gather(*(refusal(smpp) for _ in range(50)))
    assert {(one.reason, one.permanent) for one in failures} == {(Reason.UNREACHABLE, False)}
    hidden.check(*failures, secrets=SECRETS)
    await smpp.close()


async def test_a_door_that_stays_shut_is_knocked_at_once_for_all_who_wait(start_tcp_server: StartServer) -> None:
    async def refuses(_: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        writer.write(Pdu(CommandId.BIND_TRANSCEIVER_RESP, pdu.sequence, 0x0E).encode())
        return True

    smsc = Faulty(bind_transceiver=refuses)
    smpp = provider(await start_tcp_server(smsc), timeout=TIMEOUT)
    for _ in range(2):
        failures = await asyncio.gather(*(refusal(smpp) for _ in range(20)))
        assert {(one.reason, one.permanent) for one in failures} == {(Reason.MISCONFIGURED, True)}
    assert smsc.count(CommandId.BIND_TRANSCEIVER) == 1
    await smpp.close()


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70 + ".example"])
async def test_a_host_without_an_address_is_unreachable(host: str) -> None:
    failure = await refusal(provider(2775, host=host, timeout=1.5))
    assert failure.reason in {Reason.UNREACHABLE, Reason.TIMED_OUT}
    assert not failure.permanent


async def test_more_than_the_window_holds_waits_its_turn_in_bounded_time(start_tcp_server: StartServer) -> None:
    under_way, most = 0, 0

    async def slow(smsc: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)

        async def later() -> None:
            nonlocal under_way
            await asyncio.sleep(0.05)
            under_way -= 1
            writer.write(smsc.polite(pdu).encode())

        tasks.add(asyncio.get_running_loop().create_task(later()))
        return True

    tasks: set[asyncio.Task[None]] = set()
    smpp = provider(await start_tcp_server(Faulty(submit_sm=slow)), timeout=2, window=3)
    words = await asyncio.gather(*(smpp.send(sms(key=f"k.{number}.0")) for number in range(30)))
    assert len({word.provider_message_id for word in words}) == 30
    assert most == 3
    await smpp.close()
    await asyncio.gather(*tasks)


async def test_a_window_that_stays_full_throttles(start_tcp_server: StartServer) -> None:
    async def deaf(_: Faulty, __: Pdu, ___: asyncio.StreamWriter) -> bool:
        return True

    smpp = provider(await start_tcp_server(Faulty(submit_sm=deaf)), timeout=TIMEOUT, window=1)
    failures = await asyncio.gather(*(refusal(smpp) for _ in range(5)))
    assert sorted(str(one.reason) for one in failures) == ["throttled"] * 4 + ["timed_out"]
    await smpp.close()


async def test_segments_go_out_no_faster_than_the_settings_allow(start_tcp_server: StartServer) -> None:
    smpp = provider(await start_tcp_server(Faulty()), throughput=20)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(smpp.send(sms()) for _ in range(9)))
    assert asyncio.get_running_loop().time() - began >= 0.39
    await smpp.close()


async def test_a_send_that_is_canceled_frees_its_room(start_tcp_server: StartServer) -> None:
    asked = asyncio.Event()

    async def once(smsc: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        if asked.is_set():
            writer.write(smsc.polite(pdu).encode())
        asked.set()
        return True

    smpp = provider(await start_tcp_server(Faulty(submit_sm=once)), window=1)
    sending = asyncio.get_running_loop().create_task(smpp.send(sms()))
    await asked.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await goes_through(smpp)
    await smpp.close()


async def test_what_the_smsc_asks_is_answered_and_what_nobody_knows_is_said_to_be_unknown(
    start_tcp_server: StartServer,
) -> None:
    smsc = Faulty()
    smpp = provider(await start_tcp_server(smsc))
    await goes_through(smpp)
    (writer,) = smsc.writers
    for pdu in (
        Pdu(CommandId.ENQUIRE_LINK, 7),
        Pdu(0x00000103, 8, body=b"?"),
        Pdu(0x00000FFF, 9),
        Pdu(CommandId.ALERT_NOTIFICATION, 10),
        Pdu(0x80000FFF, 11),
        Pdu(CommandId.SUBMIT_SM_RESP, 4_000_000, body=encode_c_octets("late")),
        Pdu(CommandId.DELIVER_SM, 12, body=b"cut"),
        Pdu(CommandId.ENQUIRE_LINK, 13),
    ):
        writer.write(pdu.encode())
    async with asyncio.timeout(BOUND):
        await smsc.until(2, CommandId.ENQUIRE_LINK_RESP)
        await smsc.until(1, CommandId.DELIVER_SM_RESP)
    answers = {(pdu.command, pdu.sequence, pdu.status) for pdu in smsc.heard[2:]}
    assert answers == {
        (CommandId.ENQUIRE_LINK_RESP, 7, 0),
        (CommandId.GENERIC_NACK, 8, 3),
        (CommandId.GENERIC_NACK, 9, 3),
        (CommandId.DELIVER_SM_RESP, 12, 0x65),
        (CommandId.ENQUIRE_LINK_RESP, 13, 0),
    }
    assert await goes_through(smpp) == Accepted("id-2")
    await smpp.close()


async def test_an_id_that_cannot_be_kept_is_no_word(start_tcp_server: StartServer) -> None:
    bodies = [b"", b"no end", b"\xff\xfe\0", b"\x1b[2J\0"]

    async def strange(_: Faulty, pdu: Pdu, writer: asyncio.StreamWriter) -> bool:
        writer.write(Pdu(CommandId.SUBMIT_SM_RESP, pdu.sequence, body=bodies.pop()).encode())
        return True

    smpp = provider(await start_tcp_server(Faulty(submit_sm=strange)))
    while bodies:
        failure = await refusal(smpp)
        assert (failure.reason, failure.permanent) == (Reason.PROVIDER_ERROR, False)
    await smpp.close()


async def test_codes_travel_by_tls_to_whom_the_certificate_names(
    start_tcp_server: StartServer, authority: Authority, hidden: Hidden
) -> None:
    smsc = Faulty()
    port = await start_tcp_server(smsc, tls=True)
    smpp = provider(port, tls="tls", ca_file=authority.ca_file)
    assert await goes_through(smpp) == Accepted("id-1")
    await smpp.close()
    stranger = provider(port, tls="tls")
    failure = await refusal(stranger)
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)
    assert "certificate" in str(failure)
    assert smsc.bound == 1
    hidden.check(failure, secrets=SECRETS)


async def test_an_smsc_that_does_not_read_is_given_up(start_tcp_server: StartServer) -> None:
    async def blind_index(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(16)
        writer.write(Pdu(CommandId.BIND_TRANSCEIVER_RESP, 1, body=encode_c_octets("SMSC")).encode())
        flood = Pdu(CommandId.ENQUIRE_LINK, 1).encode() * 1_000
        while True:
            writer.write(flood)
            await writer.drain()

    smpp = provider(await start_tcp_server(blind_index), timeout=TIMEOUT)
    failure = await refusal(smpp)
    assert not failure.permanent
    async with asyncio.timeout(BOUND):
        await smpp.close()


async def test_closing_does_not_wait_for_an_smsc_that_hangs(start_tcp_server: StartServer) -> None:
    async def deaf(_: Faulty, __: Pdu, ___: asyncio.StreamWriter) -> bool:
        return True

    smsc = Faulty(unbind=deaf)
    smpp = provider(await start_tcp_server(smsc))
    await goes_through(smpp)
    async with asyncio.timeout(BOUND):
        await smpp.close()
    assert smsc.heard[-1].command == CommandId.UNBIND
    assert (await refusal(smpp)).reason is Reason.UNREACHABLE
