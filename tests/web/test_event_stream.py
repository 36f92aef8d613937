"""The stream of events: what GET says, as it changes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.web.client import Client, assert_problem
from tests.web.conftest import CodeOf

from countersign.web.app import make_app
from countersign.web.http import event_stream
from countersign.web.http.application import WebApplication
from countersign.wiring import Runtime
from countersign.worker import Worker


class Watch:
    """A reader of one stream, who may hang up."""

    def __init__(self, client: Client, path: str) -> None:
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self.hang_up = asyncio.Event()
        self.headers: dict[str, str] = {}
        scope = client.scope("GET", path, {"authorization": f"Bearer {client.key}"})
        self.task = asyncio.ensure_future(client.app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self.hang_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: dict[str, Any]) -> None:
        if event["type"] == "http.response.start":
            self.headers = {name.decode(): value.decode() for name, value in event["headers"]}
        for line in event.get("body", b"").decode().splitlines():
            self.told.put_nowait(json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else line)

    async def next(self) -> Any:
        """Return what is told next."""
        async with asyncio.timeout(5):
            while not (told := await self.told.get()):
                pass
        return told


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "POLL", 0.02)


async def test_a_stream_tells_what_changes_and_ends_with_it(client: Client, runtime: Runtime, code_of: CodeOf) -> None:
    begun = await client.begin()
    path = f"/v1/verifications/{begun['id']}"
    watch = Watch(client, f"{path}/events")
    assert (await watch.next())["delivery"]["state"] == "queued"
    worker = Worker(runtime.delivery, 30)
    working = asyncio.create_task(worker.run())
    while (told := await watch.next())["delivery"]["state"] != "accepted":
        assert told["delivery"]["state"] in {"queued", "sending"}
    await client.post(f"{path}/check", {"code": await code_of(begun["id"])})
    last = await watch.next()
    assert last["status"] == "approved"
    await asyncio.wait_for(watch.task, 5)
    assert last == (await client.get(path)).json
    assert watch.headers["content-type"] == "text/event-stream"
    assert watch.headers["cache-control"] == "no-store"
    worker.stop()
    await working


async def test_a_stream_whose_message_is_still_owed_goes_on(client: Client) -> None:
    begun = await client.begin()
    path = f"/v1/verifications/{begun['id']}"
    await client.post(f"{path}/cancel")
    watch = Watch(client, f"{path}/events")
    assert (await watch.next())["status"] == "canceled"
    await asyncio.sleep(0.1)
    assert not watch.task.done()
    watch.hang_up.set()
    await asyncio.wait_for(watch.task, 5)


async def test_a_reader_who_has_gone_is_noticed(app: WebApplication, client: Client) -> None:
    begun = await client.begin()
    watch = Watch(client, f"/v1/verifications/{begun['id']}/events")
    await watch.next()
    assert app.web.streams.open == 1
    watch.hang_up.set()
    await asyncio.wait_for(watch.task, 5)
    assert app.web.streams.open == 0


async def test_streams_end_when_the_program_is_told_to_stop(client: Client, runtime: Runtime) -> None:
    """O1: nothing that would go on for ever holds the exit up."""
    begun = await client.begin()
    watch = Watch(client, f"/v1/verifications/{begun['id']}/events")
    await watch.next()
    runtime.stopping.set()
    await asyncio.wait_for(watch.task, 5)


async def test_an_idle_stream_is_kept_open_by_comments(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT", 0.05)
    begun = await client.begin()
    watch = Watch(client, f"/v1/verifications/{begun['id']}/events")
    await watch.next()
    assert (await watch.next()).startswith(":")
    watch.hang_up.set()
    await asyncio.wait_for(watch.task, 5)


async def test_no_more_streams_are_opened_than_can_be_kept(
    client: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert event_stream.MOST_STREAMS > 1
    monkeypatch.setattr(event_stream, "MOST_STREAMS", 1)
    client.app = make_app(runtime, worker_alive=lambda: True)
    begun = await client.begin()
    path = f"/v1/verifications/{begun['id']}/events"
    watch = Watch(client, path)
    await watch.next()
    assert_problem(await client.get(path), 503, "too-many-streams")
    watch.hang_up.set()
    await asyncio.wait_for(watch.task, 5)


async def test_a_stream_is_its_applications_own(app: WebApplication, client: Client) -> None:
    """I2, C4: without the key there is nothing to see."""
    begun = await client.begin()
    assert_problem(await Client(app).get(f"/v1/verifications/{begun['id']}/events"), 401, "unauthorized")
