"""The worker: claims due messages, sends many at once, records the results, and sweeps in between."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from typing import Final

import msgspec
import structlog

from countersign.domain.delivery.delivery import LEASE
from countersign.errors import CountersignError, UnavailableError
from countersign.flows.accounts.context import AccountContext
from countersign.flows.accounts.gathered_notices import send_gathered
from countersign.flows.changes.delayed_recovery import send_reminders
from countersign.flows.changes.delete_account import erase_due
from countersign.flows.delivery.claim import claim_due
from countersign.flows.delivery.compose import ClaimedDelivery
from countersign.flows.delivery.context import DeliveryContext
from countersign.flows.delivery.conversions import record_conversions
from countersign.flows.delivery.send import SendResult, record_results, release_claims, renew_leases, send
from countersign.flows.maintenance.audit import write_checkpoint
from countersign.flows.maintenance.chores import Chores
from countersign.flows.maintenance.housekeeper import give_up_lease, take_lease
from countersign.flows.maintenance.sweep import sweep

SLOTS: Final = 64
"""Messages that one worker sends at once."""

POLL: Final = 1.0
"""Seconds after which the worker looks for due messages even if it was not woken."""

RENEW_EVERY: Final = LEASE / 3_000
"""Seconds between renewals of leases. If one renewal fails, the leases still hold."""

SWEEP_EVERY: Final = 10.0
CHECKPOINT_EVERY: Final = 60.0
GRACE: Final = 10.0
"""Seconds that messages being sent have to finish after a stop. Leases cover those that do not."""

_log = structlog.get_logger("countersign.worker")


class Worker:
    """A delivery loop and its sweep. `run` ends after `stop`.

    With `accounts` it also sends the reminders of delayed recoveries, tells of notices that were held, and erases accounts. `grace` is in
    seconds.
    """

    def __init__(
        self,
        delivery: DeliveryContext,
        retention_days: int,
        grace: float = GRACE,
        accounts: AccountContext | None = None,
    ) -> None:
        self._delivery = delivery
        self._accounts = accounts
        self._retention_days = retention_days
        self._grace = min(GRACE, grace / 2)  # the other half is for recording, releasing and closing
        self._due = asyncio.Event()
        self._results: asyncio.Queue[SendResult | None] = asyncio.Queue()  # None: no more results will come
        self._in_flight: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._stopping = asyncio.Event()
        self._checkpointed: dict[str, int] = {}
        self._name = secrets.token_hex(8)
        self._rung = False
        self._clock_moved = asyncio.Event()
        self.alive = False

    def wake(self) -> None:
        """Wake the loop because a message is due. Call it from the thread of the loop."""
        self._rung = True
        self._due.set()

    async def extend_leases(self, now: int) -> None:
        """Extend all leases for the time `now` (ms), to which the clock is about to move. Otherwise they would end there."""
        core = msgspec.structs.replace(self._delivery.core, clock=lambda: now)
        await renew_leases(msgspec.structs.replace(self._delivery, core=core), list(self._in_flight.values()))

    def clock_moved(self) -> None:
        """Look for due messages and expired challenges at once, because the clock was moved."""
        self._clock_moved.set()
        self._due.set()

    def stop(self) -> None:
        """End the loop: it claims nothing more, and messages being sent finish."""
        self._stopping.set()
        self._due.set()

    async def run(self) -> None:
        """Send and sweep until `stop` is called."""
        recording = asyncio.create_task(self._record())
        sweeping = asyncio.create_task(self._sweep())
        renewing = asyncio.create_task(self._renew())
        self.alive = True
        try:
            while not self._stopping.is_set():
                self._due.clear()
                if not await self._claim():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._due.wait(), POLL)
        finally:
            self.alive = False
            sweeping.cancel()
            late = await self._finish()
            renewing.cancel()
            self._results.put_nowait(None)
            with contextlib.suppress(TimeoutError, UnavailableError):
                await asyncio.wait_for(recording, self._grace)
                # A try that was cut short may have arrived. Whoever claims it next sends it under the same key.
                await release_claims(self._delivery, late)
            await asyncio.gather(recording, sweeping, renewing, return_exceptions=True)
            with contextlib.suppress(CountersignError):
                await write_checkpoint(self._delivery.core, self._checkpointed)
                await give_up_lease(self._delivery.core, self._name)

    async def _claim(self) -> bool:
        """Claim as many messages as there is room for, and start to send them. Returns True if more may be due."""
        free = SLOTS - len(self._in_flight)
        if free == 0:
            if self._rung:
                self._delivery.database.pass_on()
            self._rung = False
            await asyncio.wait(self._in_flight, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
            return True
        try:
            claimed = await claim_due(self._delivery, free)
        except UnavailableError as error:
            _log.warning("claim_failed", detail=str(error))
            await self._pause(POLL)
            return False
        for one in claimed:
            task = asyncio.create_task(self._send(one))
            self._in_flight[task] = one
            task.add_done_callback(self._in_flight.pop)
        if len(claimed) == free:
            self._delivery.database.pass_on()  # more may be due than this worker can take
        return len(claimed) == free

    async def _send(self, claimed: ClaimedDelivery) -> None:
        self._results.put_nowait(await send(self._delivery, claimed))

    async def _record(self) -> None:
        """Record the results of tries until no more come. All that wait are recorded at once."""
        last = False
        while not last:
            received = [await self._results.get()]
            while not self._results.empty():
                received.append(self._results.get_nowait())
            results = [result for result in received if result is not None]
            last = len(results) < len(received)
            if results:
                await self._record_batch(results)
            self._due.set()  # a message may be due for its next provider

    async def _record_batch(self, results: list[SendResult]) -> None:
        while True:
            try:
                await record_results(self._delivery, results)
            except UnavailableError as error:
                # What was sent must be recorded. Otherwise it would be sent again when its lease ends.
                _log.warning("record_failed", detail=str(error), results=len(results))
                await asyncio.sleep(POLL)
            except Exception as error:  # noqa: BLE001 - a fault in one result must not stop the recording of the others
                if len(results) == 1:
                    _log.error("result_not_recorded", delivery=results[0].delivery.key, error=type(error).__name__)
                    return
                for result in results:
                    await self._record_batch([result])
                return
            else:
                return

    async def _finish(self) -> list[ClaimedDelivery]:
        """Let messages being sent finish within the grace time. Returns those that did not, and were cut short."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=self._grace)
        late = {task: claimed for task, claimed in self._in_flight.items() if not task.done()}
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return list(late.values())

    async def _renew(self) -> None:
        """Renew the leases of messages that take longer than one: the provider is slow, but the worker is alive."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                await renew_leases(self._delivery, list(self._in_flight.values()))
            except UnavailableError as error:
                _log.warning("renewal_failed", detail=str(error))
            except Exception as error:  # noqa: BLE001 - without renewals, another worker would send slow messages again
                _log.error("renewal_error", error=type(error).__name__)

    async def _sweep(self) -> None:
        since_checkpoint = 0.0
        while True:
            wait = SWEEP_EVERY * random.uniform(0.8, 1.2)  # noqa: S311 - spreads the sweeps of several processes; protects nothing
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: before Python 3.12 it can swallow our cancellation (CPython issue 86296), and the stop would hang.
                async with asyncio.timeout(wait):
                    await self._clock_moved.wait()
            self._clock_moved.clear()
            since_checkpoint += wait
            try:
                if not await take_lease(self._delivery.core, self._name):
                    continue
            except UnavailableError as error:
                _log.warning("sweep_failed", detail=str(error))
                continue
            except Exception as error:  # noqa: BLE001 - a fault in one turn must not end all turns
                _log.error("sweep_error", error=type(error).__name__)
                continue
            if since_checkpoint >= CHECKPOINT_EVERY:
                since_checkpoint = 0.0
                await self._keep_house(checkpoint=True)
            else:
                await self._keep_house(checkpoint=False)

    async def _keep_house(self, *, checkpoint: bool) -> None:
        """Do every chore once: each has its own try, so that one that fails keeps none of the others from running."""
        chores, core, accounts = Chores(), self._delivery.core, self._accounts
        report = await chores.run("sweep", sweep(core, self._retention_days), within=None)
        if report is not None and (report.expired or report.deleted):
            _log.debug("swept", expired=report.expired, deleted=report.deleted)
        await chores.run("conversions", record_conversions(self._delivery))
        if accounts is not None:
            await chores.run("reminders", send_reminders(accounts))
            await chores.run("gathered_notices", send_gathered(accounts))
            await chores.run("erasures", erase_due(accounts))
        if checkpoint:
            await chores.run("checkpoint", write_checkpoint(core, self._checkpointed))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
