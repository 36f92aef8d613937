"""A process that delivers and sweeps without HTTP until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import structlog

from countersign import __version__, logs
from countersign.serving.process import open_process

if TYPE_CHECKING:
    from countersign.config import Settings

_log = structlog.get_logger("countersign.serving")


def work(settings: Settings) -> None:
    """Deliver until SIGTERM or SIGINT. Raises SettingsError or UnavailableError if it cannot start."""
    import uvloop

    logs.configure(settings.log.level, settings.log.format, queued=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings))


async def _work(settings: Settings) -> None:
    process = await open_process(settings)
    try:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, process.stop)
        await process.begin(shared=False)
        _log.info("working", version=__version__, loop=type(loop).__module__)
        await process.ended()
    finally:
        await process.leave()
    _log.info("stopped")
