"""The ledger: every command on challenges that reaches this program, judged in batches, one transaction a batch.

Whatever queues up while a batch is being committed is the next batch. A batch loads and locks the rows that its commands name, lets
each command judge in turn what the one before it left, writes all changes at once, commits, and answers every caller. So a
commit is paid once for many requests, and no number of parallel guesses can win a race.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from countersign.errors import OverloadedError, UnavailableError
from countersign.store.engine.database import ConflictError, Runner
from countersign.store.ledger.event_log import Log
from countersign.store.ledger.unit_of_work import Command, UnitOfWork

BOUND: Final = 4_096
"""Commands that may wait; one more is told to come back."""

MOST: Final = 512
"""Commands in one batch: enough to make a commit cheap, few enough that nobody waits long for the others' work."""

T = TypeVar("T")


class QueuedCommand:
    """A command in the queue, and the caller who waits for its outcome."""

    __slots__ = ("answer", "command", "since")

    def __init__(self, command: Command[Any], answer: asyncio.Future[Any]) -> None:
        self.command = command
        self.answer = answer
        self.since = time.perf_counter()


class Ledger:
    """The one way to change a challenge.

    `observe(size, waited, took)` is told of each batch: how many commands, how long the oldest of them had waited, and
    how long the batch took (seconds). `owed()` is called once messages that are due have become durable.
    """

    def __init__(
        self,
        lanes: Sequence[Runner],
        *,
        log: Callable[[], Log],
        clock: Callable[[], int],
        owed: Callable[[], None],
        observe: Callable[[int, float, float], None],
        bound: int = BOUND,
    ) -> None:
        self._lanes = lanes
        self._log = log
        self._clock = clock
        self._owed = owed
        self._observe = observe
        self._bound = bound
        self._queue: deque[QueuedCommand] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way = 0
        self._closing = False

    def open(self) -> None:
        """Start one task a lane."""
        self._tasks = [asyncio.create_task(self._work(lane, self._log())) for lane in self._lanes]

    async def close(self) -> None:
        """Take no more commands, finish those that wait, and stop."""
        self._closing = True
        while self._idle:
            _wake(self._idle.popleft())
        await asyncio.gather(*self._tasks)

    @property
    def waiting(self) -> int:
        """Return how many commands wait."""
        return len(self._queue)

    async def submit(self, command: Command[T]) -> T:
        """Have a command judged, and return its outcome once that is durable.

        Raises OverloadedError if too many wait (nothing was done), and UnavailableError if the database failed: nothing was done, or, where
        the connection broke during the commit itself, the outcome is not known and the state tells it.
        """
        if self._closing or len(self._queue) >= self._bound:
            raise OverloadedError("More requests are waiting than can be served in time. Try again shortly.")
        waiting = QueuedCommand(command, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._idle:
            _wake(self._idle.popleft())
        answer: T = await waiting.answer
        return answer

    async def _work(self, lane: Runner, log: Log) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                idle = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
                continue
            batch = [self._queue.popleft() for _ in range(self._share())]
            batch = [waiting for waiting in batch if not waiting.answer.done()]  # the caller has gone: never mind
            if batch:
                self._under_way += len(batch)
                try:
                    await self._carry_out(lane, log, batch)
                finally:
                    self._under_way -= len(batch)

    def _share(self) -> int:
        """Return how many commands a lane takes: its part of all that are here, so that one lane judges while another commits."""
        fair = -(-(len(self._queue) + self._under_way) // len(self._lanes))
        return min(MOST, len(self._queue), fair)

    async def _carry_out(self, lane: Runner, log: Log, batch: list[QueuedCommand]) -> None:
        began = time.perf_counter()
        try:
            await self._settle(lane, log, batch)
        except UnavailableError as error:
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - nothing of it stays; a row that is refused, or a bug, must stop neither lane nor neighbours
            if len(batch) > 1 or isinstance(error, ConflictError):
                await self._one_by_one(lane, log, batch)
            else:
                _fail(batch, error)
        ended = time.perf_counter()
        with contextlib.suppress(Exception):  # whatever is wrong with the counting must not end a lane
            self._observe(len(batch), began - batch[0].since, ended - began)

    async def _one_by_one(self, lane: Runner, log: Log, batch: list[QueuedCommand]) -> None:
        """Carry out a batch whose transaction failed for the sake of one row: each command alone, that one fails alone."""
        for waiting in batch:
            for last in (False, False, True):
                try:
                    await self._settle(lane, log, [waiting])
                    break
                except ConflictError:
                    if last:
                        _fail([waiting], UnavailableError("Others are changing the same record. Try again."))
                except UnavailableError as error:
                    _fail([waiting], error)
                    break
                except Exception as error:  # noqa: BLE001 - as above
                    _fail([waiting], error)
                    break

    async def _settle(self, lane: Runner, log: Log, batch: list[QueuedCommand]) -> None:
        outcomes, owes = await log.run(lane, self._transaction, batch)
        if owes:
            with contextlib.suppress(Exception):  # it is durable, and a worker that is not woken finds it by polling
                self._owed()
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(outcome, Exception):
                waiting.answer.set_exception(outcome)
            else:
                waiting.answer.set_result(outcome)

    async def _transaction(self, batch: list[QueuedCommand]) -> tuple[list[Any], bool]:
        book = UnitOfWork()
        await book.load([waiting.command.needs for waiting in batch])
        now = self._clock()  # only now: waiting for the locks took time
        outcomes: list[Any] = []
        for waiting in batch:
            try:
                verdict = waiting.command.judge(book, now)
            except Exception as error:  # noqa: BLE001 - a command that fails to apply fails alone, and has entered nothing
                outcomes.append(error)
                continue
            book.enter(verdict)
            outcomes.append(verdict.outcome)
        await book.save()
        return outcomes, book.owes


def _wake(future: asyncio.Future[None]) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        future.set_result(None)


def _fail(batch: Sequence[QueuedCommand], error: Exception) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
