"""A 503 says whether what was asked for may have been carried out all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest
from structlog.testing import capture_logs
from tests.web.client import Client, assert_problem

from countersign.errors import OverloadedError, UnavailableError
from countersign.store.engine import postgres
from countersign.store.tables import metadata
from countersign.web.app import make_app
from countersign.web.http.problems import of_error

if TYPE_CHECKING:
    from tests.web.conftest import Opener

    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.wiring import Runtime


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UnavailableError("away"), "nothing_done"),
        (OverloadedError("full"), "nothing_done"),
        (UnavailableError("broke off", outcome_known=False), "unknown"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_outage_says_whether_nothing_was_done(
    runtime: Runtime, method: str, error: UnavailableError, outcome: str
) -> None:
    """H1."""

    async def fail(_: Request, __: Response) -> None:
        raise error

    app = make_app(runtime, worker_alive=lambda: True)
    app.mount({"/v1/fail": {method: fail}})
    answer = await Client(app).ask(method, "/v1/fail", {} if method == "POST" else None)
    assert_problem(answer, 503, "unavailable")
    assert answer.json["outcome"] == outcome
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(("method", "outcome"), [("POST", "unknown"), ("GET", "nothing_done")])
async def test_what_was_half_done_is_not_called_nothing(runtime: Runtime, method: str, outcome: str) -> None:
    """A page that was read changed nothing, even if its session was renewed on the way."""

    async def fail(_: Request, __: Response) -> None:
        await runtime.core.database.run(metadata.save, "half", b"done")
        raise UnavailableError("away")

    app = make_app(runtime, worker_alive=lambda: True)
    app.mount({"/v1/fail": {method: fail}})
    client = Client(app)
    answer = await client.ask(method, "/v1/fail", {} if method == "POST" else None)
    assert answer.json["outcome"] == outcome
    again = await client.get("/v1/verifications/ver_x")
    assert "outcome" not in again.json, "one request knows nothing of another"


def test_what_is_no_outage_has_no_outcome() -> None:
    from countersign.errors import InputError

    assert "outcome" not in of_error(InputError("to", "malformed", "x")).more


@pytest.mark.postgres
async def test_an_answer_that_was_lost_after_the_write_is_looked_up_and_told_as_it_is(
    open_house: Opener, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O8: a synchronous standby that is away lets the write be carried out, and the driver does not hear of it; the caller does."""
    monkeypatch.setattr(postgres, "COMMAND_S", 0.5)
    runtime = await open_house(database_url=postgres_url)
    assert runtime.demo_key
    client = Client(make_app(runtime, worker_alive=lambda: True), runtime.demo_key)
    answer = await client.post("/v1/verifications", {"to": "u@example.org"})
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    await connection.execute("SELECT pg_reload_conf()")
    try:
        with capture_logs() as logged:
            for number in range(20):  # until the server has read its settings
                answer = await client.post("/v1/verifications", {"to": f"u{number}@example.org"})
                if any(line["event"] == "answer_lost" for line in logged):
                    break
                await asyncio.sleep(0.05)
    finally:
        await connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()
    assert [line["outcome"] for line in logged if line["event"] == "answer_lost"] == ["carried_out"]
    assert answer.status == 201
    assert (await client.get(f"/v1/verifications/{answer.json['id']}")).json["status"] == "pending"
