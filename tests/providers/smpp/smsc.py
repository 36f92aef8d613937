"""SMSCs for tests: one that npm `smpp` plays in a process of its own, and one of ours that can misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.providers.contexts import context, flat
from tests.providers.peers import CODE
from tests.providers.peers import message as letter

from countersign.domain.delivery.delivery import Accepted, Message, Receipt
from countersign.domain.shared.contact import Channel
from countersign.providers.smpp.pdu import (
    HEADER,
    MESSAGE_STATE,
    RECEIPTED_MESSAGE_ID,
    Address,
    CommandId,
    Pdu,
    ShortMessage,
    body_length,
    decode,
    encode_c_octets,
)
from countersign.providers.smpp.provider import SmppProvider, SmppSettings

ROOT = Path(__file__).resolve().parent.parent.parent.parent
NODE = shutil.which("node") is not None and (ROOT / "node_modules" / "smpp").exists()
SYSTEM_ID, PASSWORD = "countersign", "opensesa"
NUMBER = "+491701234567"
TEXT = f"Ihr Code: {CODE}\n@shop.example #{CODE}"
BOUND = 3.0
"""Seconds: a time-out of 0.6 s, and generously what a busy machine adds."""
SECRETS = (CODE, PASSWORD, NUMBER, NUMBER[1:])


def sms(**changes: Any) -> Message:
    """Return an SMS with the code in it."""
    return letter(**{"channel": Channel.SMS, "to": NUMBER, "text": TEXT, "subject": "", "html": "", **changes})


def provider(port: int, **changes: Any) -> SmppProvider:
    """Return a provider of an SMSC on this machine."""
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "tls": "none",
        "system_id": SYSTEM_ID,
        "password": PASSWORD,
        "sender": "+4915112345678",
        "timeout": 5.0,
    }
    return SmppProvider(flat(SmppSettings, **{**given, **changes}), context())


def told(identifier: str, state: int) -> bytes:
    """Return the body of a deliver_sm that says so."""
    return ShortMessage(
        source=Address(1, 1, "491701234567"),
        destination=Address(1, 1, "4915112345678"),
        esm_class=4,
        text=b"",
        parameters={RECEIPTED_MESSAGE_ID: encode_c_octets(identifier), MESSAGE_STATE: bytes((state,))},
    ).encode()


async def goes_through(smpp: SmppProvider) -> Accepted:
    """Return the word for a message, which must come in time."""
    async with asyncio.timeout(BOUND):
        return await smpp.send(sms())


class Ledger:
    """Who takes receipts down: knows the ids it was told, and keeps what it heard of them."""

    def __init__(self, *known: str) -> None:
        self.known = set(known)
        self.heard: asyncio.Queue[Receipt] = asyncio.Queue()
        self.looked: list[str] = []

    async def __call__(self, receipt: Receipt) -> bool:
        self.looked.append(receipt.provider_message_id)
        if receipt.provider_message_id not in self.known:
            return False
        self.heard.put_nowait(receipt)
        return True


class Smsc:
    """The SMSC of npm `smpp`."""

    def __init__(self, port: int, process: asyncio.subprocess.Process) -> None:
        self.port = port
        self._process = process

    async def seen(self, event: str) -> dict[str, Any]:
        """Return the next event of that kind; those before it are passed over."""
        assert self._process.stdout is not None
        async with asyncio.timeout(20):
            while line := await self._process.stdout.readline():
                found: dict[str, Any] = json.loads(line)
                assert found["event"] != "error", found
                if found["event"] == event:
                    return found
        raise AssertionError("the SMSC is gone")

    async def tell(self, do: str, **facts: Any) -> None:
        """Tell it to do something, and wait until it has begun."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **facts}).encode() + b"\n")
        await self.seen("done")


@contextlib.asynccontextmanager
async def started() -> AsyncIterator[Smsc]:
    """Give an SMSC that knows our account."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        "node", str(ROOT / "tests" / "peers" / "smsc.mjs"), str(port), SYSTEM_ID, PASSWORD,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        smsc = Smsc(port, process)
        await smsc.seen("ready")
        yield smsc
    finally:
        process.stdin.close()
        await process.stdout.read()
        await process.wait()


Answer = Callable[["Faulty", Pdu, asyncio.StreamWriter], Awaitable[bool]]


class Faulty:
    """An SMSC of ours: answers politely, but for what `answers` says of a command; one that returns False hangs up.

    `heard` are the PDUs that came; `bound` counts sessions.
    """

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.heard: list[Pdu] = []
        self.bound = 0
        self.given = 0
        self.writers: list[asyncio.StreamWriter] = []
        self._came = asyncio.Condition()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while True:
            header = await reader.readexactly(HEADER)
            pdu = decode(header, await reader.readexactly(body_length(header)))
            self.heard.append(pdu)
            async with self._came:
                self._came.notify_all()
            name = CommandId(pdu.command).name.lower()
            if name in self.answers:
                if not await self.answers[name](self, pdu, writer):
                    return
            elif not pdu.is_response:
                writer.write(self.polite(pdu).encode())

    def polite(self, pdu: Pdu) -> Pdu:
        """Return the answer that a request should have."""
        body = b""
        if pdu.command == CommandId.BIND_TRANSCEIVER:
            self.bound += 1
            body = encode_c_octets("SMSC")
        elif pdu.command == CommandId.SUBMIT_SM:
            self.given += 1
            body = encode_c_octets(f"id-{self.given}")
        return Pdu(pdu.command | 0x80000000, pdu.sequence, body=body)

    def count(self, command: CommandId) -> int:
        """Return how many PDUs of a kind came."""
        return sum(pdu.command == command for pdu in self.heard)

    async def until(self, count: int, command: CommandId) -> None:
        """Wait until so many PDUs of a kind have come."""
        async with self._came:
            await self._came.wait_for(lambda: self.count(command) >= count)
