"""The route that moves the clock: for whom it is there, where it refuses, and what stays moved."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.clock import DAY, HOUR, SECOND
from tests.web.client import Client
from tests.web.conftest import Opener, belong_to_nobody, new_key

from countersign.clock import system_clock
from countersign.config import load
from countersign.domain.shared.application import ApplicationMode
from countersign.domain.verifications.challenge import ChallengeState
from countersign.keys import new_file
from countersign.store.engine.migrate import migrate
from countersign.store.tables import challenges
from countersign.web.app import make_app
from countersign.wiring import close_runtime, installation_of, open_runtime, prepare
from countersign.worker import Worker

if TYPE_CHECKING:
    from countersign.wiring import Runtime


async def test_it_takes_a_test_key_and_no_other(client: Client, runtime: Runtime) -> None:
    """I2."""
    for key in ("", "csk_test_" + "A" * 32, await new_key(runtime, "live", ApplicationMode.LIVE)):
        stranger = Client(client.app, key)
        for answer in (await stranger.get("/test/clock"), await stranger.post("/test/clock", {"advance": 60})):
            assert (answer.status, answer.json["type"].rpartition("/")[2]) == (401, "unauthorized")
    assert runtime.clock.ahead == 0
    assert (await client.post("/test/clock", {"advance": 60})).json["ahead"] == 60


async def test_it_is_not_there_in_production(tmp_path: Path) -> None:
    """As the inbox, whatever the key."""
    settings = load(
        {
            "COUNTERSIGN_PUBLIC_URL": "https://verify.example.org",
            "COUNTERSIGN_HOME": str(tmp_path),
        }
    )
    new_file(settings.secret_file, system_clock())
    migrate(settings.database_url)
    runtime = await open_runtime(settings)
    try:
        app = make_app(runtime, worker_alive=lambda: True)
        for key in ("", await new_key(runtime, "tests", ApplicationMode.TEST)):
            client = Client(app, key)
            for answer in (await client.get("/test/clock"), await client.post("/test/clock", {"advance": 60})):
                assert (answer.status, answer.json["type"].rpartition("/")[2]) == (404, "not-found")
        assert runtime.clock.ahead == 0
    finally:
        await close_runtime(runtime)


async def test_it_is_refused_where_another_process_would_go_by_its_own(open_house: Opener) -> None:
    runtime = await open_house(no_worker="yes")
    client = Client(make_app(runtime, worker_alive=lambda: True), runtime.demo_key or "")
    refused = await client.post("/test/clock", {"advance": 60})
    assert (refused.status, refused.json["type"].rpartition("/")[2]) == (409, "clock-shared")
    assert "countersign emulate" in refused.json["remedy"]
    assert (await client.get("/test/clock")).json["ahead"] == 0


async def test_who_serves_the_home_next_goes_on_from_there(client: Client, runtime: Runtime) -> None:
    """O1: a process that dies and is replaced must not fall back behind what it wrote; commands at that home see the same time."""
    await client.post("/test/clock", {"advance": 3_600})
    settings = runtime.settings
    async with installation_of(settings) as ground:
        assert abs(ground.clock() - system_clock() - HOUR) < SECOND
    assert await prepare(settings) == runtime.demo_key
    again = await open_runtime(settings)
    try:
        assert abs(again.core.clock() - system_clock() - HOUR) < SECOND
        assert abs(again.delivery.now() - system_clock() - HOUR) < SECOND
    finally:
        await close_runtime(again)


async def test_a_home_that_was_moved_keeps_the_machines_time_in_production(
    client: Client, runtime: Runtime, tmp_path: Path
) -> None:
    await client.post("/test/clock", {"advance": 3_600})
    home = tmp_path / "copied"
    shutil.copytree(runtime.settings.home, home)
    belong_to_nobody(home)
    settings = load({"COUNTERSIGN_PUBLIC_URL": "https://verify.example.org", "COUNTERSIGN_HOME": str(home)})
    async with installation_of(settings) as ground:
        assert abs(ground.clock() - system_clock()) < SECOND


async def test_what_expired_is_swept_at_once(client: Client, runtime: Runtime) -> None:
    """C2: that it expired is written down, and need not be asked for."""
    begun = await client.begin("ada@example.org")
    worker = Worker(runtime.delivery, runtime.settings.retention_days)
    runtime.clock.hear(worker.extend_leases, worker.clock_moved)
    working = asyncio.create_task(worker.run())
    assert (await client.post("/test/clock", {"advance": 601})).status == 200
    async with asyncio.timeout(5):
        while True:
            found = await runtime.core.database.read(challenges.find, begun["id"])
            if found is not None and found.state is ChallengeState.EXPIRED:
                break
            await asyncio.sleep(0.005)
    worker.stop()
    await working


async def test_the_bound_is_on_the_whole_way_not_on_each_step(client: Client) -> None:
    for _ in range(4):
        assert (await client.post("/test/clock", {"advance": 100 * DAY // SECOND})).status == 200
    refused = await client.post("/test/clock", {"advance": 1})
    assert (refused.status, refused.json["reason"]) == (422, "too_far")
    assert (await client.post("/test/clock", {"advance": 0})).json["ahead"] == 400 * DAY // SECOND


@pytest.mark.parametrize("moment", ["+60", "1e9", "2026-11-27", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+23:59"])
async def test_what_is_no_moment_is_refused_without_being_repeated(client: Client, moment: str) -> None:
    """H1."""
    refused = await client.post("/test/clock", {"at": moment})
    assert refused.status in {400, 422}
    assert moment not in refused.body.decode()
