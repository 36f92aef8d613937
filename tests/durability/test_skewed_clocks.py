"""Machines whose clocks are wrong, on one PostgreSQL (libfaketime): every message leaves at once, and once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from tests.durability.installation import installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.durability.test_clock_steps import LIBRARY
from tests.durability.wire import Wire
from tests.rounds import rounds

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.installation import Installation, Started

MESSAGES = rounds(40)
SLOW = 2.5
"""Seconds that the provider takes for each message."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.peers,
    pytest.mark.timeout(120),
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (apt-get install libfaketime)"),
]


async def test_a_web_node_ahead_delays_nothing_and_two_workers_apart_hand_over_once(
    tmp_path: Path, sender: Sender, durable_url: str
) -> None:
    """O8, D1: the web node is half a minute ahead, and the workers are 20 seconds apart with a provider that takes its time."""
    sender.delay = SLOW
    with installed(tmp_path, durable_url, config=webhook_config(sender.url, SECRET)) as installation:
        web = await skewed(installation, 30, "serve", "--port", str(installation.port))
        await asyncio.to_thread(web.wait_for, installation.port)
        workers = [await skewed(installation, seconds, "work") for seconds in (0, 20)]
        async with asyncio.timeout(30):
            while any("working" not in worker.log for worker in workers):  # noqa: ASYNC110 - another process says so
                await asyncio.sleep(0.05)
        wire = Wire(installation.port, installation.key)
        began: dict[str, float] = {}
        for number in range(MESSAGES):
            heard = await wire.post("/v1/verifications", {"to": f"p{number}@example.org"})
            assert heard.status == 201, heard.body
            began[heard.json["id"]] = time.monotonic()
            await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            while len(sender.keys) < MESSAGES:  # noqa: ASYNC110 - another process sends
                await asyncio.sleep(0.05)
        waited = time.monotonic() - max(began.values())
        assert waited < 5, "no message waits for a clock"
        await asyncio.sleep(SLOW + 1)
        assert set(sender.keys.values()) == {1}, "nobody died, so nothing is handed over twice"
        wire.close()


async def skewed(installation: Installation, ahead: int, *words: str) -> Started:
    """Start a command on a machine whose clock is so many seconds ahead."""
    environ = installation.program.environ
    installation.program.environ = {
        **environ,
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": f"+{ahead}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "COUNTERSIGN_NO_WORKER": "yes" if words[0] == "serve" else "no",
    }
    try:
        return await asyncio.to_thread(installation._start, *words)
    finally:
        installation.program.environ = environ
