"""Snapshots of an account: what it has, what it ever had, and one change at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, ada

from countersign.flows.accounts.snapshot import find_history, find_snapshot, lock_snapshot

if TYPE_CHECKING:
    from tests.flows.place import Place

NEW = "ada@elsewhere.example"


async def test_a_snapshot_has_what_is_active_and_a_history_what_ever_was(home: Place) -> None:
    visitor = await ada(home)
    before = await visitor.contact(ADA)
    home.clock.forward(1)
    await visitor.adds(NEW, replaces=before.id)
    snapshot = await visitor.holdings()
    assert [one.masked for one in snapshot.contacts] == ["a***@elsewhere.example"]
    history = await home.database.read(find_history, snapshot.account)
    assert [one.masked for one in history.contacts] == ["a***@example.org", "a***@elsewhere.example"]
    assert history.active_contacts == snapshot.contacts
    assert await home.database.run(lock_snapshot, snapshot.account.id) == snapshot


async def test_an_account_that_is_not_there_has_no_snapshot(home: Place) -> None:
    assert await home.database.read(find_snapshot, "acc_unknown") is None
    assert await home.database.run(lock_snapshot, "acc_unknown") is None
