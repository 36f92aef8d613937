"""The language in which an act is named: that of the account, not of the browser that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ada

from countersign.flows.accounts.account_language import account_language
from countersign.messages.language.catalogue import negotiate

if TYPE_CHECKING:
    from tests.flows.place import Place


async def test_the_account_decides_and_the_browser_only_where_it_says_nothing(home: Place) -> None:
    """P4."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    japanese = negotiate("ja")
    assert (await account_language(home.accounts, session, japanese)).tag == "en"
    await home.change("UPDATE accounts SET locale = ''")
    assert (await account_language(home.accounts, session, japanese)).tag == "ja"
