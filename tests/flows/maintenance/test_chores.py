"""Chores: one that fails or hangs keeps none of the others from running."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from countersign.errors import UnavailableError
from countersign.flows.maintenance.chores import Chores


async def fails(error: Exception) -> int:
    raise error


async def gives(number: int) -> int:
    return number


async def test_each_has_its_own_try() -> None:
    """O8: and the first failure is kept."""
    chores = Chores()
    with capture_logs() as said:
        assert await chores.run("a", gives(1)) == 1
        assert await chores.run("b", fails(UnavailableError("gone"))) is None
        assert await chores.run("c", fails(ValueError("secret"))) is None
        assert await chores.run("d", gives(2)) == 2
    assert isinstance(chores.failure, UnavailableError)
    assert [(one["event"], one["chore"]) for one in said] == [("chore_failed", "b"), ("chore_broke", "c")]
    assert "secret" not in str(said)


async def test_one_that_hangs_is_given_up() -> None:
    """O8: after its own time."""
    chores = Chores()
    assert await chores.run("hangs", asyncio.sleep(60, 1), within=0.01) is None
    assert await chores.run("next", gives(3)) == 3
    with pytest.raises(TimeoutError):
        raise chores.failure or AssertionError
