"""Patience: how long a request's body is waited for, since a sender who trickles would hold a place for ever.

One timer looks after all: a timer for each request would cost more than reading its body.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, TypeAlias

Task: TypeAlias = asyncio.Task[Any]

BODY_WITHIN: Final = 10.0
"""Seconds in which a body must have come."""

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at those that wait."""


class Patience:
    """The tasks of one event loop that wait for a body, and since when; those that wait too long are canceled."""

    def __init__(self) -> None:
        self._since: dict[Task, float] = {}
        self._late: set[Task] = set()
        self._looking = False

    def begin(self) -> Task:
        """Note that the current task waits from now on, and return it."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - whatever is awaited runs in one
        self._since[task] = time.monotonic()
        if not self._looking:
            self._look_later()
        return task

    def end(self, task: Task) -> None:
        """Note that a task waits no more."""
        self._since.pop(task, None)
        self._late.discard(task)

    def ran_out(self, task: Task) -> bool:
        """Say whether it was for want of patience that a task was canceled."""
        return task in self._late

    def _look(self) -> None:
        self._looking = False
        until = time.monotonic() - BODY_WITHIN
        for task, since in self._since.items():
            if since < until and task not in self._late:
                self._late.add(task)
                task.cancel()
        if self._since:
            self._look_later()

    def _look_later(self) -> None:
        self._looking = True
        asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)
