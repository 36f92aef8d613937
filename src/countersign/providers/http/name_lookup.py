"""Looks up the addresses of hosts in threads of its own: a DNS that does not answer holds up nothing but those who ask for its names."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

THREADS: Final = 16
"""Hosts that are looked up at once. All who ask for one host wait for one thread."""

_threads: Final = ThreadPoolExecutor(THREADS, thread_name_prefix="name-lookup")
_under_way: Final[dict[tuple[str, int], Future[list[str]]]] = {}


async def find_addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a host, each once, in the system's order; raises OSError or UnicodeError if it has none.

    It takes as long as the system's resolver does: bound it. Who gives up leaves the look-up to others who wait for it.
    """
    asked = _under_way.get((host, port))
    if asked is None:
        asked = _under_way[host, port] = _threads.submit(_find, host, port)
        asked.add_done_callback(lambda _: _under_way.pop((host, port), None))
    return await asyncio.shield(asyncio.wrap_future(asked))


def _find(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
