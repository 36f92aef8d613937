"""One serving process: opens its runtime, answers HTTP until it is told to stop, and finishes the requests in flight."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import time
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn

from countersign import logs
from countersign.errors import CountersignError
from countersign.serving.process import open_process
from countersign.serving.protocol import HttpProtocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from countersign.config import Settings
    from countersign.messages.custom.custom_templates import CustomTemplates
    from countersign.web.http.application import WebApplication

BACKLOG: Final = 1024
"""Connections that the kernel queues until a process accepts them."""

KEPT_FOR_THE_END: Final = 0.25
"""Part of the grace time reserved for releasing claims and finishing the ledger, even if requests are still in flight."""

LOOK_EVERY: Final = 1.0
"""Seconds between two checks for late connections."""

NEW_OBJECTS: Final = 10_000
"""New objects before Python collects cycles. Python's default of 700 cost 3 % of a busy process."""

CANNOT_START: Final = 1
"""Exit code of a process that could not open its runtime."""

_log = structlog.get_logger("countersign.serving")


def serve_in_this_process(
    settings: Settings, templates: CustomTemplates, listener: socket.socket, started: int, lifeline: int
) -> int:
    """Serve until SIGTERM, SIGINT or the end of the supervisor. Returns the exit code.

    Args:
        settings: those of the installation.
        templates: the operator's own words, as the supervisor has read them.
        listener: a socket that listens; sibling processes share it.
        started: a descriptor that gets one byte when connections are taken.
        lifeline: a descriptor that ends when the supervisor does, which alone has its other side.
    """
    import uvloop

    logs.configure(settings.log.level, settings.log.format, queued=True)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(settings, templates, listener, started, lifeline))
    finally:
        logs.close()


async def _serve(
    settings: Settings, templates: CustomTemplates, listener: socket.socket, started: int, lifeline: int
) -> int:
    from countersign.web.app import make_app

    try:
        lifespan = await open_process(settings, templates)
        app = make_app(lifespan.runtime, worker_alive=lambda: lifespan.delivering)
        await lifespan.begin(shared=True)
    except CountersignError as error:
        _log.error("cannot_start", detail=str(error))
        return CANNOT_START
    server = Server(app, grace=settings.grace * (1 - KEPT_FOR_THE_END), started=started)

    def stop() -> None:
        server.should_exit = True
        lifespan.stop()  # at once: the server waits for streams, so they must end first

    def orphaned() -> None:
        loop.remove_reader(lifeline)
        _log.warning("server_gone", detail="The process that started this one has ended; stopping.")
        stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_reader(lifeline, orphaned)
    # What exists now stays. Requests leave few cycles, so collection can be rare.
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 50)
    await server.serve(sockets=[listener])
    loop.remove_reader(lifeline)
    await lifespan.leave()
    return 0


class Server(uvicorn.Server):
    """uvicorn's server with a check for late connections. At the end it waits for at most `grace` seconds."""

    def __init__(self, app: WebApplication, *, grace: float, started: int | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=HttpProtocol,
                loop="none",
                lifespan="off",
                ws="none",
                interface="asgi3",
                backlog=BACKLOG,
                # Its loggers propagate to ours, where everything passes the redactor.
                log_config=None,
                access_log=False,
                # web/http/proxies.py decides whose forwarded headers count.
                proxy_headers=False,
                server_header=False,
            )
        )
        self._grace = grace
        self._started = started
        self._look_at = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process, which stops more than HTTP."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and tell the supervisor."""
        await super().startup(sockets)
        if self._started is not None:
            os.write(self._started, b".")
            os.close(self._started)

    async def on_tick(self, counter: int) -> bool:
        """Run the periodic checks, ten times a second. Returns True if the server should stop."""
        self._close_late_connections()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and wait for the open ones to be answered or for the grace time to end."""
        until = time.monotonic() + self._grace
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        connections = self.server_state.connections
        for connection in tuple(connections):
            connection.shutdown()
        while connections and time.monotonic() < until:
            await asyncio.sleep(0.02)
            self._close_late_connections()
        if connections:
            _log.warning("cut_off", detail="Requests are still in flight at the end of the grace time.")
            for connection in tuple(connections):
                connection.transport.abort()

    def _close_late_connections(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, HttpProtocol):
                connection.close_if_late(now)
