"""The ledger: batches, what fails alone and what fails together, overload, outage, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.clock import NOON, FixedClock
from tests.flows.place import Place, place_at

from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.shared.event import Event, EventKind
from countersign.domain.verifications.challenge import Challenge, ChallengeState, Terms, begin
from countersign.domain.verifications.lockout import FailedAttempts
from countersign.domain.verifications.purpose import Policy
from countersign.errors import OverloadedError, UnavailableError
from countersign.flows.maintenance.audit import verify_events
from countersign.flows.maintenance.sweep import ExpireCommand
from countersign.store.engine.database import RejectedError, Transaction
from countersign.store.ledger.ledger import MAX_BATCH
from countersign.store.ledger.unit_of_work import Decision, Reads, UnitOfWork

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.peers.postgres import PostgresServer


class Add(msgspec.Struct, frozen=True):
    """A command of the tests: add one to a count of failures, and tell what it was."""

    key: bytes
    note: str = ""

    @property
    def reads(self) -> Reads:
        """Return the count."""
        return Reads(failed_attempts=(self.key,))

    def decide(self, work: UnitOfWork, now: int) -> Decision[int]:
        """Add one."""
        before = work.failed_attempts(self.key)
        told = Event(now, EventKind.CHALLENGE_REFUSED, "app_1", "ver_1", {"note": self.note})
        after = FailedAttempts(before.in_a_row + 1, now, 0)
        return Decision(before.in_a_row, failed_attempts=((self.key, after),), events=(told,))


class Enter(msgspec.Struct, frozen=True):
    """A command of the tests: write a challenge whose locale may be text that a database refuses."""

    challenge: Challenge

    @property
    def reads(self) -> Reads:
        """Return nothing: it is new."""
        return Reads()

    def decide(self, _book: UnitOfWork, _now: int) -> Decision[str]:
        """Write it."""
        return Decision(self.challenge.id, challenges=(self.challenge,))


class Break(msgspec.Struct, frozen=True):
    """A command of the tests with a bug in it."""

    @property
    def reads(self) -> Reads:
        """Return nothing."""
        return Reads()

    def decide(self, _book: UnitOfWork, _now: int) -> Decision[None]:
        """Fail."""
        raise ZeroDivisionError("a bug")


def challenge(number: int, id_: str = "", subject: str = "") -> Challenge:
    terms = Terms("sign_in", Policy(), b"sealed", "a***@example.org", ContactKind.MAIL, "k1", subject)
    return begin(
        id=id_ or f"ver_{number}",
        application="app_1",
        dedup_key=b"twin %d" % number,
        lockout_key=b"s",
        terms=terms,
        channel=Channel.EMAIL,
        now=NOON,
    )


async def count(place: Place, key: bytes = b"a") -> int:
    """Return a count, which the next command adds one to."""
    return await place.core.ledger.submit(Add(key))


async def outcomes(place: Place, *commands: Any) -> list[Any]:
    """Submit commands at once; return what each gave or raised."""
    return await asyncio.gather(*(place.core.ledger.submit(command) for command in commands), return_exceptions=True)


def held(place: Place, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Keep every transaction of the ledger waiting until the event is set."""
    go = asyncio.Event()
    for connection in place.core.ledger._connections:
        run = connection.run

        async def wait(steps: Callable[..., Transaction[Any]], /, *args: Any, _run: Any = run, **kwargs: Any) -> Any:
            await go.wait()
            return await _run(steps, *args, **kwargs)

        monkeypatch.setattr(connection, "run", wait)
    return go


async def test_commands_of_one_batch_see_what_those_before_them_left(each_place: Place) -> None:
    seen = await outcomes(each_place, *(Add(b"a") for _ in range(200)))
    assert sorted(seen) == list(range(200))
    assert await count(each_place) == 200


async def test_what_queues_up_during_a_commit_is_one_batch(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    go = held(place, monkeypatch)
    first = asyncio.create_task(count(place))
    await asyncio.sleep(0.01)
    rest = [asyncio.create_task(count(place)) for _ in range(50)]
    await asyncio.sleep(0.01)
    go.set()
    assert await first == 0
    assert sorted(await asyncio.gather(*rest)) == list(range(1, 51))
    assert place.observed.sizes == [1, 50]


async def test_no_batch_is_so_large_that_the_others_wait_for_long(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = held(place, monkeypatch)
    waiting = asyncio.gather(*(count(place) for _ in range(3 * MAX_BATCH)))
    await asyncio.sleep(0.01)
    go.set()
    await waiting
    assert max(place.observed.sizes) <= MAX_BATCH
    assert sum(place.observed.sizes) == 3 * MAX_BATCH


async def test_too_many_that_wait_are_told_to_come_back_and_nothing_is_done(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place_at(sqlite_url, tmp_path, bound=10) as place:
        go = held(place, monkeypatch)
        first = asyncio.create_task(count(place))
        await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(count(place)) for _ in range(15)]
        await asyncio.sleep(0.01)
        assert place.core.ledger.waiting == 10
        refused = [task for task in waiting if task.done()]
        assert len(refused) == 5
        for task in refused:
            error = task.exception()
            assert isinstance(error, OverloadedError)
            assert error.retry_after >= 1
        go.set()
        await asyncio.gather(first, *(task for task in waiting if task not in refused))
        assert await count(place) == 11


async def test_a_command_with_a_bug_fails_alone(each_place: Place) -> None:
    given = await outcomes(each_place, Add(b"a"), Break(), Add(b"a"))
    assert sorted(one for one in given if isinstance(one, int)) == [0, 1]
    assert isinstance(given[1], ZeroDivisionError)


@pytest.mark.parametrize("text", ["\0", "\ud800"])
async def test_text_that_no_database_takes_fails_alone(each_place: Place, text: str) -> None:
    """H3: the others of its batch go through, and the ledger goes on."""
    place = each_place
    bad = Enter(challenge(1, id_=f"ver_{text}"))
    given = await outcomes(place, Add(b"a"), Enter(challenge(2)), bad, Enter(challenge(3)), Add(b"a"))
    assert [given[index] for index in (1, 3)] == ["ver_2", "ver_3"]
    assert sorted((given[0], given[4])) == [0, 1]
    assert isinstance(given[2], Exception)
    assert not isinstance(given[2], UnavailableError), "trying again would not help"
    assert await count(place) == 2
    assert await place.count("challenges") == 2
    assert (await verify_events(place.database, place.keyring)).findings == ()


async def test_terms_that_cannot_be_written_fail_alone(each_place: Place) -> None:
    """H3: half a surrogate in a subject breaks the encoder, before any database sees it."""
    place = each_place
    given = await outcomes(place, Add(b"a"), Enter(challenge(1, subject="\ud800")), Enter(challenge(2)))
    assert (given[0], given[2]) == (0, "ver_2")
    assert isinstance(given[1], Exception)
    assert await count(place) == 1


async def test_a_refused_command_that_is_alone_is_refused(each_place: Place) -> None:
    place = each_place
    with pytest.raises(RejectedError):
        await place.core.ledger.submit(Enter(challenge(1, id_="ver_\0")))
    assert await count(place) == 0


async def test_a_row_that_others_keep_writing_is_unavailable_in_the_end(place: Place) -> None:
    await place.core.ledger.submit(Enter(challenge(1)))
    given = await outcomes(place, Enter(challenge(1)), Add(b"a"))
    assert isinstance(given[0], UnavailableError)
    assert given[1] == 0


async def test_callers_who_left_before_their_turn_are_not_carried_out(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = held(place, monkeypatch)
    first = asyncio.create_task(count(place))
    await asyncio.sleep(0.01)
    gone = [asyncio.create_task(count(place)) for _ in range(5)]
    stays = asyncio.create_task(count(place))
    await asyncio.sleep(0.01)
    for task in gone:
        task.cancel()
    await asyncio.sleep(0.01)
    go.set()
    assert (await first, await stays) == (0, 1)
    assert await count(place) == 2


async def test_a_caller_who_leaves_during_the_commit_spoils_nothing_for_the_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = held(place, monkeypatch)
    leaves = asyncio.create_task(count(place))
    stays = asyncio.create_task(count(place))
    await asyncio.sleep(0.01)
    leaves.cancel()
    await asyncio.sleep(0.01)
    go.set()
    assert await stays == 1, "what was begun is finished: the guess is spent"
    with contextlib.suppress(asyncio.CancelledError):
        await leaves
    assert await count(place) == 2


async def test_closing_finishes_what_waits_and_takes_nothing_more(each_place: Place) -> None:
    """O1: everybody who was let in is answered."""
    place = each_place
    waiting = [asyncio.create_task(count(place)) for _ in range(1_000)]
    await asyncio.sleep(0)
    await asyncio.wait_for(place.core.ledger.close(), 10)
    assert sorted(await asyncio.gather(*waiting)) == list(range(1_000))
    with pytest.raises(OverloadedError):
        await count(place)


async def test_owed_messages_are_announced_once_they_are_durable(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    go = held(place, monkeypatch)
    begun = asyncio.create_task(place.begun())
    await asyncio.sleep(0.01)
    assert place.observed.owed == 0
    go.set()
    await begun
    await count(place)
    assert place.observed.owed == 1


async def test_an_announcement_that_fails_takes_no_answer_back(database_url: str, tmp_path: Path) -> None:
    """D1: what is durable is promised; a worker finds it by polling."""

    def fail() -> None:
        raise OSError("the connection is broken")

    async with place_at(database_url, tmp_path, owed=fail) as place:
        challenge = await place.begun()
        assert (await place.stored(challenge)).state is ChallengeState.PENDING
        assert len(await place.deliveries(challenge)) == 1
        assert await count(place) == 0


async def test_while_the_database_is_gone_everybody_hears_it_and_later_all_is_well(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """O1: an outage answers 503, and its end needs nobody."""
    async with place_at(postgres_url, tmp_path) as place:
        assert await count(place) == 0
        postgres_server.stop()
        try:
            given = await asyncio.wait_for(outcomes(place, *(Add(b"a") for _ in range(50))), 20)
            assert all(isinstance(one, UnavailableError) for one in given), given
        finally:
            postgres_server.start()
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await count(place) == 1
                    break
                except UnavailableError:
                    await asyncio.sleep(0.05)
        assert (await verify_events(place.database, place.keyring)).findings == ()


async def test_two_programs_on_one_database_keep_their_chains_apart(postgres_url: str, tmp_path: Path) -> None:
    """O4: no batch of one waits for the log of the other."""
    clock = FixedClock()
    async with (
        place_at(postgres_url, tmp_path, clock=clock) as one,
        place_at(postgres_url, tmp_path, clock=clock) as two,
    ):
        seen = await asyncio.gather(
            *(count(place, b"%d" % (number % 7)) for number in range(300) for place in (one, two))
        )
        assert len(seen) == 600
        report = await verify_events(one.database, two.keyring)
        assert report.findings == ()
        assert report.writers >= 2
        assert report.entries == 600
        assert sum(await asyncio.gather(*(count(one, b"%d" % number) for number in range(7)))) == 600


async def test_a_record_that_is_not_there_is_no_trouble(place: Place) -> None:
    given = await outcomes(place, ExpireCommand("ver_0"), Add(b"a"))
    assert given[1] == 0
