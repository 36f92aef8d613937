"""SIGTERM under load: every request that was taken is answered, claims are given back, and a second worker goes on with them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from tests.durability.crowd import Crowd, hold_to_account, sent_by
from tests.durability.installation import installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.durability.wire import BrokenError, Wire

GRACE = 6

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_a_stop_under_load_answers_what_it_took_and_the_next_start_goes_on(
    tmp_path: Path, sender: Sender, each_url: str
) -> None:
    """O1: three stops, each clean and within the grace time; every promise is kept, and no claim waits for its lease."""
    config = f"grace = {GRACE}\n" + webhook_config(sender.url, SECRET)
    with installed(tmp_path, each_url, config=config) as installation:
        words = () if installation.sqlite else ("--workers", "2")
        crowd = Crowd(installation)
        async with crowd.busy():
            for _ in range(3):
                started = await asyncio.to_thread(installation.serve, *words)
                await asyncio.sleep(0.6)
                began = time.monotonic()
                assert await asyncio.to_thread(started.stop) == 0
                assert time.monotonic() - began < GRACE
                assert "cut_off" not in started.log
                sending = await installation.rows("SELECT owner FROM deliveries WHERE state = 'sending'")
                assert sending == [], "a claim was not given back"
            started = await asyncio.to_thread(installation.serve, *words)
        async with asyncio.timeout(20):
            while await installation.rows("SELECT owner FROM deliveries WHERE due_at IS NOT NULL LIMIT 1"):  # noqa: ASYNC110 - another process moves it
                await asyncio.sleep(0.1)
        figures = await hold_to_account(crowd, installation, sent_by(sender, installation))
        assert await asyncio.to_thread(started.stop) == 0
    print(f"\n{figures}")  # noqa: T201 - shown with -s or -rP
    # Who got no answer had found a closed door: whatever was carried out was answered.
    assert figures["judged without an answer"] == 0
    assert figures["sent twice under one key"] == 0
    assert figures["approved"] > 0


async def test_requests_that_are_in_flight_at_a_stop_are_all_answered(
    tmp_path: Path, sender: Sender, each_url: str
) -> None:
    """O1: forty requests are half sent when SIGTERM comes; each is answered when its rest arrives."""
    with installed(tmp_path, each_url, config=webhook_config(sender.url, SECRET)) as installation:
        started = await asyncio.to_thread(installation.serve, *(() if installation.sqlite else ("--workers", "2")))
        body = b'{"to": "ada%02d@example.org"}'
        head = f"POST /v1/verifications HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {installation.key}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body % 1)}\r\n\r\n"
        open_ = [await asyncio.open_connection("127.0.0.1", installation.port) for _ in range(40)]
        for number, (_, writer) in enumerate(open_):
            writer.write(head.encode() + (body % number)[:9])
        await asyncio.sleep(0.5)  # until they have been taken up
        started.popen.terminate()
        await asyncio.sleep(1)
        late = Wire(installation.port, installation.key)
        with pytest.raises(BrokenError):
            await late.get("/health/live")
        for number, (_, writer) in enumerate(open_):
            writer.write((body % number)[9:])
        said = await asyncio.gather(*(reader.readuntil(b"\r\n\r\n") for reader, _ in open_))
        assert [answer[:13] for answer in said] == [b"HTTP/1.1 201 "] * 40
        assert await asyncio.to_thread(started.popen.wait, 20) == 0
        for _, writer in open_:
            writer.transport.abort()
        assert await installation.rows("SELECT count(*) FROM challenges") == [(40,)]


@pytest.mark.postgres
async def test_what_a_stopped_worker_had_claimed_is_sent_by_the_other_at_once(
    tmp_path: Path, sender: Sender, durable_url: str
) -> None:
    """O1, D1: a worker is stopped while the sender lets it wait; what it could not finish is given back, not left to its lease."""
    sender.delay = 60.0
    with installed(tmp_path, durable_url, config=webhook_config(sender.url, SECRET)) as installation:
        serving = await asyncio.to_thread(installation.serve, "--no-worker")
        first = installation.work()
        wire = Wire(installation.port, installation.key)
        for number in range(20):
            assert (await wire.post("/v1/verifications", {"to": f"ada{number}@example.org"})).status == 201
        wire.close()
        async with asyncio.timeout(20):
            while len(sender.posted) < 10:  # noqa: ASYNC110 - another process posts
                await asyncio.sleep(0.05)
        sender.delay = 0.0
        began = time.monotonic()
        assert await asyncio.to_thread(first.stop) == 0
        took = time.monotonic() - began
        assert took < 15
        second = installation.work()
        async with asyncio.timeout(15):
            while await installation.rows("SELECT owner FROM deliveries WHERE state <> 'accepted' LIMIT 1"):  # noqa: ASYNC110 - another process moves it
                await asyncio.sleep(0.1)
        assert await asyncio.to_thread(second.stop) == 0
        assert await asyncio.to_thread(serving.stop) == 0
    print(f"\nstopped in {took:.1f} s; {sum(sender.keys.values())} posts of {len(sender.keys)} messages")  # noqa: T201 - shown with -s or -rP
    assert len(sender.keys) == 20
