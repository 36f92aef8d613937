"""Histories: two nodes, many clients, and faults that strike in between; whatever was said must be true in the end."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from tests.durability.crowd import settle
from tests.durability.histories import Clients, Faults, Node, figures, finish, shown
from tests.durability.history_rules import History, violations
from tests.durability.installation import Installation, installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.peers.postgres import MissingPostgresError, PostgresServer
from tests.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = rounds(20, 8, long=300)
ENOUGH = 500
"""Requests that a history has at least."""
CALM = (0.3, 0.9)
"""Seconds between two faults."""

pytestmark = [pytest.mark.slow, pytest.mark.peers, pytest.mark.timeout(60 + 20 * ROUNDS)]

UNGUARDED = """
import countersign.store.engine.postgres_sql as sql
guarded = sql.guarded_write
sql.guarded_write = lambda changes: guarded(changes).replace(" AND t.xmin = r.version::xid", "")
"""


@pytest.fixture
def shaken_server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL of the test's own, to be crashed and paused."""
    try:
        server = PostgresServer(durable=True)
    except MissingPostgresError as reason:
        pytest.skip(f"PostgreSQL cannot run here: {reason}")
    yield server
    server.remove()


async def history_of(
    installation: Installation,
    sender: Sender,
    nodes: int,
    server: PostgresServer | None,
    many: int,
    *,
    only_guesses: bool = False,
) -> tuple[History, Faults]:
    """Let clients ask while so many faults strike, then stop everything and write down what is there."""
    history = History()
    serving = [Node(installation) for _ in range(nodes)]
    await asyncio.gather(*(asyncio.to_thread(node.start) for node in serving))
    clients = Clients(installation, serving, history, only_guesses=only_guesses)
    faults = Faults(installation, serving, server)
    async with clients.busy():
        for _ in range(many):
            await asyncio.sleep(random.uniform(*CALM))
            await faults.strike()
        async with asyncio.timeout(20):
            while len(history.told) < ENOUGH:  # noqa: ASYNC110 - clients go on by themselves
                await asyncio.sleep(0.1)
    await settle(installation)
    for node in serving:
        if node.started is not None:
            await asyncio.to_thread(node.started.kill)
    await finish(history, installation, sender)
    print(f"\n{figures(history, faults)}")  # noqa: T201 - shown with -s or -rP
    return history, faults


async def test_no_history_on_sqlite_breaks_a_rule(tmp_path: Path, sender: Sender) -> None:
    """C3, C5, D1, O1: every process killed at random, the file locked by a stranger."""
    with installed(tmp_path, config=webhook_config(sender.url, SECRET)) as installation:
        history, _ = await history_of(installation, sender, 1, None, ROUNDS)
    assert len(history.told) > 20 * ROUNDS
    assert not (found := violations(history)), shown(found)


@pytest.mark.postgres
async def test_no_history_on_postgresql_breaks_a_rule(
    tmp_path: Path, sender: Sender, shaken_server: PostgresServer
) -> None:
    """C3, C5, D1, O1, O8: two nodes; crashes, hangs, lost sessions and locked rows beside the killed processes."""
    url = shaken_server.url(shaken_server.create())
    with installed(tmp_path, url, config=webhook_config(sender.url, SECRET)) as installation:
        history, _ = await history_of(installation, sender, 2, shaken_server, ROUNDS)
    assert len(history.told) > 20 * ROUNDS
    assert not (found := violations(history)), shown(found)


@pytest.mark.postgres
async def test_a_fault_that_is_planted_in_the_program_is_found(
    tmp_path: Path, sender: Sender, shaken_server: PostgresServer
) -> None:
    """C3, C5: without the guard of its writes two nodes give guesses back, and the checker says so."""
    url = shaken_server.url(shaken_server.create())
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "sitecustomize.py").write_text(UNGUARDED)
    with installed(tmp_path, url, config=webhook_config(sender.url, SECRET)) as installation:
        environ = installation.program.environ
        environ["PYTHONPATH"] = f"{tmp_path / 'planted'}:{environ['PYTHONPATH']}"
        history, _ = await history_of(installation, sender, 2, shaken_server, 0, only_guesses=True)
    assert violations(history), "the checker is blind"
