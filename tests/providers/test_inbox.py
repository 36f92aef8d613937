"""The inbox: what is put in can be looked at, by any process, and goes when it is told to."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import stat
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.providers.peers import ADA, CODE, NOW, message

from countersign.domain.delivery.delivery import Accepted, Reason
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, SettingsError, UnavailableError
from countersign.providers.inbox import KEPT, Inbox, InboxMessage, InboxProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PHONE = "+14155550123"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inbox.db"


@pytest.fixture
async def inbox(path: Path) -> AsyncIterator[Inbox]:
    made = Inbox(path)
    yield made
    await made.close()


async def test_a_message_is_kept_as_its_reader_would_have_it(inbox: Inbox) -> None:
    identifier = await inbox.add(message(), NOW)
    assert await inbox.list() == [
        InboxMessage(
            id=identifier,
            channel=Channel.EMAIL,
            to=ADA,
            subject=message().subject,
            text=message().text,
            html=message().html,
            at=NOW,
        )
    ]


async def test_messages_come_newest_first_and_can_be_asked_for_by_address(inbox: Inbox) -> None:
    for number in range(6):
        to = (ADA, PHONE)[number % 2]
        await inbox.add(message(key=f"ver_1.{number}.0", to=to, text=str(number)), NOW + number)
    assert [found.text for found in await inbox.list()] == ["5", "4", "3", "2", "1", "0"]
    assert [found.text for found in await inbox.list(PHONE)] == ["5", "3", "1"]
    assert [found.text for found in await inbox.list(limit=2)] == ["5", "4"]
    assert await inbox.list("nobody@example.org") == []
    assert await inbox.list("' OR 1=1 --") == []
    assert await inbox.list(limit=-1) == []
    identifiers = [found.id for found in await inbox.list()]
    assert identifiers == sorted(identifiers, reverse=True)


async def test_a_message_that_is_handed_over_twice_is_kept_once(inbox: Inbox) -> None:
    """D2: one key, one message, in one process or two."""
    first = await inbox.add(message(), NOW)
    version = await inbox.version()
    assert await inbox.add(message(text="again"), NOW + 1) == first
    assert [(found.id, found.text) for found in await inbox.list()] == [(first, message().text)]
    assert await inbox.version() == version


async def test_the_version_changes_with_every_change_by_anyone(inbox: Inbox, path: Path) -> None:
    other = Inbox(path)
    versions = [await inbox.version()]
    assert await inbox.version() == versions[0]
    await inbox.add(message(key="a"), NOW)
    versions.append(await other.version())
    await other.add(message(key="b"), NOW)
    versions.append(await inbox.version())
    await other.clear()
    versions.append(await inbox.version())
    await other.close()
    assert len(set(versions)) == 4


async def test_only_the_newest_thousand_are_kept(inbox: Inbox) -> None:
    for number in range(KEPT + 5):
        await inbox.add(message(key=f"ver_1.{number}.0", text=str(number)), NOW + number)
    found = await inbox.list(limit=10_000)
    assert (len(found), found[0].text, found[-1].text) == (KEPT, str(KEPT + 4), "5")


async def test_what_is_cleared_is_gone_from_the_page_and_from_the_files(inbox: Inbox, path: Path) -> None:
    await inbox.add(message(), NOW)
    before = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert CODE.encode() in before
    await inbox.clear()
    assert await inbox.list() == []
    after = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert CODE.encode() not in after
    assert ADA.encode() not in after


async def test_an_id_is_not_given_again_after_clearing(inbox: Inbox) -> None:
    first = await inbox.add(message(key="a"), NOW)
    await inbox.clear()
    assert await inbox.add(message(key="b"), NOW) > first


async def test_only_the_owner_may_read_the_files(inbox: Inbox, path: Path) -> None:
    await inbox.add(message(), NOW)
    files = list(path.parent.iterdir())
    assert len(files) >= 1
    assert {file.name[:5] for file in files} == {"inbox"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    path.touch(mode=0o644)
    _write(path, "a", 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_messages_outlive_the_process(path: Path) -> None:
    first = Inbox(path)
    await first.add(message(), NOW)
    await first.close()
    second = Inbox(path)
    assert [found.text for found in await second.list()] == [message().text]
    await second.close()


def _write(path: Path, name: str, count: int) -> None:
    async def run() -> None:
        inbox = Inbox(path)
        for number in range(count):
            await inbox.add(message(key=f"{name}.{number}"), NOW)
            await inbox.add(message(key=f"shared.{number}"), NOW)
        await inbox.close()

    asyncio.run(run())


async def test_several_processes_write_at_once_and_nothing_is_lost_or_doubled(inbox: Inbox, path: Path) -> None:
    """D2: four processes that start on a file which is not there yet, and hand over some messages four times."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, name, 50)) for name in "abcd"]
    for writer in writers:
        writer.start()
    for writer in writers:
        await asyncio.to_thread(writer.join, 60)
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(await inbox.list(limit=KEPT)) == 4 * 50 + 50
    assert await inbox.version() == 4 * 50 + 50


async def test_many_tasks_of_one_process_share_an_inbox(inbox: Inbox) -> None:
    identifiers = await asyncio.gather(*(inbox.add(message(key=f"ver_1.{n % 40}.0"), NOW) for n in range(120)))
    assert len(set(identifiers)) == 40
    assert len(await inbox.list()) == 40


async def test_the_loop_is_not_held_up_by_a_writer_that_waits(inbox: Inbox, path: Path) -> None:
    await inbox.version()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    adding = asyncio.get_running_loop().create_task(inbox.add(message(), NOW))
    started = asyncio.get_running_loop().time()
    await asyncio.sleep(0.1)
    assert asyncio.get_running_loop().time() - started < 1
    assert not adding.done()
    blocker.execute("COMMIT")
    blocker.close()
    assert await adding
    assert len(await inbox.list()) == 1


async def test_the_provider_puts_messages_in_and_leaves_the_inbox_open(inbox: Inbox) -> None:
    provider = InboxProvider(inbox, lambda: NOW)
    word = await provider.send(message())
    await provider.close()
    found = await inbox.list()
    assert (word, found[0].at) == (Accepted(found[0].id), NOW)


async def test_a_file_that_cannot_be_used_is_a_temporary_failure_that_shows_nothing(tmp_path: Path) -> None:
    """C8: neither in the error nor in what led to it."""
    inbox = Inbox(tmp_path / "nowhere" / "inbox.db")
    with pytest.raises(UnavailableError) as unavailable:
        await inbox.list()
    with pytest.raises(DeliveryFailedError) as failed:
        await InboxProvider(inbox, lambda: NOW).send(message())
    await inbox.close()
    assert (failed.value.reason, failed.value.permanent) == (Reason.UNREACHABLE, False)
    for error in (unavailable.value, failed.value):
        shown = "".join(traceback.format_exception(error)) + repr(error)
        assert CODE not in shown
        assert ADA not in shown


async def test_a_failed_write_leaves_nothing_half_done(inbox: Inbox, path: Path) -> None:
    await inbox.add(message(key="a"), NOW)
    breaker = sqlite3.connect(path, isolation_level=None)
    breaker.execute("CREATE TRIGGER broken BEFORE UPDATE ON changes BEGIN SELECT RAISE(ABORT, 'broken'); END")
    with pytest.raises(UnavailableError):
        await inbox.add(message(key="b"), NOW)
    breaker.execute("DROP TRIGGER broken")
    breaker.close()
    assert len(await inbox.list()) == 1
    await inbox.add(message(key="b"), NOW)
    assert len(await inbox.list()) == 2


async def test_an_inbox_that_was_closed_says_so(path: Path) -> None:
    inbox = Inbox(path)
    await inbox.close()
    await inbox.close()
    with pytest.raises(UnavailableError, match="closed"):
        await inbox.list()


def test_a_link_in_the_files_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    """Somebody who may write in the folder could have us write elsewhere."""
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnavailableError):
        _write(path, "a", 1)
    assert not (tmp_path / "elsewhere").exists()


def test_the_name_of_the_file_begins_with_inbox(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="inbox"):
        Inbox(tmp_path / "countersign.db")


async def test_what_is_in_the_inbox_does_not_show_in_its_repr(inbox: Inbox) -> None:
    """C8: a page shows it, a log does not."""
    await inbox.add(message(), NOW)
    found = await inbox.list()
    assert CODE not in f"{found!r} {found} {inbox!r}"
    assert ADA not in f"{found!r} {found} {inbox!r}"
