"""The key of the application "demo": kept in a file of its owner's, the same as long as it opens anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest_asyncio

from countersign.flows.maintenance.applications import ApplicationDirectory, remove_application, rotate_application_key
from countersign.flows.maintenance.demo_key import DEMO, ensure_demo_key
from countersign.store.ledger.event_log import Chain, Log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.flows.place import Place


@pytest_asyncio.fixture
async def log(place: Place) -> Log:
    """An event log of one writer."""
    return Log(Chain(lambda: "w_demo", place.keyring.link))


@pytest_asyncio.fixture
async def ensure(place: Place, log: Log, tmp_path: Path) -> Callable[[], Awaitable[str]]:
    """Ensures the key, kept in `demo.key`."""

    async def ensured() -> str:
        path = tmp_path / "demo.key"
        return await ensure_demo_key(
            path, place.database, log, place.keyring, place.clock, site="Demo", host="localhost"
        )

    return ensured


async def opens(place: Place, key: str) -> str | None:
    """Return the name of the application that a key opens."""
    found = await ApplicationDirectory(place.database, place.keyring, place.clock).authenticate(key)
    return found.name if found else None


async def test_a_first_key_is_made_and_kept_for_its_owner_alone(
    place: Place, ensure: Callable[[], Awaitable[str]], tmp_path: Path
) -> None:
    key = await ensure()
    assert await opens(place, key) == DEMO
    kept = tmp_path / "demo.key"
    assert kept.read_text() == f"{key}\n"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob("*demo.key*")] == ["demo.key"]  # noqa: ASYNC240 - and no draft


async def test_a_key_that_opens_is_given_again(ensure: Callable[[], Awaitable[str]]) -> None:
    assert await ensure() == await ensure()


async def test_a_lost_file_gets_a_new_key_of_the_same_application(
    place: Place, ensure: Callable[[], Awaitable[str]], tmp_path: Path
) -> None:
    before = await ensure()
    (tmp_path / "demo.key").unlink()
    key = await ensure()
    assert key != before
    assert await opens(place, key) == DEMO
    assert await place.count("applications") == 1


async def test_a_key_that_was_replaced_elsewhere_is_made_anew(
    place: Place, log: Log, ensure: Callable[[], Awaitable[str]], tmp_path: Path
) -> None:
    await ensure()
    await rotate_application_key(place.database, log, place.keyring, DEMO, place.clock(), os.urandom)
    (tmp_path / "demo.key").write_text("csk_test_of_another_installation\n")
    assert await opens(place, await ensure()) == DEMO


async def test_an_application_that_was_removed_is_added_again(
    place: Place, log: Log, ensure: Callable[[], Awaitable[str]]
) -> None:
    before = await ensure()
    await remove_application(place.database, log, DEMO, place.clock())
    key = await ensure()
    assert key != before
    assert await opens(place, key) == DEMO
