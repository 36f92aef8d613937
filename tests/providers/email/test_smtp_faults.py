"""Mail through servers that hang, reset, babble or die: every wait is bounded, and nothing goes out twice in one try."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from tests.providers.contexts import context, flat
from tests.providers.peers import Authority, Hidden, StartServer, message

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError
from countersign.providers.email.smtp import SmtpProvider, SmtpSettings

TIMEOUT = 0.6
BOUND = 2.0
"""Seconds: the time-out, and generously what a busy machine adds."""


def provider(port: int, **changes: object) -> SmtpProvider:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "from_address": "codes@shop.example",
        "timeout": TIMEOUT,
    }
    return SmtpProvider(flat(SmtpSettings, **{**given, **changes}), context())


async def refusal(mail: SmtpProvider) -> DeliveryFailedError:
    async with asyncio.timeout(BOUND):
        with pytest.raises(DeliveryFailedError) as caught:
            await mail.send(message())
    return caught.value


class Talk:
    """A server's side of SMTP that is polite until `until` is said, and then does as `then` says."""

    def __init__(self, until: str, then: str) -> None:
        self.until = until
        self.then = then
        self.heard: list[str] = []
        self.connections = 0
        self.messages = 0
        self.at_fault = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.until == "CONNECT":
            return await self._fault(reader, writer)
        writer.write(b"220 peer.example\r\n")
        while line := await reader.readline():
            verb = line.decode().split()[0].upper()
            self.heard.append(verb)
            if verb == self.until:
                return await self._fault(reader, writer)
            if verb == "DATA":
                writer.write(b"354 go on\r\n")
                if self.until == "BODY":
                    await reader.readline()
                    return await self._fault(reader, writer)
                await reader.readuntil(b"\r\n.\r\n")
                self.messages += 1
                if self.until == "DOT":
                    return await self._fault(reader, writer)
            writer.write(b"250 fine\r\n")
        return None

    async def _fault(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_fault.set()
        match self.then:
            case "hang":
                await asyncio.sleep(30)
            case "close":
                writer.close()
            case "reset":
                taken = writer.get_extra_info("socket")
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                writer.transport.abort()
            case "endless line":
                while True:
                    writer.write(b"2" * 65_536)
                    await writer.drain()
            case "endless reply":
                while True:
                    writer.write(b"220-and one more thing\r\n")
                    await asyncio.sleep(0.01)
            case "nonsense":
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                await reader.read()
            case other:
                writer.write(other.encode() + b"\r\n")
                await reader.read()


STAGES = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "DOT"]


@pytest.mark.parametrize("until", STAGES)
async def test_a_server_that_hangs_is_given_up_in_bounded_time(
    start_tcp_server: StartServer, hidden: Hidden, until: str
) -> None:
    """D2: a time-out is temporary, wherever it strikes, and the message goes out once at most."""
    talk = Talk(until, "hang")
    mail = provider(await start_tcp_server(talk))
    failure = await refusal(mail)
    await mail.close()
    assert (failure.reason, failure.permanent) == (Reason.TIMED_OUT, False)
    assert (talk.connections, talk.messages) == (1, 1 if until == "DOT" else 0)
    hidden.check(failure)


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("until", STAGES)
async def test_a_connection_that_breaks_is_temporary_and_not_repeated_after_data(
    start_tcp_server: StartServer, hidden: Hidden, until: str, then: str
) -> None:
    """D2: a server that takes the message and dies before its answer gets it once in this try."""
    talk = Talk(until, then)
    mail = provider(await start_tcp_server(talk))
    failure = await refusal(mail)
    await mail.close()
    assert (failure.reason, failure.permanent) == (Reason.UNREACHABLE, False)
    assert (talk.connections, talk.messages) == (1, 1 if until == "DOT" else 0)
    hidden.check(failure)


@pytest.mark.parametrize("then", ["endless line", "endless reply", "nonsense"])
@pytest.mark.parametrize("until", ["CONNECT", "EHLO", "RCPT", "DOT"])
async def test_a_server_that_babbles_is_given_up_in_bounded_time(
    start_tcp_server: StartServer, hidden: Hidden, until: str, then: str
) -> None:
    talk = Talk(until, then)
    mail = provider(await start_tcp_server(talk))
    failure = await refusal(mail)
    await mail.close()
    assert failure.reason in {Reason.PROVIDER_ERROR, Reason.TIMED_OUT}
    assert not failure.permanent
    assert talk.connections == 1
    hidden.check(failure)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_server_that_hangs_in_the_handshake_is_given_up(
    start_tcp_server: StartServer, authority: Authority, tls: str
) -> None:
    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if tls == "starttls":
            writer.write(b"220 peer.example\r\n")
            await reader.readline()
            writer.write(b"250-peer.example\r\n250 STARTTLS\r\n")
            await reader.readline()
            writer.write(b"220 go on\r\n")
        await asyncio.sleep(30)

    mail = provider(await start_tcp_server(begin), tls=tls, ca_file=authority.ca_file)
    failure = await refusal(mail)
    assert (failure.reason, failure.permanent) == (Reason.TIMED_OUT, False)


async def test_plain_text_after_starttls_is_not_believed(start_tcp_server: StartServer, authority: Authority) -> None:
    """Somebody between us and the server may answer for it; what came before the handshake is thrown away."""
    heard = bytearray()

    async def inject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 peer.example\r\n")
        await reader.readline()
        writer.write(b"250-peer.example\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go on\r\n250 fine\r\n250 fine\r\n250 fine\r\n354 go on\r\n250 taken\r\n")
        heard.extend(await reader.read(65_536))
        writer.close()

    mail = provider(await start_tcp_server(inject), tls="starttls", ca_file=authority.ca_file)
    failure = await refusal(mail)
    assert not failure.permanent
    assert heard[:1] == b"\x16"  # a TLS handshake (RFC 8446, 5.1), and no EHLO
    assert b"ada" not in heard


async def test_nobody_listening_is_unreachable(hidden: Hidden) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        failure = await refusal(provider(unused.getsockname()[1]))
    assert (failure.reason, failure.permanent) == (Reason.UNREACHABLE, False)
    hidden.check(failure)


async def test_a_host_without_an_address_is_unreachable() -> None:
    failure = await refusal(provider(25, host="nowhere.invalid", timeout=1.5))
    assert failure.reason in {Reason.UNREACHABLE, Reason.TIMED_OUT}
    assert not failure.permanent


async def test_a_server_that_turns_us_away_at_the_door_blocks_us(start_tcp_server: StartServer) -> None:
    mail = provider(await start_tcp_server(Talk("CONNECT", "554 no mail from there")))
    failure = await refusal(mail)
    assert (failure.reason, failure.permanent) == (Reason.BLOCKED, True)


async def test_a_server_that_is_full_at_the_door_is_tried_again(start_tcp_server: StartServer) -> None:
    mail = provider(await start_tcp_server(Talk("CONNECT", "421 4.7.0 too many connections")))
    failure = await refusal(mail)
    assert (failure.reason, failure.permanent) == (Reason.THROTTLED, False)


@pytest.mark.parametrize("then", ["hang", "421 idle for too long", "close"])
async def test_a_kept_connection_that_went_bad_is_replaced_within_the_same_send(
    start_tcp_server: StartServer, then: str
) -> None:
    """D2: half-open, said goodbye to, or dropped as we speak: nothing had been sent on it."""
    talk = Talk("RSET", then)  # what we ask a kept connection first
    mail = provider(await start_tcp_server(talk), timeout=1.5)
    async with asyncio.timeout(BOUND):
        await mail.send(message(key="a.1.0"))
        await mail.send(message(key="b.1.0"))
    await mail.close()
    assert (talk.connections, talk.messages) == (2, 2)


async def test_a_kept_connection_that_dies_after_data_is_not_repeated(start_tcp_server: StartServer) -> None:
    """D2: the message may have been taken; the next try is the domain's decision."""
    talk = Talk("", "")
    port = await start_tcp_server(talk)
    mail = provider(port)
    await mail.send(message(key="a.1.0"))
    talk.until, talk.then = "DOT", "reset"
    failure = await refusal(mail)
    await mail.close()
    assert (failure.reason, failure.permanent) == (Reason.UNREACHABLE, False)
    assert (talk.connections, talk.messages) == (1, 2)


@pytest.mark.parametrize("reply", ["421 too many messages", "421 4.7.0 too many messages in this connection"])
async def test_a_server_that_ends_a_kept_connection_gets_the_mail_on_a_new_one(
    start_tcp_server: StartServer, reply: str
) -> None:
    """As Exim does after so many messages: another try would cost a second, and nothing was accepted on the old one."""
    heard: list[str] = []

    async def one_mail_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append("CONNECT")
        accepted = False
        writer.write(b"220 peer.example\r\n")
        while line := await reader.readline():
            verb = line.decode().split()[0].upper()
            heard.append(verb)
            if verb == "MAIL" and accepted:
                writer.write(reply.encode() + b"\r\n")
                return
            if verb == "DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                accepted = True
            writer.write(b"250 fine\r\n")

    mail = provider(await start_tcp_server(one_mail_each))
    for _ in range(3):
        await mail.send(message())
    await mail.close()
    assert heard.count("CONNECT") == heard.count("DATA") == 3
    assert heard.count("MAIL") == 5


async def test_a_server_that_turns_away_a_new_connection_is_not_asked_twice(start_tcp_server: StartServer) -> None:
    talk = Talk("MAIL", "421 too busy")
    mail = provider(await start_tcp_server(talk))
    assert (await refusal(mail)).reason is Reason.THROTTLED
    await mail.close()
    assert talk.heard.count("MAIL") == 1


async def test_waiting_for_a_free_connection_is_bounded_too(start_tcp_server: StartServer) -> None:
    talk = Talk("RCPT", "hang")
    mail = provider(await start_tcp_server(talk), connections=1)
    failures = await asyncio.gather(*(refusal(mail) for _ in range(5)))
    assert {failure.reason for failure in failures} == {Reason.TIMED_OUT, Reason.THROTTLED}
    assert not any(failure.permanent for failure in failures)


async def test_a_send_that_is_canceled_lets_its_connection_go(start_tcp_server: StartServer) -> None:
    talk = Talk("RCPT", "hang")
    mail = provider(await start_tcp_server(talk), connections=1, timeout=20)
    sending = asyncio.get_running_loop().create_task(mail.send(message()))
    await talk.at_fault.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    talk.until = ""
    async with asyncio.timeout(BOUND):
        await mail.send(message())
    await mail.close()
    assert (talk.connections, talk.messages) == (2, 1)


async def test_closing_does_not_wait_for_a_server_that_hangs(start_tcp_server: StartServer) -> None:
    talk = Talk("QUIT", "hang")
    mail = provider(await start_tcp_server(talk))
    await mail.send(message())
    async with asyncio.timeout(BOUND):
        await mail.close()
    assert talk.heard[-1] == "QUIT"


async def test_mail_flows_again_as_soon_as_the_server_does(start_tcp_server: StartServer) -> None:
    talk = Talk("DATA", "451 4.3.0 try later")
    mail = provider(await start_tcp_server(talk))
    failure = await refusal(mail)
    assert (failure.reason, failure.permanent) == (Reason.PROVIDER_ERROR, False)
    talk.until = ""
    await mail.send(message())
    await mail.close()
    assert talk.messages == 1
