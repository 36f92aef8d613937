"""Attack: one browser opens streams of progress until no place is left, and nobody else sees what became of a code."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.web.client import Client, assert_problem
from tests.web.conftest import _made_home, app, client, open_house, runtime

from countersign.flows.accounts.context import BrowserContext, CodeRequested
from countersign.flows.sign_in.recover import recover
from countersign.web.http import event_stream
from countersign.web.http.application import WebApplication
from countersign.wiring import Runtime

__all__ = ["_made_home", "app", "client", "open_house", "runtime"]


class Streams:
    """Opens streams, and ends them all."""

    def __init__(self, app: WebApplication) -> None:
        self._app = app
        self._gone = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, cookie: str, peer: str) -> int:
        """Open the stream of a browser, and return its status."""
        scope = Client(self._app, peer=peer).scope("GET", "/verify/events", {"host": "localhost", "cookie": cookie})
        status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def receive() -> dict[str, object]:
            await self._gone.wait()
            return {"type": "http.disconnect"}

        async def send(event: dict[str, int]) -> None:
            if not status.done():
                status.set_result(event["status"])

        self._tasks.append(asyncio.create_task(self._app(scope, receive, send)))
        return await status

    async def end(self) -> None:
        """Hang up everywhere."""
        self._gone.set()
        await asyncio.gather(*self._tasks)


@pytest_asyncio.fixture
async def streams(app: WebApplication, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Streams]:
    """Streams that look often."""
    monkeypatch.setattr(event_stream, "POLL", 0.02)
    opened = Streams(app)
    yield opened
    await opened.end()


async def browser(runtime: Runtime, ip: str = "192.0.2.1") -> str:
    """Return the cookies of a browser that waits for a code."""
    asked = await recover(runtime.accounts, BrowserContext(ip=ip), "ada@example.org")
    assert isinstance(asked, CodeRequested)
    return f"__Host-visit={asked.flow}; __Host-device={asked.device}"


async def test_one_browser_holds_a_few_and_leaves_the_rest(
    app: WebApplication, runtime: Runtime, streams: Streams
) -> None:
    """L5: however it asks, all at once or one after the other."""
    cookie = await browser(runtime)
    at_once = await asyncio.gather(*[streams.open(cookie, "192.0.2.1") for _ in range(3 * event_stream.PER_BROWSER)])
    assert sorted(at_once).count(200) == event_stream.PER_BROWSER
    assert set(at_once) == {200, 503}
    assert await streams.open(cookie, "198.51.100.7") == 503  # another address is no other browser
    assert app.web.streams.open == event_stream.PER_BROWSER
    assert await streams.open(await browser(runtime, "198.51.100.7"), "192.0.2.1") == 200
    await streams.end()
    assert app.web.streams.open == 0


async def test_one_network_holds_a_part_and_leaves_the_rest(
    runtime: Runtime, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L5: IPv6 counts by its network."""
    monkeypatch.setattr("countersign.web.pages.sign_in.progress.PER_NETWORK", 3)
    cookies = [await browser(runtime, f"198.51.100.{number}") for number in range(5)]
    answers = [await streams.open(cookie, f"2001:db8::{number}") for number, cookie in enumerate(cookies[:4])]
    assert answers == [200, 200, 200, 503]
    assert await streams.open(cookies[4], "2001:db8:0:1::1") == 200


async def test_an_application_leaves_places_to_others(
    app: WebApplication, client: Client, runtime: Runtime, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L5: D10 holds for watching too."""
    monkeypatch.setattr("countersign.web.api.verification_events.PER_APPLICATION", 0)
    begun = await client.begin()
    assert_problem(await client.get(f"/v1/verifications/{begun['id']}/events"), 503, "too-many-streams")
    assert await streams.open(await browser(runtime), "192.0.2.1") == 200
    assert app.web.streams.open == 1


async def test_a_question_about_a_stream_and_one_that_never_began_keep_no_place(
    app: WebApplication, runtime: Runtime
) -> None:
    cookie = await browser(runtime)
    for _ in range(2 * event_stream.PER_BROWSER):
        answer = await Client(app).ask("HEAD", "/verify/events", headers={"cookie": cookie})
        assert answer.status == 200

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def broken(_: dict[str, object]) -> None:
        raise ConnectionResetError

    scope = Client(app).scope("GET", "/verify/events", {"host": "localhost", "cookie": cookie})
    with pytest.raises(ConnectionResetError):
        await app(scope, receive, broken)
    gc.collect()
    assert app.web.streams.open == 0
