"""Recovery codes wait to be kept. Somebody with the database, with the session alone, or with another browser wants to read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.authenticators import recovery_codes
from tests.flows.changes.test_keep_codes import alive, proves_app
from tests.flows.people import CARRIER, Visitor, ada
from tests.flows.place import place_at
from tests.threats.test_the_database_is_stolen import loot

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import CodeRequested, FlowNotFound
from countersign.flows.accounts.sessions import sign_out
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import begin_app
from countersign.flows.changes.keep_codes import Kept, find_codes, keep_codes, show_codes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.place import Place


async def test_codes_that_wait_stand_nowhere_in_the_database(sqlite_url: str, tmp_path: Path) -> None:
    """A11, C8: not while they wait, not once they are kept, not after that; neither is the secret of the app."""
    async with place_at(sqlite_url, tmp_path, live=(CARRIER,)) as place:
        visitor = await ada(place)
        secret = await proves_app(visitor)
        shown = await find_codes(place.accounts, visitor.browser, await alive(visitor))
        assert shown is not None
        looked_for = [secret, secret.hex().encode()]
        for code in shown.codes:
            looked_for += [code.encode(), code.replace("-", "").encode(), code.encode("utf-16-le")]
        for step in ("waiting", "kept"):
            for name, raw in loot(tmp_path).items():
                assert not [one for one in looked_for if one in raw], (step, name)
            await keep_codes(place.accounts, visitor.browser, await alive(visitor))
        assert await place.count("visits") == 0
    assert all(code not in repr(shown) for code in shown.codes)


async def test_a_stolen_session_reads_no_codes_and_keeps_none(home: Place) -> None:
    """A11: without the flow and the device of the browser that made them, and from another session of the account."""
    owner = await ada(home)
    await proves_app(owner)
    session = await alive(owner)
    stolen = msgspec.structs.replace(owner.browser, flow="", device="")
    other = Visitor(home)
    await other.is_let_in()
    for browser, signed_in in (
        (stolen, session),
        (msgspec.structs.replace(owner.browser, device="another"), session),
        (msgspec.structs.replace(owner.browser, flow="another"), session),
        (owner.browser, await alive(other)),
        (msgspec.structs.replace(other.browser, flow=owner.browser.flow), await alive(other)),
    ):
        assert await find_codes(home.accounts, browser, signed_in) is None
        assert isinstance(await keep_codes(home.accounts, browser, signed_in), FlowNotFound)
    assert (await owner.holdings()).authenticators == ()
    assert isinstance(await keep_codes(home.accounts, owner.browser, session), Applied)


async def test_a_session_alone_begins_nothing_that_leads_to_codes(home: Place) -> None:
    """A11, U2: the enrolment is approved before it begins."""
    owner = await ada(home)
    asked = await begin_app(home.accounts, owner.browser, await alive(owner), "Mine", "Add the app")
    assert isinstance(asked, ProofRequirement)
    assert await find_codes(home.accounts, owner.browser, await alive(owner)) is None


async def test_codes_end_with_the_session_and_with_a_change_of_the_account(home: Place) -> None:
    """A3, A8, A11: a thief who is thrown out keeps nothing for later."""
    owner = await ada(home)
    await proves_app(owner)
    session, browser = await alive(owner), owner.browser
    await home.change("UPDATE accounts SET epoch = epoch + 1 WHERE id = $1", session.account)
    assert await keep_codes(home.accounts, browser, session) is ChangeRefusal.OUTDATED
    second = Visitor(home)
    await second.is_let_in()
    await proves_app(second)
    session, browser = await alive(second), second.browser
    await sign_out(home.accounts, browser)
    assert await keep_codes(home.accounts, browser, session) is ChangeRefusal.OUTDATED
    assert (await owner.holdings()).authenticators == ()


async def test_what_was_kept_is_not_shown_again(home: Place) -> None:
    """R4, A11."""
    owner = await ada(home)
    await recovery_codes(owner)
    session = await alive(owner)
    owner._kept(await show_codes(home.accounts, owner.browser, session, ("code",), home.clock()))
    assert isinstance(await keep_codes(home.accounts, owner.browser, session), Kept)
    assert await find_codes(home.accounts, owner.browser, session) is None
    assert isinstance(await keep_codes(home.accounts, owner.browser, session), FlowNotFound)


@pytest.mark.parametrize("kind", ["sign_in", "step_up"])
async def test_a_flow_of_another_kind_shows_no_codes(home: Place, kind: str) -> None:
    """A11."""
    owner = await ada(home)
    session = await alive(owner)
    if kind == "sign_in":
        assert isinstance(await owner.signs_in(), CodeRequested)
    else:
        need = await begin_app(home.accounts, owner.browser, session, "Mine", "Add the app")
        assert isinstance(need, ProofRequirement)
        assert isinstance(await owner.steps_up(need), CodeRequested)
    assert await find_codes(home.accounts, owner.browser, session) is None
