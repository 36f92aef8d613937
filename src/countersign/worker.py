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
from countersign.domain.delivery.fair_share import DueQueue
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.month import LogRetention
from countersign.errors import CountersignError, UnavailableError
from countersign.flows.accounts.context import AccountContext
from countersign.flows.accounts.gathered_notices import send_gathered
from countersign.flows.changes.delayed_recovery import send_reminders
from countersign.flows.changes.delete_account import erase_due
from countersign.flows.delivery.claim import MAIL, MOST_OF_ONE, PHONE, Claimed, claim_from, find_due, judge
from countersign.flows.delivery.compose import ClaimedDelivery
from countersign.flows.delivery.context import DeliveryContext
from countersign.flows.delivery.conversions import record_conversions
from countersign.flows.delivery.send import SendResult, record_results, release_claims, renew_leases, send
from countersign.flows.delivery.stranded import rescue_stranded
from countersign.flows.maintenance.audit import write_checkpoint
from countersign.flows.maintenance.chores import Chores
from countersign.flows.maintenance.drop_months import drop_months
from countersign.flows.maintenance.housekeeper import give_up_lease, take_lease
from countersign.flows.maintenance.order_events import order_events
from countersign.flows.maintenance.sweep import sweep

SLOTS: Final = MOST_OF_ONE
"""Messages of one application that one worker sends at once: as many by mail, and as many by phone."""

RESERVE: Final = 16
"""Messages beyond these that one worker sends for others, so that an application that floods does not have all of it."""

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
        log_retention: LogRetention | None = None,
    ) -> None:
        self._delivery = delivery
        self._log_retention = log_retention or LogRetention()
        self._accounts = accounts
        self._retention_days = retention_days
        self._grace = min(GRACE, grace / 2)  # the other half is for recording, releasing and closing
        self._due = asyncio.Event()
        self._results: asyncio.Queue[SendResult | None] = asyncio.Queue()  # None: no more results will come
        self._in_flight: dict[asyncio.Task[None], ClaimedDelivery] = {}
        self._judging: dict[asyncio.Task[None], list[ClaimedDelivery]] = {}
        self._claiming: dict[frozenset[Channel], asyncio.Task[None]] = {}
        self._passed_over: set[frozenset[Channel]] = set()
        self._more_are_due = False
        self._stopping = asyncio.Event()
        self._checkpointed: dict[str, int] = {}
        self._name = secrets.token_hex(8)
        self._passed_on_at = -POLL
        self._clock_moved = asyncio.Event()
        self.alive = False

    def wake(self) -> None:
        """Wake the loop because a message is due. Call it from the thread of the loop."""
        self._due.set()

    async def extend_leases(self, now: int) -> None:
        """Extend all leases for the time `now` (ms), to which the clock is about to move. Otherwise they would end there."""
        core = msgspec.structs.replace(self._delivery.core, clock=lambda: now)
        await renew_leases(msgspec.structs.replace(self._delivery, core=core), self._held)

    @property
    def _held(self) -> list[ClaimedDelivery]:
        """Return the messages that this worker has claimed, and not sent yet."""
        return [*self._in_flight.values(), *(one for some in self._judging.values() for one in some)]

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
                await self._look()
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

    async def _look(self) -> None:
        """Look for due messages, and start to claim those of each kind of channel for which there is room."""
        try:
            queues = await find_due(self._delivery, SLOTS)
        except UnavailableError as error:
            _log.warning("claim_failed", detail=str(error))
            await self._pause(POLL)
            return
        for kind in (MAIL, PHONE):
            # What an older release wrote may go by any channel; it waits with the phone messages.
            due = [queue for queue in queues if (queue.channel or Channel.SMS) in kind]
            if due and kind in self._claiming:
                self._passed_over.add(kind)
            elif due:
                self._claiming[kind] = asyncio.create_task(self._claim_of(kind, due))

    async def _claim_of(self, kind: frozenset[Channel], due: list[DueQueue]) -> None:
        """Claim messages of one kind of channel. A kind whose claim waits for the database does not stop the other."""
        try:
            await self._claim(kind, due)
        except UnavailableError as error:
            _log.warning("claim_failed", detail=str(error))
            await self._pause(POLL)
        except Exception as error:  # noqa: BLE001 - a fault in one claim must not be the end of all claims
            _log.error("claim_error", error=type(error).__name__)
            await self._pause(POLL)
        finally:
            del self._claiming[kind]
            if kind in self._passed_over:
                self._passed_over.discard(kind)
                self._due.set()

    async def _claim(self, kind: frozenset[Channel], due: list[DueQueue]) -> None:
        """Claim as many messages as there is room for, and start to send them, or to have them judged first."""
        held = [one for one in self._held if one.delivery.channel in kind]
        claimed = await claim_from(self._delivery, due, max(0, SLOTS + RESERVE - len(held)), held, SLOTS)
        for one in claimed.ready:
            self._start(one)
        for application in dict.fromkeys(one.owner.application for one in claimed.unjudged):
            own = [one for one in claimed.unjudged if one.owner.application == application]
            task = asyncio.create_task(self._judge(own, claimed))
            self._judging[task] = own
            task.add_done_callback(self._judging.pop)
        # Of each queue no more than so many were counted.
        if claimed.looked_at < sum(queue.due for queue in due) or any(queue.due >= SLOTS for queue in due):
            self._more_are_due = True
            self._pass_on(claimed.looked_at)
        if claimed.looked_at:
            self._due.set()

    def _pass_on(self, claimed: int) -> None:
        """Wake another worker, since more is due than this one takes. Two that are full do not wake each other without an end."""
        now = asyncio.get_running_loop().time()
        if claimed or now >= self._passed_on_at + POLL:
            self._passed_on_at = now
            self._delivery.database.pass_on()

    async def _judge(self, messages: list[ClaimedDelivery], claimed: Claimed) -> None:
        """Send the messages of an application that the pumping rules let through. One whose counts are locked stops no other."""
        try:
            for one in await judge(self._delivery, messages, claimed.probes):
                self._start(one)
        except UnavailableError as error:
            _log.warning("claim_failed", detail=str(error))
            await self._pause(POLL)
            with contextlib.suppress(UnavailableError):
                await release_claims(self._delivery, messages)
        except Exception as error:  # noqa: BLE001 - their leases end, and they are judged again
            _log.error("claim_error", error=type(error).__name__)

    def _start(self, claimed: ClaimedDelivery) -> None:
        task = asyncio.create_task(self._send(claimed))
        self._in_flight[task] = claimed
        task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._in_flight.pop(task)
        if self._more_are_due:
            self._more_are_due = False
            self._due.set()

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
        """Let messages being judged and sent finish within the grace time. Returns those that did not, and were cut short."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._grace):
                while tasks := [*self._claiming.values(), *self._judging, *self._in_flight]:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        late = self._held
        cut = [*self._claiming.values(), *self._judging, *self._in_flight]
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)
        return late

    async def _renew(self) -> None:
        """Renew the leases of messages that take longer than one: the provider is slow, but the worker is alive."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                await renew_leases(self._delivery, self._held)
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
        await chores.run("stranded", rescue_stranded(self._delivery))
        await chores.run("conversions", record_conversions(self._delivery))
        if accounts is not None:
            await chores.run("reminders", send_reminders(accounts))
            await chores.run("gathered_notices", send_gathered(accounts))
            await chores.run("erasures", erase_due(accounts))
        # Each month is sealed before its checkpoint is signed, which names the seal.
        keeping = (core.database, self._delivery.records, core.keyring)
        await chores.run("log_order", order_events(*keeping, core.now()))
        await chores.run("log_retention", drop_months(*keeping, self._log_retention, core.now()))
        if checkpoint:
            await chores.run("checkpoint", write_checkpoint(core, self._checkpointed))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
