"""Outages of what the program stands on: 503 in bounded time instead of a wrong answer, nothing half done, recovery by itself."""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.durability.crowd import Crowd, hold_to_account, sent_by, settle
from tests.durability.installation import installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.durability.wire import Heard, Wire
from tests.peers.postgres import PostgresServer

BOUND = 10.0
"""Seconds in which every answer must have come while the database hangs: five for a statement, two for a connection each time, and air."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def frail_server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL of this test's own, to be stopped and paused."""
    server = PostgresServer(durable=True)
    yield server
    server.remove()


@pytest.mark.postgres
async def test_postgresql_restarted_under_load_costs_a_503_and_never_a_wrong_answer(
    tmp_path: Path, sender: Sender, frail_server: PostgresServer
) -> None:
    """C3, C5, D1: stopped fast and crashed, twice each, under two serving processes that deliver; they go on by themselves."""
    url = frail_server.url(frail_server.create())
    with installed(tmp_path, url, config=webhook_config(sender.url, SECRET)) as installation:
        started = await asyncio.to_thread(installation.serve, "--workers", "2")
        processes = started.children()
        crowd = Crowd(installation)
        recoveries: list[float] = []
        async with crowd.busy():
            for mode in ("fast", "immediate") * 2:
                await asyncio.sleep(0.7)
                await asyncio.to_thread(frail_server.stop, mode)
                await asyncio.sleep(0.7)
                await asyncio.to_thread(frail_server.start)
                began, before = time.monotonic(), crowd.statuses[201]
                async with asyncio.timeout(BOUND):
                    while crowd.statuses[201] == before:  # noqa: ASYNC110 - other processes recover
                        await asyncio.sleep(0.01)
                recoveries.append(time.monotonic() - began)
        assert started.children() == processes, "a process died of it"
        await settle(installation)
        figures = await hold_to_account(crowd, installation, sent_by(sender, installation))
        assert await asyncio.to_thread(started.stop) == 0
        assert '"event": "unavailable"' in started.log, "the operator was told nothing"
    print(f"\nback after {[round(each, 2) for each in recoveries]} s: {figures}")  # noqa: T201 - shown with -s or -rP
    assert figures["answered 503"] > 0
    assert crowd.broken == 0
    assert set(crowd.statuses) <= {200, 201, 409, 422, 503}


@pytest.mark.postgres
async def test_postgresql_that_hangs_is_waited_for_only_so_long(
    tmp_path: Path, sender: Sender, frail_server: PostgresServer
) -> None:
    """H1: every process of PostgreSQL stopped (SIGSTOP): 503 with Retry-After within seconds, liveness unharmed, and then on as before."""
    url = frail_server.url(frail_server.create())
    with installed(tmp_path, url, config=webhook_config(sender.url, SECRET)) as installation:
        started = await asyncio.to_thread(installation.serve)
        wires = [Wire(installation.port, installation.key) for _ in range(12)]
        begun = await wires[0].post("/v1/verifications", {"to": "ada@example.org"})
        path = f"/v1/verifications/{begun.json['id']}"

        async def timed(asked: object) -> tuple[Heard, float]:
            began = time.monotonic()
            heard: Heard = await asked  # type: ignore[misc]
            return heard, time.monotonic() - began

        frail_server.pause()
        try:
            requests = [
                *(wire.post("/v1/verifications", {"to": f"ada{n}@example.org"}) for n, wire in enumerate(wires[:5])),
                *(
                    wire.post(f"{path}/check", {"code": installation.wrong_for(begun.json["id"])})
                    for wire in wires[5:9]
                ),
                wires[9].get(path),
                wires[10].get("/health/ready"),
                wires[11].get("/health/live"),
            ]
            answers = await asyncio.gather(*map(timed, requests))
        finally:
            frail_server.resume()
        *asked, (live, live_took) = answers
        assert [heard.status for heard, _ in asked] == [503] * 11
        assert all(int(heard.headers["retry-after"]) >= 1 for heard, _ in asked)
        assert max(took for _, took in asked) < BOUND
        assert (live.status, live_took < 1) == (200, True)

        began = time.monotonic()
        async with asyncio.timeout(BOUND):
            await _until(wires[0], {200, 201})
        recovered = time.monotonic() - began
        # Whether the guesses that were in its hands when it stopped were counted, only it knows; never more than were made.
        told = (await wires[0].get(path)).json
        assert told["status"] == "pending"
        assert 1 <= told["guesses_left"] <= 5
        right = await wires[0].post(f"{path}/check", {"code": installation.code_of(begun.json["id"])})
        assert right.json["status"] == "approved"
        for wire in wires:
            wire.close()
        assert await asyncio.to_thread(started.stop) == 0
    print(f"\nanswered in {max(took for _, took in asked):.1f} s at most, back after {recovered:.2f} s")  # noqa: T201 - shown with -s or -rP


async def test_a_full_disk_under_sqlite_stops_writing_and_nothing_else(tmp_path: Path, sender: Sender) -> None:
    """H1, C3, C5: 503 with Retry-After while there is no room, nothing half done, reads go on; with room again it goes on by itself."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and await _mount(disk)
    if not mounted:
        pytest.skip("a disk that can be filled needs root and the right to mount a small tmpfs")
    try:
        url = f"sqlite:///{disk / 'countersign.db'}"
        with installed(tmp_path, url, config=webhook_config(sender.url, SECRET)) as installation:
            started = await asyncio.to_thread(installation.serve)
            crowd = Crowd(installation)
            wire = Wire(installation.port, installation.key)
            begun = await wire.post("/v1/verifications", {"to": "ada@example.org"})
            path = f"/v1/verifications/{begun.json['id']}"
            recoveries: list[float] = []
            filler = disk / "filler"
            async with crowd.busy():
                for _ in range(2):
                    await asyncio.sleep(0.5)
                    await asyncio.to_thread(_fill, filler)
                    async with asyncio.timeout(BOUND):
                        full = await _until(wire, {503})
                    assert int(full.headers["retry-after"]) >= 1
                    assert (await wire.get(path)).status == 200
                    await asyncio.sleep(0.5)
                    filler.unlink()
                    began = time.monotonic()
                    async with asyncio.timeout(BOUND):
                        await _until(wire, {200, 201})
                    recoveries.append(time.monotonic() - began)
            right = await wire.post(f"{path}/check", {"code": installation.code_of(begun.json["id"])})
            assert right.json["status"] == "approved"
            wire.close()
            await settle(installation)
            figures = await hold_to_account(crowd, installation, sent_by(sender, installation))
            assert await asyncio.to_thread(started.stop) == 0
            with sqlite3.connect(disk / "countersign.db") as database:
                assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            database.close()
            assert "disk is full" in started.log
    finally:
        await _unmount(disk)
    print(f"\nback after {[round(each, 2) for each in recoveries]} s: {figures}")  # noqa: T201 - shown with -s or -rP
    assert figures["answered 503"] > 0
    assert crowd.broken == 0


async def _until(wire: Wire, statuses: set[int]) -> Heard:
    """Begin verifications until one is answered with one of these."""
    while True:
        heard = await wire.post("/v1/verifications", {"to": f"{secrets.token_hex(5)}@example.org"})
        if heard.status in statuses:
            return heard
        await asyncio.sleep(0.02)


async def _mount(disk: Path) -> bool:
    made = await asyncio.create_subprocess_exec(
        "mount", "-t", "tmpfs", "-o", "size=24m", "countersign", str(disk), stderr=-3
    )
    return await made.wait() == 0


async def _unmount(disk: Path) -> None:
    made = await asyncio.create_subprocess_exec("umount", "-l", str(disk))
    await made.wait()


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    filler.write(b"\0" * size)
            except OSError:
                continue
