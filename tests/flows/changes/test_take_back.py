"""What is taken back in the accounts of a database that was restored; the attacks are in `tests/threats`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.changes.test_delayed_recovery import NEW
from tests.flows.people import ADA, ada
from tests.threats.test_a_thief_deletes_the_account import deletes, found

from countersign.flows.changes.take_back import complete_restoration, take_back_changes
from countersign.flows.maintenance.restoration import declare_restored
from countersign.store.tables import lineage

if TYPE_CHECKING:
    from tests.flows.place import Place

DAY = 86_400_000


async def test_a_replaced_contact_comes_back_and_both_are_told(home: Place) -> None:
    """O11, A2: as if its owner had pressed "undo" since; once, however often it is tried."""
    owner = await ada(home)
    account = (await owner.holdings()).account
    await owner.adds(NEW, replaces=(await owner.contact(ADA)).id)
    await declare_restored(home.database, home.clock())
    assert await take_back_changes(home.accounts, home.clock()) == 1
    assert await take_back_changes(home.accounts, home.clock()) == 0
    await complete_restoration(home.accounts)
    after = await found(home, account.id)
    assert after is not None
    assert after.epoch > account.epoch
    await owner.is_let_in(ADA)
    assert {one.masked for one in (await owner.holdings()).contacts} == {"a***@example.org"}
    assert await owner.told("undone") is not None


async def test_what_was_settled_at_the_backup_stays_and_what_came_later_too(home: Place) -> None:
    """O11: the time is that of the backup, not of the restoration."""
    owner = await ada(home)
    await owner.adds(NEW)
    made_at = home.clock() + 8 * DAY
    home.clock.forward(20 * DAY)
    await declare_restored(home.database, home.clock())
    assert await take_back_changes(home.accounts, made_at) == 0
    await complete_restoration(home.accounts)
    await owner.is_let_in()
    home.clock.forward(61_000)
    await owner.adds("+14155550123")
    await complete_restoration(home.accounts)
    assert await take_back_changes(home.accounts, made_at) == 0, "nothing is taken back once it is over"
    assert len((await owner.holdings()).contacts) == 3


async def test_a_deletion_that_waits_is_canceled_and_told(home: Place) -> None:
    """O11: its owner may have canceled it since."""
    owner = await ada(home)
    account = (await owner.holdings()).account
    await deletes(owner)
    await declare_restored(home.database, home.clock())
    assert await take_back_changes(home.accounts, home.clock()) == 1
    await complete_restoration(home.accounts)
    after = await found(home, account.id)
    assert after is not None
    assert after.deletion_at is None
    current = await home.database.read(lineage.find)
    assert current is not None
    assert not current.unfinished
