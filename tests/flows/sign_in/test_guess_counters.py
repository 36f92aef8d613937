"""What a guess counts for: the account and the lane, whichever identifier was typed, and a password that was replaced begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.people import ADA, PASSWORD, Visitor, ada

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.login_flow import LoginFlow, LoginFlowKind
from countersign.domain.verifications.challenge import Requester
from countersign.domain.verifications.lockout import LOCK_AFTER
from countersign.flows.accounts.context import CodeRequested, InvalidCredentials
from countersign.flows.sign_in.guess_counters import authenticator_counter, password_counter
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.account import Account


async def account_of(visitor: Visitor) -> Account:
    session = await visitor.session()
    assert session is not None
    found = await visitor.place.database.read(accounts.find, session.account)
    assert found is not None
    return found


async def test_all_identifiers_of_an_account_share_one_count_and_a_trusted_browser_has_its_own(home: Place) -> None:
    """L3, S7."""
    account = await account_of(await ada(home))
    mail = password_counter(home.accounts, account, b"mail", "", "")
    phone = password_counter(home.accounts, account, b"phone", "", "")
    assert mail == phone
    trusted = password_counter(home.accounts, account, b"mail", "dev_1", "203.0.113.9")
    assert trusted.gates == ()
    assert trusted.failures_key != mail.failures_key
    unknown = [password_counter(home.accounts, None, index, "", "") for index in (b"one", b"two")]
    assert unknown[0].failures_key != unknown[1].failures_key
    assert not unknown[0].has_account


async def test_a_new_password_begins_anew(home: Place) -> None:
    """L3: so a recovery opens what guesses at the old one stopped."""
    account = await account_of(await ada(home))
    changed = msgspec.structs.replace(account, password_at=account.password_at + 1)
    before, after = (password_counter(home.accounts, one, b"mail", "", "") for one in (account, changed))
    assert before.failures_key != after.failures_key


async def test_codes_of_an_app_count_in_the_lane_of_their_flow(home: Place) -> None:
    """L1."""
    account = await account_of(await ada(home))
    flows = [
        LoginFlow(LoginFlowKind.SIGN_IN, 0, 1, "", account=account.id),
        LoginFlow(LoginFlowKind.STEP_UP, 0, 1, "", account=account.id, session="ses_1"),
        LoginFlow(LoginFlowKind.SIGN_IN, 0, 1, "", account=account.id, requester=Requester("", "", "dev_1")),
    ]
    keys = {authenticator_counter(home.accounts, account, flow, AuthenticatorKind.APP).failures_key for flow in flows}
    assert len(keys) == 3


@pytest.mark.parametrize("wrong", [LOCK_AFTER - 1, LOCK_AFTER])
async def test_a_hundred_wrong_passwords_in_a_row_pause_the_account_and_one_less_does_not(
    home: Place, wrong: int
) -> None:
    """L3: NIST SP 800-63B-4, 3.2.2."""
    await ada(home)
    for _ in range(wrong):
        home.clock.forward(15 * 60_000)
        assert isinstance(await Visitor(home).signs_in(ADA, "not it at all"), InvalidCredentials)
    home.clock.forward(60_000)
    answer = await Visitor(home).signs_in(ADA, PASSWORD)
    assert isinstance(answer, InvalidCredentials if wrong == LOCK_AFTER else CodeRequested)
