"""The database is restored from a backup. Somebody brings back what was used, revoked or undone since the backup was made."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.flows.authenticators import app_code, enrols_app, recovery_codes
from tests.flows.changes.test_delayed_recovery import NEW, claims
from tests.flows.integration_codes import made
from tests.flows.people import CARRIER, Visitor, ada, alive
from tests.flows.place import place_at, refused
from tests.peers.databases import EACH_DATABASE
from tests.threats.test_a_thief_deletes_the_account import deletes

from countersign.database_mark import DatabaseMark
from countersign.domain.accounts.change import RECOVERY_WAIT
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.authenticator import InvalidCode
from countersign.flows.accounts.context import BrowserContext, CodeRequested, FlowNotFound, InvalidCredentials, SignedIn
from countersign.flows.accounts.sessions import sign_out
from countersign.flows.changes.delete_account import erase_due
from countersign.flows.changes.integration_codes import verify_code
from countersign.flows.changes.report_change import report_change
from countersign.flows.changes.take_back import complete_restoration
from countersign.flows.maintenance.audit import verify_events
from countersign.flows.maintenance.restoration import notice_restoration
from countersign.flows.sign_in.authenticator import prove_with_recovery_code
from countersign.flows.verifications.results import Done
from countersign.store.backup.backup_files import restore_backup, write_backup
from countersign.store.backup.manifest import BackupRequest
from countersign.store.tables import events, single_use
from countersign.totp import STEP, code_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.flows.place import Place

PHONE = "+14155550123"
DAY = 86_400_000


class World(NamedTuple):
    """A place that is served, where its backup goes, and the database into which that will be restored."""

    place: Place
    url: str
    empty_url: str
    folder: Path

    async def backs_up(self) -> Path:
        """Make a backup, as the command does."""
        keys = tuple(kid for kid, _ in self.place.keyring.kids())
        request = BackupRequest(self.place.clock(), "1", keys)
        written = await write_backup(self.url, self.folder / "backup", request, compress=False)
        assert written.path is not None
        return written.path

    @contextlib.asynccontextmanager
    async def restored(self, backup: Path) -> AsyncIterator[Place]:
        """Restore it, and start again with the same keys."""
        with backup.open("rb") as source:
            await restore_backup(self.empty_url, source, lambda _: None)
        async with place_at(self.empty_url, self.folder, clock=self.place.clock, live=(CARRIER,)) as again:
            mark = DatabaseMark(self.folder / "database.mark", again.clock)
            await notice_restoration(again.database, mark, again.accounts.log, again.clock())
            await complete_restoration(again.accounts)
            yield again


@pytest.fixture(params=EACH_DATABASE)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """Give a place that is served: on SQLite, then on PostgreSQL."""
    empty = f"sqlite:///{tmp_path / 'restored.db'}"
    if request.param == "postgres":
        empty = request.getfixturevalue("empty_postgres_url")
    url: str = request.getfixturevalue(f"{request.param}_url")
    async with place_at(url, tmp_path, live=(CARRIER,)) as place:
        yield World(place, url, empty, tmp_path)


def at(place: Place, visitor: Visitor) -> Visitor:
    """Return the same browser before another place."""
    return dataclasses.replace(visitor, place=place)


async def test_a_used_code_a_revoked_session_and_a_trusted_browser_do_not_come_back(world: World) -> None:
    """O11, C1, S2: and the log says that the database was restored, from when, and what has ended."""
    place = world.place
    owner = await ada(place)
    challenge, flow = await place.begun(), Visitor(place)
    thief = Visitor(place)
    await thief.is_let_in(remember=True)
    assert isinstance(await flow.signs_in(), CodeRequested)
    flow_code = await flow.code()
    backup = await world.backs_up()
    assert isinstance(await place.answer(challenge, place.code(challenge)), Done)
    assert isinstance(await flow.types(flow_code), SignedIn)
    await sign_out(place.accounts, thief.browser)
    async with world.restored(backup) as again:
        assert refused(await again.answer(challenge, again.code(challenge))).refusal.value == "canceled"
        assert isinstance(
            await at(again, dataclasses.replace(flow, browser=flow.browser)).types(flow_code), FlowNotFound
        )
        assert await at(again, thief).session() is None
        assert await at(again, owner).session() is None
        assert isinstance(await at(again, thief).signs_in(), CodeRequested), "no browser is trusted any more"
        (told,) = [
            one
            for one in await again.database.read(events.list_between, 0, 1 << 62)
            if one.kind is EventKind.DATABASE_RESTORED
        ]
        assert told.facts["noticed_by"] == "backup"
        assert told.facts["backup_at"] == place.clock()
        assert told.facts["sessions"] == 2
        assert (await verify_events(again.database, again.keyring)).findings == ()
        await at(again, Visitor(again)).is_let_in()


async def test_no_recovery_code_of_before_works_nor_one_of_an_app_that_was_shown(world: World) -> None:
    """O11, R4: which of them are spent, the restored database does not know. The owner makes new ones."""
    place = world.place
    owner = await ada(place)
    codes = await recovery_codes(owner)
    place.clock.forward(61_000)
    secret = await enrols_app(owner)
    place.clock.forward(8 * DAY)  # from here on nobody can undo it
    backup = await world.backs_up()
    shown = code_at(secret, place.clock() // STEP)
    other = Visitor(place)
    await other.recovers()
    await prove_with_recovery_code(place.accounts, other.browser, codes[0], remember=False)
    async with world.restored(backup) as again:
        for code in codes[:2]:
            thief = Visitor(again)
            assert isinstance(await thief.recovers(), CodeRequested)
            proved = await prove_with_recovery_code(again.accounts, thief.browser, code, remember=False)
            assert isinstance(proved, InvalidCode | FlowNotFound)
        thief = Visitor(again)
        assert isinstance(await thief.signs_in(), CodeRequested)
        assert code_at(secret, again.clock() // STEP) == shown
        assert isinstance(await app_code(thief, secret), InvalidCode)
        again.clock.forward(2 * STEP)
        assert isinstance(await app_code(thief, secret), SignedIn), "the owner waits for the next code but one"


async def test_a_contact_that_was_undone_does_not_sign_in_again(world: World) -> None:
    """O11, A2: every change that could still be undone is undone, and its owner is told; one that had settled stays."""
    place = world.place
    owner = await ada(place)
    await owner.adds(PHONE)
    place.clock.forward(8 * DAY)
    await owner.is_let_in()
    await owner.adds(NEW)
    backup = await world.backs_up()
    reference = await owner.told("Contact details were added to your account")
    assert await report_change(place.accounts, BrowserContext(), reference) is not None
    async with world.restored(backup) as again:
        assert isinstance(await Visitor(again).signs_in(NEW), InvalidCredentials)
        thief = Visitor(again)
        await thief.recovers(NEW)
        assert "No account found" in (await thief.reads(NEW)).text
        owner = Visitor(again)
        await owner.told("undone")
        await owner.is_let_in()
        assert {one.masked for one in (await owner.holdings()).contacts} == {"a***@example.org", "+1415***0123"}


async def test_what_waited_or_was_revoked_does_not_go_on(world: World) -> None:
    """O11, R5: a recovery that was stopped, a deletion that was canceled, an integration code that was revoked."""
    place = world.place
    owner = await ada(place)
    session = await alive(owner)
    code = await made(owner)
    place.clock.forward(61_000)
    await claims(place)
    place.clock.forward(61_000)
    assert await deletes(owner)
    backup = await world.backs_up()
    async with world.restored(backup) as again:
        assert not hasattr(await verify_code(again.accounts, code, "Ledger"), "account")
        again.clock.forward(RECOVERY_WAIT)
        thief = Visitor(again)
        assert isinstance(await thief.recovers(NEW), CodeRequested)
        assert "No account found" in (await thief.reads(NEW)).text
        again.clock.forward(30 * DAY)
        assert await erase_due(again.accounts) == 0
        owner = Visitor(again)
        await owner.is_let_in()
        assert (await alive(owner)).account == session.account


async def test_what_was_made_for_one_use_before_counts_as_used(world: World) -> None:
    """A passkey's challenge stands in no table before it is answered, and its answer is not in the backup."""
    place = world.place
    offered_at, until = place.clock(), place.clock() + 900_000
    backup = await world.backs_up()
    assert await place.database.run(single_use.take, b"k" * 16, until, offered_at)
    place.clock.forward(1_000)
    async with world.restored(backup) as again:
        assert not await again.database.run(single_use.take, b"k" * 16, until, offered_at)
        assert await again.database.run(single_use.take, b"n" * 16, until, again.clock() + 1)


async def test_what_changes_after_the_restoration_stays(world: World) -> None:
    """A second start, and a second machine that starts late, end nothing more."""
    place = world.place
    await ada(place)
    backup = await world.backs_up()
    async with world.restored(backup) as again:
        owner = Visitor(again)
        await owner.is_let_in()
        again.clock.forward(61_000)
        await owner.adds(NEW)
        for name in ("database.mark", "another.mark"):
            mark = DatabaseMark(world.folder / name, again.clock)
            await notice_restoration(again.database, mark, again.accounts.log, again.clock())
            await complete_restoration(again.accounts)
        assert await owner.session() is not None
        assert len((await owner.holdings()).contacts) == 2
        kinds = [one.kind for one in await again.database.read(events.list_between, 0, 1 << 62)]
        assert kinds.count(EventKind.DATABASE_RESTORED) == 1
