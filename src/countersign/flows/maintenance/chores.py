"""Chores: pieces of upkeep, each with its own try and time limit, so that one that fails keeps none of the others from running."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from countersign.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")

CHORE_S: Final = 30.0
"""How long one chore may take, in seconds; it goes on where it ended at the next turn."""

_log = structlog.get_logger("countersign.sweep")


class Chores:
    """One turn of chores, and the first failure among them."""

    def __init__(self) -> None:
        self.failure: Exception | None = None

    async def run(self, name: str, work: Awaitable[T], within: float | None = CHORE_S) -> T | None:
        """Do one chore within so many seconds. Returns its result, or None if it failed or took too long; the log says so."""
        try:
            async with asyncio.timeout(within):
                return await work
        except UnavailableError as error:
            _log.warning("chore_failed", chore=name, detail=str(error))
            self.failure = self.failure or error
        except TimeoutError as error:
            _log.warning("chore_failed", chore=name, detail=f"It took longer than {within or 0:g} seconds.")
            self.failure = self.failure or error
        except Exception as error:  # noqa: BLE001 - a fault in one chore must not keep the others from running
            # The type alone: the exception may quote data.
            _log.error("chore_broke", chore=name, error=type(error).__name__)
            self.failure = self.failure or error
        return None
