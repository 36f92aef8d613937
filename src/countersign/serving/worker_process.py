"""Working alone: delivery and sweeping without HTTP, until told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import structlog

from countersign import __version__
from countersign.serving.process import gather_crew

if TYPE_CHECKING:
    from countersign.config import Settings

_log = structlog.get_logger("countersign.serving")


def work(settings: Settings) -> None:
    """Deliver until SIGTERM or SIGINT; raises SettingsError or UnavailableError if it cannot begin."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(settings))


async def _work(settings: Settings) -> None:
    crew = await gather_crew(settings)
    try:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, crew.stop)
        await crew.begin(shared=False)
        _log.info("working", version=__version__, loop=type(loop).__module__)
        await crew.ended()
    finally:
        await crew.leave()
    _log.info("stopped")
