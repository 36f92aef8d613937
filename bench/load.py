"""The load: connections kept alive that ask, wait for the answer, and ask again, at as little cost of their own as Python allows."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Generator
from typing import TypeAlias

from bench.meter import Figure, cpu_of_tree, figure

Conversation: TypeAlias = Generator[bytes, bytes, None]
"""What one client says: it yields a request and is sent the answer, for ever."""


class WrongAnswerError(Exception):
    """A server answered otherwise than a benchmark may count."""


class _Client(asyncio.Protocol):
    """One connection and its conversation, until the end."""

    def __init__(self, conversation: Conversation, latencies: list[float], end: float) -> None:
        self._conversation = conversation
        self._latencies = latencies
        self._end = end
        self._asked_at = 0.0
        self._got = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._say(next(self._conversation))

    def data_received(self, data: bytes) -> None:
        got = self._got + data if self._got else data
        head = got.find(b"\r\n\r\n")
        length = got.find(b"content-length: ", 0, head)
        if head < 0 or len(got) < head + 4 + int(got[length + 16 : got.find(b"\r", length)]):
            self._got = got
            return
        self._got = b""
        now = time.perf_counter()
        self._latencies.append(now - self._asked_at)
        if now >= self._end:
            self._transport.close()
            return
        try:
            self._say(self._conversation.send(got))
        except WrongAnswerError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self._end:
            self._fail(exc or WrongAnswerError("The server hung up."))
        elif not self.done.done():
            self.done.set_result(None)

    def _say(self, request: bytes) -> None:
        self._asked_at = time.perf_counter()
        self._transport.write(request)  # type: ignore[attr-defined]

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
        self._transport.close()


async def drive(
    name: str, port: int, conversation: Callable[[], Conversation], clients: int, seconds: float, pids: dict[str, int]
) -> Figure:
    """Keep `clients` conversations going; CPU is counted of us ("load") and of the trees of `pids`, by name."""
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    before = {group: cpu_of_tree(pid) for group, pid in pids.items()}
    ours, began = time.process_time(), time.perf_counter()
    end = began + seconds
    made = [
        (await loop.create_connection(lambda: _Client(conversation(), latencies, end), "127.0.0.1", port))[1]
        for _ in range(clients)
    ]
    await asyncio.gather(*(client.done for client in made))
    took = time.perf_counter() - began
    cpu = {group: cpu_of_tree(pid) - before[group] for group, pid in pids.items()}
    cpu["load"] = time.process_time() - ours
    return figure(name, clients, took, latencies, cpu)


def pairs(key: str) -> Callable[[], Conversation]:
    """Return conversations that begin, each time for another address, and then answer wrong once."""
    head = f"authorization: Bearer {key}\r\n"
    run, numbers = secrets.token_hex(4), itertools.count()

    def conversation() -> Conversation:
        while True:
            answer = yield _post("/v1/verifications", _begin(f"ada-{run}-{next(numbers)}@example.org"), head)
            if not answer.startswith(b"HTTP/1.1 201"):
                raise WrongAnswerError(answer.decode())
            start = answer.index(b'"id":"') + 6
            answer = yield _post(f"/v1/verifications/{answer[start : start + 30].decode()}/check", _CHECK, head)
            if not answer.startswith(b"HTTP/1.1 200") or b'"wrong_code"' not in answer:
                raise WrongAnswerError(answer.decode())

    return conversation


def echoes() -> Conversation:
    """Say the same to a server that answers with what it was sent."""
    head = "authorization: Bearer csk_test_" + "x" * 32 + "\r\n"
    begin = _post("/v1/verifications", _begin("ada-00000000-000000@example.org"), head)
    check = _post("/v1/verifications/ver_" + "0" * 26 + "/check", _CHECK, head)
    while True:
        for request in (begin, check):
            answer = yield request
            if not answer.startswith(b"HTTP/1.1 200"):
                raise WrongAnswerError(answer.decode())


def page(path: str, cookies: str) -> Callable[[], Conversation]:
    """Return conversations that ask for one page, with a browser's cookies."""
    request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookies}\r\naccept-language: en\r\n\r\n".encode()

    def conversation() -> Conversation:
        while True:
            answer = yield request
            if not answer.startswith(b"HTTP/1.1 200"):
                raise WrongAnswerError(answer.decode())

    return conversation


_CHECK = b'{"code":"0000000"}'


def _begin(address: str) -> bytes:
    return b'{"to":"%b","subject":"user-42","locale":"en"}' % address.encode()


def _post(path: str, body: bytes, head: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
