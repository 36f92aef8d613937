"""Decides every command on challenges that reaches this process, in batches of one transaction each.

The commands that queue up while one batch is committed are the next batch. A batch loads and locks the rows that its commands read. Each
command decides in turn, and sees what the one before it changed. Then all changes are written at once and committed, and every caller
gets its answer. So many requests pay for one commit, and no number of parallel guesses can win a race.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from countersign.errors import OverloadedError, UnavailableError
from countersign.store.engine.committed import note_commit
from countersign.store.engine.database import ConflictError, RowLockedError, Runner
from countersign.store.ledger.event_log import Log
from countersign.store.ledger.unit_of_work import Command, UnitOfWork

MAX_WAITING: Final = 4_096
"""How many commands may wait; any more are refused with OverloadedError."""

MAX_BATCH: Final = 512
"""How many commands one batch takes: enough to make a commit cheap, few enough that no caller waits long for the others."""

ATTEMPTS: Final = 3
"""How often a command that is carried out alone is tried when its rows conflict with those of another transaction."""

LOCKED_S: Final = 2.0
"""For how many seconds one batch looks for the commands whose rows somebody keeps locked; then all that are left fail."""

LOCKED: Final = "Somebody keeps the record locked. Nothing was done. Try again."
"""What the caller of a command hears whose rows are locked by somebody else."""

T = TypeVar("T")


class QueuedCommand:
    """A command in the queue, the future that its caller awaits, and since when it waits."""

    __slots__ = ("answer", "command", "since")

    def __init__(self, command: Command[Any], answer: asyncio.Future[Any]) -> None:
        self.command = command
        self.answer = answer
        self.since = time.perf_counter()


class Ledger:
    """The only way to change a challenge.

    One task works on each of `connections`, with an event log of its own from `log`. `clock` returns the time in ms. `deliveries_due()`
    is called once new deliveries are durable. `observe_batch(size, waited, took)` is called after each batch, with the number of its
    commands, and in seconds how long the oldest of them had waited and how long the batch took. `bound` is how many commands may wait.
    """

    def __init__(
        self,
        connections: Sequence[Runner],
        *,
        log: Callable[[], Log],
        clock: Callable[[], int],
        deliveries_due: Callable[[], None],
        observe_batch: Callable[[int, float, float], None],
        bound: int = MAX_WAITING,
    ) -> None:
        self._connections = connections
        self._log = log
        self._clock = clock
        self._deliveries_due = deliveries_due
        self._observe_batch = observe_batch
        self._bound = bound
        self._queue: deque[QueuedCommand] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._in_progress = 0
        self._closing = False

    def open(self) -> None:
        """Start one task for each connection."""
        self._tasks = [asyncio.create_task(self._work(connection, self._log())) for connection in self._connections]

    async def close(self) -> None:
        """Accept no more commands, finish those that wait, and stop."""
        self._closing = True
        while self._idle:
            _wake(self._idle.popleft())
        await asyncio.gather(*self._tasks)

    @property
    def waiting(self) -> int:
        """Return how many commands wait."""
        return len(self._queue)

    async def submit(self, command: Command[T]) -> T:
        """Have a command decided, and return its outcome once that is durable.

        Raises OverloadedError, and does nothing, if too many commands wait. Raises UnavailableError if the database failed, or keeps a
        record locked. Nothing was done then, unless its `outcome_known` is false: reading the challenge shows it later.
        """
        if self._closing or len(self._queue) >= self._bound:
            raise OverloadedError("More requests are waiting than can be served in time. Try again shortly.")
        queued = QueuedCommand(command, asyncio.get_running_loop().create_future())
        self._queue.append(queued)
        if self._idle:
            _wake(self._idle.popleft())
        answer: T = await queued.answer
        note_commit()
        return answer

    async def _work(self, connection: Runner, log: Log) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                idle = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
                continue
            batch = [self._queue.popleft() for _ in range(self._share())]
            batch = [queued for queued in batch if not queued.answer.done()]  # leaves out those whose callers have gone
            if batch:
                self._in_progress += len(batch)
                try:
                    await self._carry_out(connection, log, batch)
                finally:
                    self._in_progress -= len(batch)

    def _share(self) -> int:
        """Return how many commands the next batch takes: a fair part of all, so that one connection decides while another commits."""
        fair = -(-(len(self._queue) + self._in_progress) // len(self._connections))
        return min(MAX_BATCH, len(self._queue), fair)

    async def _carry_out(self, connection: Runner, log: Log, batch: list[QueuedCommand]) -> None:
        began = time.perf_counter()
        await self._carry_out_part(connection, log, batch, began + LOCKED_S)
        ended = time.perf_counter()
        with contextlib.suppress(Exception):  # a fault in the metrics must not end this task
            self._observe_batch(len(batch), began - batch[0].since, ended - began)

    async def _carry_out_part(
        self, connection: Runner, log: Log, batch: list[QueuedCommand], locked_until: float
    ) -> None:
        """Carry out a batch, or a part of one.

        If somebody keeps a row locked, it is halved until the commands that want this row are alone: nobody else waits for them.
        """
        try:
            await self._commit(connection, log, batch)
        except RowLockedError:
            if len(batch) == 1 or time.perf_counter() >= locked_until:
                _fail(batch, UnavailableError(LOCKED))
                return
            half = len(batch) // 2
            for part in (batch[:half], batch[half:]):
                await self._carry_out_part(connection, log, part, locked_until)
        except UnavailableError as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - a row that is refused, or a bug, must stop neither this task nor the other commands
            if len(batch) == 1 and not isinstance(error, ConflictError):
                _fail(batch, error)
            else:
                for queued in batch:
                    await self._carry_out_alone(connection, log, queued)

    async def _carry_out_alone(self, connection: Runner, log: Log, queued: QueuedCommand) -> None:
        """Carry out one command of a batch whose transaction failed, so that only the command at fault fails."""
        for _ in range(ATTEMPTS):
            try:
                await self._commit(connection, log, [queued])
            except RowLockedError:
                _fail([queued], UnavailableError(LOCKED))
            except ConflictError:
                continue
            except Exception as error:  # noqa: BLE001 - as above
                _fail([queued], error)
            return
        _fail([queued], UnavailableError("Others are changing the same record. Try again."))

    async def _commit(self, connection: Runner, log: Log, batch: list[QueuedCommand]) -> None:
        """Decide and write a batch in one transaction, then answer its callers."""
        outcomes, has_deliveries = await log.run(connection, self._transaction, batch)
        if has_deliveries:
            with contextlib.suppress(
                Exception
            ):  # the deliveries are durable, and a worker that is not notified finds them by polling
                self._deliveries_due()
        for queued, outcome in zip(batch, outcomes, strict=True):
            if queued.answer.done():
                continue
            if isinstance(outcome, Exception):
                queued.answer.set_exception(outcome)
            else:
                queued.answer.set_result(outcome)

    async def _transaction(self, batch: list[QueuedCommand]) -> tuple[list[Any], bool]:
        work = UnitOfWork()
        await work.load([queued.command.reads for queued in batch])
        now = self._clock()  # read only now, because waiting for locks takes time
        outcomes: list[Any] = []
        for queued in batch:
            try:
                decision = queued.command.decide(work, now)
            except Exception as error:  # noqa: BLE001 - a command that raises fails alone, and has changed nothing
                outcomes.append(error)
                continue
            work.apply(decision)
            outcomes.append(decision.outcome)
        await work.save()
        return outcomes, work.has_deliveries


def _wake(future: asyncio.Future[None]) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        future.set_result(None)


def _fail(batch: Sequence[QueuedCommand], error: Exception) -> None:
    for queued in batch:
        if not queued.answer.done():
            queued.answer.set_exception(error)
