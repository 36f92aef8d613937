"""Deleting an account: what an application and a later account see of it. The attacks are in `tests/threats`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, ada, alive
from tests.threats.test_a_thief_deletes_the_account import DELAY, deletes, found

from countersign.domain.accounts.deletion import DeletionRequest
from countersign.flows.accounts.activity import recent
from countersign.flows.changes.delete_account import DeletionPending, erase_due
from countersign.store.tables import grants

if TYPE_CHECKING:
    from tests.flows.place import Place


async def test_the_tokens_of_applications_end_and_the_contact_is_free_again(home: Place) -> None:
    """O3: a new account with the same contact shows nothing of the former one."""
    owner = await ada(home)
    session = await alive(owner)
    await home.database.run(
        grants.add_token,
        grants.AccessToken(b"k", b"g", "app_shop", session.account, session.id, "openid", 0, home.clock() * 2),
    )
    assert isinstance(await deletes(owner), DeletionPending)
    home.clock.forward(DELAY)
    assert await erase_due(home.accounts) == 1
    assert await erase_due(home.accounts) == 0
    assert await home.database.read(grants.find_token, b"k", home.clock()) is None
    assert await owner.session() is None
    home.clock.forward(1)
    again = await alive(await ada(home))
    assert again.account != session.account
    _, sent = await recent(home.accounts, again.account, 50)
    assert [one.what for one in sent] == ["sign_up"]


async def test_what_is_remembered_of_a_request_is_when_and_in_which_epoch(home: Place) -> None:
    """A8: so that any change of the account ends it."""
    owner = await ada(home)
    asked_at = home.clock()
    assert isinstance(await deletes(owner, ADA), DeletionPending)
    account = await found(home, (await alive(owner)).account)
    assert account is not None
    assert account.deletion == DeletionRequest(asked_at, account.epoch)
