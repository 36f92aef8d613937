"""A process that delivers and sweeps without HTTP until it is told to stop; at SIGHUP its settings are read again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Final

import structlog

from countersign import __version__, logs
from countersign.config.live_settings import LiveSettings
from countersign.errors import CountersignError
from countersign.serving.preflight import check_before_start
from countersign.serving.process import open_process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from countersign.config import Settings
    from countersign.serving.process import ProcessLifespan

LOOK_EVERY: Final = 2.0
"""Seconds between two looks at whether a file of secrets has changed."""

_log = structlog.get_logger("countersign.serving")


def work(settings: Settings, environ: Mapping[str, str]) -> None:
    """Deliver until SIGTERM or SIGINT. Raises SettingsError or UnavailableError if it cannot start.

    Args:
        settings: those of the installation.
        environ: where they are read again at SIGHUP.
    """
    import uvloop

    logs.configure(settings.log.level, settings.log.format, queued=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(LiveSettings(environ, settings)))


async def _work(live: LiveSettings) -> None:
    stopping, hung_up = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    process = await open_process(live.settings)
    try:
        await process.begin(shared=False)
        _log.info("working", version=__version__, loop=type(loop).__module__)
        while not stopping.is_set():
            await _first_of(stopping, hung_up)
            if hung_up.is_set():
                hung_up.clear()
                process = await _reloaded(process, live, live.read)
            elif not stopping.is_set() and live.have_secrets_changed():
                process = await _reloaded(process, live, live.read_secrets)
    finally:
        await process.leave()
    _log.info("stopped")


async def _first_of(*events: asyncio.Event) -> None:
    """Wait until one of the events is set, or until it is time to look at the files of secrets."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, timeout=LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def _reloaded(process: ProcessLifespan, live: LiveSettings, read: Callable[[], Settings]) -> ProcessLifespan:
    """Return a successor that delivers with the settings as they are now; or, if they are wrong, the process itself, which goes on."""
    successor: ProcessLifespan | None = None
    try:
        settings = read()
        await check_before_start(settings)
        successor = await open_process(settings)
        process.close_metrics()
        await successor.begin(shared=False)
    except Exception as error:  # noqa: BLE001 - whatever a file does to us, what delivers goes on
        # The text of our own errors alone: another may quote secrets.
        known = isinstance(error, CountersignError)
        _log.error("cannot_reload", detail=str(error) if known else f"An unforeseen fault: {type(error).__name__}.")
        if successor is not None:
            await successor.leave()
            with contextlib.suppress(CountersignError):
                await process.open_metrics(shared=False)
        return process
    live.take(settings)
    logs.configure(settings.log.level, settings.log.format, queued=True)
    await process.leave()
    _log.info("reloaded", processes=1)
    return successor
