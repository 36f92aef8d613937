"""The answer to a commit is lost: the ledger looks its own page up and tells the truth, and a statement that comes late changes nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.flows.place import place_at, query
from tests.peers.cutting_proxy import cutting_proxy
from tests.peers.postgres import MissingPostgresError, PostgresServer
from tests.store.test_ledger import Add

from countersign.errors import UnavailableError
from countersign.flows.maintenance.audit import verify_events
from countersign.store.engine import postgres
from countersign.store.engine.migrate import migrate
from countersign.store.ledger import event_log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.flows.place import Place
    from tests.peers.cutting_proxy import Cut

pytestmark = pytest.mark.postgres

WORD = "marked"


async def stored(place: Place) -> int:
    """Return a count as it is stored."""
    rows = await place.database.read(query, "SELECT in_a_row FROM standings WHERE key = $1", b"a")
    return int(rows[0][0]) if rows else 0


@pytest.mark.parametrize(("cut", "done"), [("after", True), ("before", False), ("late", False)])
async def test_after_a_lost_answer_the_caller_hears_what_became_of_the_request(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path, cut: Cut, *, done: bool
) -> None:
    """O8: carried out or not, and never both."""
    async with cutting_proxy(postgres_server.port, WORD.encode()) as proxy:
        url = postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
        async with place_at(url, tmp_path) as place:
            assert await place.core.ledger.submit(Add(b"a")) == 0
            proxy.cut = cut
            if done:
                assert await place.core.ledger.submit(Add(b"a", WORD)) == 1
            else:
                with pytest.raises(UnavailableError) as told:
                    await place.core.ledger.submit(Add(b"a", WORD))
                assert told.value.outcome_known
            if cut == "late":
                await asyncio.wait_for(proxy.late.wait(), 5)
            assert await stored(place) == 1 + done
            # And on it goes, with a log that is sound.
            assert await place.core.ledger.submit(Add(b"a")) == 1 + done
            assert (await verify_events(place.database, place.keyring)).findings == ()


async def test_a_whole_batch_hears_of_its_outcome(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """O8: each caller its own result."""
    async with cutting_proxy(postgres_server.port, WORD.encode()) as proxy:
        url = postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
        async with place_at(url, tmp_path) as place:
            await place.core.ledger.submit(Add(b"a"))
            proxy.cut = "after"
            given = await asyncio.gather(*(place.core.ledger.submit(Add(b"a", WORD)) for _ in range(20)))
            assert sorted(given) == list(range(1, 21))
            assert await stored(place) == 21


async def test_where_nobody_can_tell_the_caller_hears_that_it_is_unknown(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O8: the database stays away."""
    monkeypatch.setattr(event_log, "FIND_S", 0.3)
    async with cutting_proxy(postgres_server.port, WORD.encode()) as proxy:
        url = postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
        async with place_at(url, tmp_path) as place:
            await place.core.ledger.submit(Add(b"a"))
            proxy.cut = "after"
            asking = asyncio.create_task(place.core.ledger.submit(Add(b"a", WORD)))
            await asyncio.sleep(0.05)
            await proxy.close()
            with pytest.raises(UnavailableError) as told:
                await asking
            assert not told.value.outcome_known
            assert "unknown" in str(told.value)
            with pytest.raises(UnavailableError) as later:
                await place.core.ledger.submit(Add(b"a"))
            assert later.value.outcome_known, "what could not be sent was not done"


@pytest.fixture(scope="module")
def synchronous_server() -> Iterator[PostgresServer]:
    """Give a server whose commits can be made to wait for a standby."""
    try:
        server = PostgresServer()
    except MissingPostgresError as reason:
        pytest.skip(f"PostgreSQL cannot run here: {reason}")
    yield server
    server.remove()


async def test_a_synchronous_standby_that_is_away_does_not_make_a_lie_of_the_answer(
    synchronous_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O8: after the time-out PostgreSQL commits without its standby; what was spent and approved is told, and not 503."""
    monkeypatch.setattr(postgres, "COMMAND_S", 0.5)
    server = synchronous_server
    url = server.url(server.create())
    migrate(url)
    async with place_at(url, tmp_path) as place:
        challenge = await place.begun()
        server.configure("synchronous_standby_names", "standby")
        try:
            wrong = await place.answer(challenge, place.wrong(challenge))
            right = await place.answer(challenge, place.code(challenge))
        finally:
            server.configure("synchronous_standby_names", "")
        assert (await place.stored(challenge)).guesses == 2
        assert (await place.stored(challenge)).state.value == "approved"
        assert wrong.challenge.guesses == 1  # type: ignore[union-attr]
        assert right.challenge.state.value == "approved"  # type: ignore[union-attr]
        assert (await verify_events(place.database, place.keyring)).findings == ()
