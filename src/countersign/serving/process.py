"""The lifespan of one process: its runtime, delivery loop and metrics server, started together and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import msgspec
import structlog

from countersign.config import Settings
from countersign.config.agreement import agreement_of, differing_sections
from countersign.errors import UnavailableError
from countersign.flows.delivery.bounces import poll_mailbox
from countersign.flows.maintenance.housekeeper import is_missing
from countersign.messages.custom.custom_templates import CustomTemplates
from countersign.serving.metrics_server import serve_metrics
from countersign.store.tables import metadata
from countersign.wiring import Runtime, close_runtime, open_runtime
from countersign.worker import Worker

BEGIN_AGAIN: Final = 1.0
"""Seconds before a delivery loop that failed starts again."""

COMPARE_EVERY: Final = 15.0
"""Seconds between two looks at the settings of the other programs."""

WATCH_EVERY: Final = 5.0
"""Seconds between two looks whether a worker runs, where this process has none."""

_log = structlog.get_logger("countersign.serving")


class ProcessLifespan:
    """The background work of a process. `stop` may be called from a signal handler; `leave` waits for the end."""

    def __init__(self, runtime: Runtime, worker: Worker | None) -> None:
        self.runtime = runtime
        self._worker = worker
        self._delivering: asyncio.Task[None] | None = None
        self._collecting: asyncio.Task[None] | None = None
        self._metrics: asyncio.Server | None = None
        self._comparing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def delivering(self) -> bool:
        """Return True if this process delivers messages, or if another process is responsible for delivery."""
        return self._worker is None or self._worker.alive

    async def begin(self, *, shared: bool) -> None:
        """Start delivering and counting. `shared` is true if other processes use the same metrics port, be it for a moment."""
        settings = self.runtime.settings
        if self.runtime.clock.ahead:
            _log.warning("clock_ahead", seconds=self.runtime.clock.ahead // 1_000)
        if self._worker is not None:
            self.runtime.core.database.listen(self._worker.wake)
            self.runtime.clock.hear(self._worker.extend_leases, self._worker.clock_moved)
            self._delivering = asyncio.create_task(self._deliver(self._worker), name="deliver")
            if settings.bounces is not None:
                from countersign.providers.email.bounce_mailbox import BounceMailbox

                looking = poll_mailbox(self.runtime.delivery, BounceMailbox(settings.bounces))
                self._collecting = asyncio.create_task(looking, name="bounces")
        await self.open_metrics(shared=shared)
        self._comparing = asyncio.create_task(self._compare_settings(), name="settings")
        if self._worker is None:
            self._watching = asyncio.create_task(self._watch_workers(), name="workers")

    async def open_metrics(self, *, shared: bool) -> None:
        """Open the port of the metrics, if there is one."""
        settings = self.runtime.settings
        if settings.metrics.port is not None:
            self._metrics = await serve_metrics(self.runtime, settings.bind, settings.metrics.port, shared=shared)

    def close_metrics(self) -> None:
        """Close the port of the metrics, so that a successor can open it."""
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None

    def stop(self) -> None:
        """Accept no new work: the delivery loop finishes what is under way, and event streams are told to close."""
        self.runtime.stopping.set()
        if self._worker is not None:
            self._worker.stop()

    async def ended(self) -> None:
        """Wait until the delivery loop has ended."""
        if self._delivering is not None:
            await self._delivering

    async def leave(self) -> None:
        """Stop, release claims, finish what waits, and close everything."""
        self.stop()
        await self.ended()
        for task in (self._collecting, self._comparing, self._watching):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self.close_metrics()
        await close_runtime(self.runtime)

    async def _compare_settings(self) -> None:
        """Write down a digest of our settings, and say when a program that started later has others: once for each difference.

        A difference must be seen twice, for while settings are rolled out it is there for a moment.
        """
        own, database = agreement_of(self.runtime.settings), self.runtime.core.database
        written, seen, told = False, list[str](), list[str]()
        while True:
            try:
                if not written:
                    await database.run(metadata.save, metadata.SETTINGS, msgspec.json.encode(own))
                    written = True
                found = differing_sections(own, await database.read(metadata.find, metadata.SETTINGS))
            except UnavailableError:
                found = seen
            if found and found == seen and found != told:
                _log.warning("settings_differ", sections=found, detail="A program that started later has others.")
            seen, told = found, found if found == seen else told
            await asyncio.sleep(COMPARE_EVERY)

    async def _watch_workers(self) -> None:
        """Say when no worker runs, and when one does again. It must be seen twice, for while one is restarted there is none."""
        core, seen, told = self.runtime.core, False, False
        while True:
            await asyncio.sleep(WATCH_EVERY)
            try:
                lease = await core.database.read(metadata.find, metadata.HOUSEKEEPER)
            except UnavailableError:
                continue
            missing = is_missing(lease, core.now())
            if missing and seen and not told:
                _log.error("worker_missing", remedy="Messages wait. Start `countersign work`.")
            elif told and not missing:
                _log.info("worker_back")
            seen, told = missing, missing and (seen or told)

    async def _deliver(self, worker: Worker) -> None:
        stats, stopping = self.runtime.metrics, self.runtime.stopping
        while not stopping.is_set():
            stats.worker(alive=True)
            try:
                await worker.run()
            except Exception as error:  # noqa: BLE001 - the people of this process must not go without their messages
                # Only the type: an error message may quote secrets.
                _log.error("delivery_broke", error=type(error).__name__, again_in=BEGIN_AGAIN)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), BEGIN_AGAIN)
            finally:
                stats.worker(alive=False)


async def open_process(settings: Settings, templates: CustomTemplates | None = None) -> ProcessLifespan:
    """Open the runtime and its background work. Raises SettingsError or UnavailableError. `templates` were read before, or are read now."""
    runtime = await open_runtime(settings, templates)
    worker = (
        None
        if settings.no_worker
        else Worker(
            runtime.delivery, settings.retention_days, settings.grace, runtime.accounts, settings.events.retention
        )
    )
    return ProcessLifespan(runtime, worker)
