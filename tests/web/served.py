"""The application behind the real server, on a port of loopback: in a thread and a loop of its own, or in the loop of a test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from countersign.config import load
from countersign.serving.web_process import Server
from countersign.web.app import make_app
from countersign.web.http.application import WebApplication
from countersign.wiring import close_runtime, open_runtime


class Served:
    """Where it listens, and the key of its application "demo"."""

    def __init__(self) -> None:
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = ""


@contextlib.contextmanager
def served(home: Path) -> Iterator[Served]:
    """Serve a new home until the block ends."""
    place = Served()
    loop = asyncio.new_event_loop()
    stop, up = asyncio.Event(), threading.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(_serve(place, home, stop, up)), name="served")
    thread.start()
    try:
        assert up.wait(20), "the server did not come up"
        yield place
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


@contextlib.asynccontextmanager
async def serving(app: WebApplication) -> AsyncIterator[Served]:
    """Serve an application in this loop until the block ends."""
    place = Served()
    server = Server(app, grace=2)
    running = asyncio.create_task(server.serve(sockets=[place.listener]))
    try:
        yield place
    finally:
        server.should_exit = True
        await running


async def _serve(place: Served, home: Path, stop: asyncio.Event, up: threading.Event) -> None:
    runtime = await open_runtime(load({"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_HOME": str(home)}))
    place.key = runtime.demo_key or ""
    server = Server(make_app(runtime, worker_alive=lambda: True), grace=2)
    running = asyncio.create_task(server.serve(sockets=[place.listener]))
    up.set()
    await stop.wait()
    runtime.stopping.set()
    server.should_exit = True
    await running
    await close_runtime(runtime)
