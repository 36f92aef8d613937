"""A DNS server on a port of loopback, which answers from a table."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, records: Mapping[tuple[str, str], list[str]]) -> None:
        self._records = records
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        asked = query.question[0]
        name, kind = asked.name.to_text().rstrip(".").lower(), asked.rdtype.name
        response = dns.message.make_response(query, recursion_available=True)
        if records := self._records.get((name, kind)):
            response.answer.append(dns.rrset.from_text(asked.name, 60, "IN", kind, *records))
        elif not any(known == name for known, _ in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        if self._transport is not None:
            self._transport.sendto(response.to_wire(), addr)


@contextlib.contextmanager
def dns_server(records: Mapping[tuple[str, str], list[str]]) -> Iterator[str]:
    """Answer from `records`, by name and kind, which may be changed meanwhile; give the address and port.

    It has a thread and a loop of its own, since a command under test runs to its end in the caller's.
    """
    ready, stop = Event(), Event()
    where: list[str] = []

    async def serve() -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Answers(records), local_addr=("127.0.0.1", 0)
        )
        host, port = transport.get_extra_info("sockname")
        where.append(f"{host}:{port}")
        ready.set()
        while not stop.is_set():  # noqa: ASYNC110 - the other thread's event has no loop
            await asyncio.sleep(0.01)
        transport.close()

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(asyncio.run, serve())
        assert ready.wait(10)
        try:
            yield where[0]
        finally:
            stop.set()
            running.result()
