"""Inside a serving process: the ASGI application that opens its Runtime at start-up, and lets go of it at shutdown."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import structlog

from countersign import logs
from countersign.config import load
from countersign.errors import CountersignError
from countersign.serving.process import Crew, gather_crew
from countersign.wiring import Runtime

LOOK_FOR_PARENT: Final = 0.5
"""Seconds between two looks whether the server that started this process still lives."""

KEPT_FOR_THE_END: Final = 0.25
"""Part of the grace time in which claims are given back and the ledger finishes, even while requests hang on."""

NEW_OBJECTS: Final = 10_000
"""Objects made and not yet freed before the collector of cycles looks at them; Python's own 700 cost 3 % of a busy process."""

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = structlog.get_logger("countersign.serving")


def app() -> Application:
    """Return the ASGI application; its settings are those of the environment. The server calls this in each process."""
    return Inside()


class Inside:
    """Stands in front of the web application until that can be made: when the loop runs and everything is open."""

    def __init__(self) -> None:
        self._answer: Application = self._lifespan

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand on: to the web application, and with no frame of ours between, once it is there."""
        return self._answer(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            raise RuntimeError("The server asked before it had started us; it must speak the lifespan protocol.")
        await receive()
        try:
            crew = await self._start()
        except CountersignError as error:
            _log.error("cannot_start", detail=str(error))
            await send({"type": "lifespan.startup.failed", "message": ""})
            return
        watch = asyncio.create_task(_outlive_no_parent(os.getppid()))
        await send({"type": "lifespan.startup.complete"})
        await _until_drained(receive, crew.runtime)
        watch.cancel()
        await crew.leave()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> Crew:
        from countersign.web.app import make_app

        settings = load(os.environ)
        logs.configure(settings.log.level, settings.log.format)
        crew = await gather_crew(settings)
        answer = make_app(crew.runtime, worker_alive=lambda: crew.delivering)
        await crew.begin(shared=settings.workers > 1)
        _on_stop(crew.stop)
        self._answer = answer
        # What stands now stands for good; requests leave few cycles, so the collector may look for them seldom.
        gc.collect()
        gc.freeze()
        gc.set_threshold(NEW_OBJECTS, 20, 50)
        return crew


async def _until_drained(receive: Receive, runtime: Runtime) -> None:
    """Return once no request is in flight after a stop, or when so little of the grace time is left that claims must be given back now."""
    drained = asyncio.ensure_future(receive())
    stopping = asyncio.ensure_future(runtime.stopping.wait())
    await asyncio.wait((drained, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.wait((drained,), timeout=runtime.settings.grace * (1 - KEPT_FOR_THE_END))
    if not drained.done():
        _log.warning("cut_off", detail="Requests are still in flight at the end of the grace time.")
        drained.cancel()


async def _outlive_no_parent(parent: int) -> None:
    """Stop in good order when the server that watches this process is gone: nobody would replace it or tell it to stop."""
    while os.getppid() == parent:  # noqa: ASYNC110 - the system announces this to nobody
        await asyncio.sleep(LOOK_FOR_PARENT)
    _log.warning("server_gone", detail="The process that started this one has ended; stopping.")
    os.kill(os.getpid(), signal.SIGTERM)


def _on_stop(act: Callable[[], None]) -> None:
    """Have the running loop call `act` at SIGTERM or SIGINT, besides what the server does then: it waits for streams, so they are told."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def handle(signum: int, frame: object, before: object = before) -> None:
            loop.call_soon_threadsafe(act)
            # The loop of the server learns of the signal by its wake-up descriptor; a handler in Python is called here.
            if callable(before):
                before(signum, frame)

        signal.signal(number, handle)
