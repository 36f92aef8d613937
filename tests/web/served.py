"""The application behind the real server, Granian, on a port of loopback, in a thread and a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server

from countersign.config import load
from countersign.web.app import make_app
from countersign.wiring import close_runtime, open_runtime


class Served:
    """Where it listens, and the key of its application "demo"."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = ""


@contextlib.contextmanager
def served(home: Path) -> Iterator[Served]:
    """Serve a new home until the block ends."""
    place = Served()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(_serve(place, home, stop)), name="served")
    thread.start()
    try:
        _wait_for(place, thread)
        yield place
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


async def _serve(place: Served, home: Path, stop: asyncio.Event) -> None:
    runtime = await open_runtime(load({"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_HOME": str(home)}))
    place.key = runtime.demo_key or ""
    app = make_app(runtime, worker_alive=lambda: True)
    server = Server(app, address="127.0.0.1", port=place.port, interface=Interfaces.ASGINL, log_enabled=False)
    serving = asyncio.create_task(server.serve())
    await stop.wait()
    runtime.stopping.set()
    server.stop()  # type: ignore[no-untyped-call]  # Granian's is not annotated
    await serving
    await close_runtime(runtime)


def _wait_for(place: Served, thread: threading.Thread) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and thread.is_alive():
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", place.port), 1).close()
            return
        time.sleep(0.02)
    raise AssertionError("the server did not come up")
