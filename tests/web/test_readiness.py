"""O6: readiness means that a begin would be durable now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest
import pytest_asyncio
import structlog
from tests.web.client import Client, assert_problem
from tests.web.conftest import Opener

from countersign.clock import system_clock
from countersign.errors import OverloadedError, PeerUnavailableError, UnavailableError
from countersign.flows.maintenance.clock_skew import ClockWatch
from countersign.flows.maintenance.housekeeper import LEASE, give_up_lease, take_lease
from countersign.store.engine import postgres
from countersign.web.api import health
from countersign.web.app import make_app
from countersign.web.http import write_probe
from countersign.web.http.write_probe import FAILURES, PROVED_FOR, REFUTED_FOR, REMEMBERED_FOR, WriteProbe

if TYPE_CHECKING:
    from countersign.store.engine.database import Database
    from countersign.web.http.application import WebApplication
    from countersign.wiring import Runtime


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look is a new one, and a write that hangs is given up soon."""
    monkeypatch.setattr(health, "KEPT_FOR", 0.0)
    monkeypatch.setattr(write_probe, "WRITE_WITHIN", 0.3)
    monkeypatch.setattr(postgres, "COMMAND_S", 0.5)


async def assert_not_writable(app: WebApplication) -> None:
    answer = await Client(app).get("/health/ready")
    assert_problem(answer, 503, "not-ready")
    assert [name for name, finding in answer.json["checks"].items() if finding != "ok"] == ["database"]
    assert (await Client(app).get("/health/live")).status == 200


async def full(runtime: Runtime) -> None:
    """Leave the file of the database no room to grow, as a full disk does."""
    rows: Any = runtime.core.database._database  # type: ignore[attr-defined]

    def fill(connection: Any) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    await rows._writer_threads.run(fill)


async def room(runtime: Runtime) -> None:
    """Give it room again."""
    rows: Any = runtime.core.database._database  # type: ignore[attr-defined]
    await rows._writer_threads.run(
        lambda connection: connection.execute("PRAGMA max_page_count = 1073741823").fetchall()
    )


async def test_a_full_disk_is_told_and_so_is_its_end(app: WebApplication, runtime: Runtime) -> None:
    """O6: it still answers every read."""
    assert (await Client(app).get("/health/ready")).status == 200
    app.web.writes._tried_at = -PROVED_FOR
    await full(runtime)
    app.web.writes.failed()  # as a begin that found no room
    with structlog.testing.capture_logs() as logs:
        await assert_not_writable(app)
        app.web.writes._tried_at = -PROVED_FOR
        await assert_not_writable(app)
        await room(runtime)
        app.web.writes._tried_at = -PROVED_FOR
        assert (await Client(app).get("/health/ready")).status == 200
    events = [entry["event"] for entry in logs if entry["event"] in {"not_writable", "writable_again"}]
    assert events == ["not_writable", "writable_again"], "each is said once"


async def test_a_begin_that_fails_for_want_of_room_is_told_at_the_next_look(
    app: WebApplication, client: Client, runtime: Runtime
) -> None:
    """O6: 12 of 12 begins failed, and 12 of 12 looks were green."""
    assert (await Client(app).get("/health/ready")).status == 200
    await full(runtime)
    statuses = [(await client.post("/v1/verifications", {"to": f"u{n}@example.org"})).status for n in range(30)]
    assert statuses[-1] == 503
    await assert_not_writable(app)
    await room(runtime)
    assert (await client.post("/v1/verifications", {"to": "ada@example.org"})).status == 201
    assert (await Client(app).get("/health/ready")).status == 200, "one that succeeds says more than any trial"


@pytest_asyncio.fixture
async def served(postgres_url: str, open_house: Opener) -> AsyncIterator[tuple[Runtime, WebApplication]]:
    """A runtime on PostgreSQL, and its application."""
    runtime = await open_house(database_url=postgres_url)
    yield runtime, make_app(runtime, worker_alive=lambda: True)


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.postgres
async def test_a_database_that_only_reads_is_told(served: tuple[Runtime, WebApplication], postgres_url: str) -> None:
    """O6: as after a switch to a standby."""
    _, app = served
    assert (await Client(app).get("/health/ready")).status == 200
    name = postgres_url.rpartition("/")[2]
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    await execute(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on", others)
    app.web.writes._tried_at = -PROVED_FOR
    await assert_not_writable(app)
    await execute(postgres_url, "SET default_transaction_read_only = off", f"ALTER DATABASE {name} RESET ALL", others)
    app.web.writes._tried_at = -PROVED_FOR
    assert (await Client(app).get("/health/ready")).status == 200


@pytest.mark.postgres
async def test_a_synchronous_standby_that_is_away_is_told(
    served: tuple[Runtime, WebApplication], postgres_url: str
) -> None:
    """O6: it answers every read, and no commit."""
    _, app = served
    assert (await Client(app).get("/health/ready")).status == 200
    away = "ALTER SYSTEM SET synchronous_standby_names = 'nobody'"
    await execute(postgres_url, away, "SELECT pg_reload_conf()")
    try:
        await asyncio.sleep(0.1)  # the processes of the server read it when they are signalled
        app.web.writes._tried_at = -PROVED_FOR
        await assert_not_writable(app)
        began = asyncio.get_running_loop().time()
        await assert_not_writable(app)
        assert asyncio.get_running_loop().time() - began < 0.2, "who asks while it hangs need not wait too"
    finally:
        await execute(postgres_url, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
    for _ in range(50):
        await asyncio.sleep(0.05)
        app.web.writes._tried_at = -PROVED_FOR
        if (await Client(app).get("/health/ready")).status == 200:
            break
    else:
        raise AssertionError("it does not recover")


@pytest.mark.postgres
@pytest.mark.parametrize(("ahead", "status"), [(6_000, 503), (-6_000, 503), (3_000, 200), (0, 200)])
async def test_clocks_that_part_are_told(served: tuple[Runtime, WebApplication], ahead: int, status: int) -> None:
    """O6: leases and lifetimes of codes would not be what was promised."""
    runtime, _ = served
    seen: list[int] = []
    watch = ClockWatch(runtime.core.database, lambda: system_clock() + ahead, seen.append)
    app = make_app(msgspec.structs.replace(runtime, clock_watch=watch), worker_alive=lambda: True)
    answer = await Client(app).get("/health/ready")
    assert answer.status == status
    assert ("clock" in answer.json["checks"]) == (status == 503)
    assert seen
    assert (await Client(app).get("/health/live")).status == 200


@pytest.mark.parametrize("no_worker", [True, False])
async def test_a_worker_that_is_missing_is_told_and_takes_nobody_out(open_house: Opener, *, no_worker: bool) -> None:
    """O6: `worker` was ok while every worker was dead."""
    runtime = await open_house(no_worker="yes" if no_worker else "no")
    app = make_app(runtime, worker_alive=lambda: True)

    async def told() -> str:
        answer = await Client(app).get("/health/ready")
        assert (answer.status, answer.json["ready"]) == (200, True)
        said: str = answer.json["checks"]["worker"]
        return said

    assert ("countersign work" in await told()) == no_worker, "none was ever started"
    await take_lease(runtime.core, "one")
    assert await told() == "ok"
    runtime.clock.ahead += LEASE
    assert ("countersign work" in await told()) == no_worker, "it died"
    await take_lease(runtime.core, "two")
    assert await told() == "ok"
    await give_up_lease(runtime.core, "two")
    assert ("countersign work" in await told()) == no_worker, "it was stopped"


class Counting:
    """A database that counts what is written, and fails if it is told to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.sizes: list[int] = []
        self.error: Exception | None = None

    async def run(self, transaction: Callable[..., Any], name: str, value: bytes) -> None:
        self.sizes.append(len(value))
        if self.error is not None:
            raise self.error
        await self._database.run(transaction, name, value)


@pytest.fixture
def counting(runtime: Runtime) -> Counting:
    return Counting(runtime.core.database)


async def test_strangers_cannot_make_it_write(counting: Counting) -> None:
    """O6: anybody may ask, and a balancer does each second."""
    now = 100.0
    probe = WriteProbe(counting, lambda: now)  # type: ignore[arg-type]
    for _ in range(3):
        assert all(await asyncio.gather(*(probe.is_writable() for _ in range(100))))
    assert len(counting.sizes) == 1
    now += PROVED_FOR - 0.1
    assert await probe.is_writable()
    assert len(counting.sizes) == 1
    now += 0.2
    assert await probe.is_writable()
    assert len(counting.sizes) == 2
    counting.error = UnavailableError("full")
    now += PROVED_FOR
    assert not any(await asyncio.gather(*(probe.is_writable() for _ in range(100))))
    now += REFUTED_FOR - 0.1
    assert not await probe.is_writable()
    assert len(counting.sizes) == 3
    now += 0.2
    assert not await probe.is_writable()
    assert len(counting.sizes) == 4
    assert counting.sizes[3] > counting.sizes[2], "after a failure it asks for more room"


async def test_begins_that_succeed_spare_the_trial(counting: Counting) -> None:
    now = 100.0
    probe = WriteProbe(counting, lambda: now)  # type: ignore[arg-type]
    for _ in range(10):
        now += PROVED_FOR - 0.1
        probe.succeeded()
        assert await probe.is_writable()
    assert counting.sizes == []


async def test_requests_that_fail_in_a_row_count_for_more_than_a_trial(counting: Counting) -> None:
    """O6: a begin needs room in more tables than one."""
    now = 100.0
    probe = WriteProbe(counting, lambda: now)  # type: ignore[arg-type]
    for _ in range(FAILURES):
        probe.failed()
    assert not await probe.is_writable()
    assert counting.sizes == []
    now += REMEMBERED_FOR
    assert await probe.is_writable(), "nobody asks for anything any more, so a trial decides"
    probe.failed()
    assert await probe.is_writable() is True
    now += REFUTED_FOR
    await probe.is_writable()
    assert len(counting.sizes) == 2, "one failure makes the next look try"


async def test_a_full_queue_is_no_database_that_is_away(app: WebApplication) -> None:
    """A burst must not take a machine out: the others would get its share as well."""
    for _ in range(10):
        app._note(OverloadedError("full"))
    assert (await Client(app).get("/health/ready")).status == 200


async def test_strangers_cannot_have_a_machine_taken_out(app: WebApplication) -> None:
    """O6: whoever posts notifications with addresses of certificates that are none makes the fetching of them fail, and no more."""
    for _ in range(10):
        app._note(PeerUnavailableError("AWS SNS answered 404."))
    assert (await Client(app).get("/health/ready")).status == 200


async def test_the_values_that_were_tried_are_few(app: WebApplication, runtime: Runtime) -> None:
    for _ in range(40):
        app.web.writes._tried_at = -PROVED_FOR
        assert (await Client(app).get("/health/ready")).status == 200

    async def count() -> int:
        from countersign.store.engine.database import Sql

        rows = await Sql("SELECT count(*), sum(length(value)) FROM facts WHERE name LIKE 'write_probe%'")
        assert rows[0][1] <= 16 * 64 * 1024
        found: int = rows[0][0]
        return found

    assert 1 <= await runtime.core.database.read(count) <= 16
