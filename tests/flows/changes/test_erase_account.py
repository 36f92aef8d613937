"""An operator erases an account at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ada, alive
from tests.threats.test_a_thief_deletes_the_account import found, logged

from countersign.domain.shared.event import EventKind
from countersign.flows.changes.erase_account import erase_account

if TYPE_CHECKING:
    from tests.flows.place import Place


async def test_it_is_gone_at_once_and_the_log_says_by_whom(home: Place) -> None:
    """O3: a second time there is nothing to erase."""
    owner = await ada(home)
    account = (await alive(owner)).account
    assert await erase_account(home.database, home.accounts.log, account, home.clock(), own_id=home.accounts.own.id)
    assert not await erase_account(home.database, home.accounts.log, account, home.clock(), own_id=home.accounts.own.id)
    assert await found(home, account) is None
    assert await owner.session() is None
    (event,) = await logged(home, account, EventKind.ACCOUNT_ERASED)
    assert event.facts == {"by": "operator", "messages": 1, "sessions": 1, "contacts": 1}
