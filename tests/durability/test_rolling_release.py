"""A release is rolled out under load: migrate, then replace one node by the other. Nobody is refused, and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import asyncpg
import pytest
from tests.durability.crowd import Crowd, hold_to_account, sent_by
from tests.durability.installation import Installation, Started, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.peers.balancer import Balancer
from tests.peers.program import Program, free_port
from tests.peers.release import NEXT_REVISION, ROOT, SERVED_BEFORE, make_next, unpack_older
from tests.rounds import is_full

from countersign.clock import system_clock
from countersign.keys import Keyring
from countersign.store.engine.migrate import head, pending

ROWS = 1_000_000 if is_full() else 2_000
"""Verifications that the database holds already, each with its message."""

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(1800 if is_full() else 240)]


class Nodes(Installation):
    """An installation of an older release, whose nodes may be of another."""

    def __init__(self, place: Path, url: str, older: Path, config: str) -> None:
        self.place, self.home, self.database_url = place, place / "home", url
        (place / "countersign.toml").write_text(config)
        settings = {"PUBLIC_URL": "https://verify.example.org", "HOME": str(self.home), "DATABASE_URL": url}
        self.program = Program(place, **settings)
        self._logs, self._started = [], []
        self.use(older)
        self.home.mkdir(mode=0o700)
        self.ran("keys", "new", str(self.home / "secret.keys"))
        self.ran("migrate")
        self.key = self.ran("apps", "add", "shop")
        self.keyring = Keyring(self.home / "secret.keys", system_clock)
        self.port = 0

    def use(self, release: Path) -> None:
        """Start programs of this release from now on."""
        self.program.environ["PYTHONPATH"] = str(release / "src")

    async def node(self, port: int) -> Started:
        """Start a node, and wait until it answers."""
        started = self._start("serve", "--port", str(port))
        await asyncio.to_thread(started.wait_for, port)
        return started


async def fill(url: str, rows: int) -> None:
    """Copy the one verification that there is, with its message, so many times; all of them have ended."""
    connection = await asyncpg.connect(url)
    try:
        for table, changed in (
            (
                "challenges",
                {"id": "'ver_' || lpad(n::text, 26, '0')", "state": "'expired'", "ended_at": "begun_at + 1"},
            ),
            ("deliveries", {"owner": "'ver_' || lpad(n::text, 26, '0')", "state": "'accepted'", "due_at": "NULL"}),
        ):
            columns = [
                row[0]
                for row in await connection.fetch(
                    "SELECT column_name::text FROM information_schema.columns WHERE table_name = $1 AND table_schema = 'public'",
                    table,
                )
            ]
            values = ", ".join(changed.get(column, column) for column in columns)
            await connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM (SELECT * FROM {table} LIMIT 1) one,"  # noqa: S608 - names of ours
                f" generate_series(1, {rows}) n",
                timeout=None,
            )
        await connection.execute("ANALYZE", timeout=None)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "older",
    [
        pytest.param(True, id="from-the-last-release"),
        pytest.param(False, id="to-the-next-release"),
    ],
)
async def test_a_release_is_rolled_out_under_load(
    tmp_path: Path, sender: Sender, empty_postgres_url: str, *, older: bool
) -> None:
    """O7: two nodes behind a balancer serve while the database is migrated and each is replaced: 0 refused, 0 lost.

    A node of a release that lives with a range of revisions stays ready on the newer schema, and can be restarted there. That of the
    release before had no such range, so the balancer asks it whether it lives.
    """
    (tmp_path / "release").mkdir()
    if older:
        old, new, probe, newest = unpack_older(tmp_path / "release", SERVED_BEFORE), ROOT, "/health/live", head()
    else:
        old, new, probe, newest = ROOT, make_next(tmp_path / "release", head()), "/health/ready", NEXT_REVISION
    config = webhook_config(sender.url, SECRET)
    nodes = await asyncio.to_thread(Nodes, tmp_path, empty_postgres_url, old, config)
    try:
        async with Balancer(probe) as balancer:
            nodes.port = balancer.port
            ports = [free_port(), free_port()]
            serving = {port: await nodes.node(port) for port in ports}
            for port in ports:
                await balancer.add(port)
            crowd = Crowd(nodes, people=4, pause=0.1)
            await crowd.begin_one()
            await fill(empty_postgres_url, ROWS)
            began = time.monotonic()
            async with crowd.busy():
                await asyncio.sleep(0.5)
                nodes.use(new)
                migrated = await asyncio.to_thread(nodes.ran, "migrate")
                took = time.monotonic() - began
                assert newest in migrated
                await asyncio.sleep(0.5)
                assert all(balancer.is_well(port) for port in ports), "a node is not ready on the newer schema"
                if not older:  # one of the older nodes is restarted on the newer schema
                    nodes.use(old)
                    await _replace(balancer, nodes, serving, ports[1])
                    assert pending(empty_postgres_url) == []  # for this release, which is the older one here
                    nodes.use(new)
                for port in ports:
                    await _replace(balancer, nodes, serving, port)
                    await asyncio.sleep(0.3)
            async with asyncio.timeout(30):
                while await nodes.rows("SELECT 1 FROM deliveries WHERE due_at IS NOT NULL LIMIT 1"):  # noqa: ASYNC110 - another process moves it
                    await asyncio.sleep(0.1)
            figures = await hold_to_account(crowd, nodes, sent_by(sender, nodes))
            print(f"\n{ROWS} rows, migrated in {took:.1f} s: {figures}, {dict(balancer.served)}")  # noqa: T201 - shown with -s or -rP
            assert (balancer.unserved, crowd.broken, crowd.begins_unanswered) == (0, 0, 0)
            assert crowd.statuses[503] == 0
            assert figures["approved"] > 0
            assert figures["sent twice under one key"] == 0
            assert min(balancer.served[port] for port in ports) > 0
            for started in serving.values():
                assert await asyncio.to_thread(started.stop) == 0
    finally:
        nodes.end()


async def _replace(balancer: Balancer, nodes: Nodes, serving: dict[int, Started], port: int) -> None:
    """Replace a node by one of the release in use, in the order that the documents give."""
    await balancer.take_out(port)
    assert await asyncio.to_thread(serving[port].stop) == 0
    serving[port] = await nodes.node(port)
    await balancer.add(port)
