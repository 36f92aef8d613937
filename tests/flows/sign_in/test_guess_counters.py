"""What a guess counts for: the account and the lane, whichever identifier was typed, and a password that was replaced begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.people import ADA, PASSWORD, Visitor, ada
from tests.flows.place import query

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.login_flow import LoginFlow, LoginFlowKind
from countersign.domain.verifications.challenge import Requester
from countersign.domain.verifications.lanes import Lane
from countersign.domain.verifications.lockout import LOCK_AFTER
from countersign.flows.accounts.context import CodeRequested, InvalidCredentials
from countersign.flows.sign_in.guess_counters import (
    RECOVERY_CODES_PER_ACCOUNT,
    anonymous_recovery_codes,
    authenticator_counter,
    current_password_counter,
    end_password_pause,
    forget_guesses,
    forget_passwords,
    password_counter,
)
from countersign.flows.verifications.counters import counter_key
from countersign.store.tables import accounts, guesses

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
    counters = [authenticator_counter(home.accounts, account, flow, AuthenticatorKind.APP) for flow in flows]
    assert len({counter.failures_key for counter in counters}) == 3
    assert len({counter.limits[0][1] for counter in counters}) == 3


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


async def test_a_network_counts_what_browsers_do_that_are_not_trusted(home: Place) -> None:
    """L1, L5: an office is not shut out, and one machine does not try every account."""
    account = await account_of(await ada(home))
    for known in (account, None):
        anybody = password_counter(home.accounts, known, b"mail", "", "203.0.113.9")
        assert {limit.name.partition(":")[0] for limit, _ in anybody.gates} >= {"sign_in_network"}
        assert anybody.pauses
        assert password_counter(home.accounts, known, b"mail", "", "").gates == ()
    assert password_counter(home.accounts, account, b"mail", "", "203.0.113.9").has_account


async def test_the_current_password_is_counted_for_each_contact_and_each_password(home: Place) -> None:
    """L1, L3: whoever proved one contact uses up nothing of who proves another."""
    account = await account_of(await ada(home))
    changed = msgspec.structs.replace(account, password_at=account.password_at + 1)
    one, other = (LoginFlow(LoginFlowKind.RECOVER, 0, 1, "", address=to) for to in (ADA, "ada@example.net"))
    first, second = (current_password_counter(home.accounts, account, flow) for flow in (one, other))
    assert first.limits[0][1] != second.limits[0][1]
    assert first.failures_key != second.failures_key
    renewed = current_password_counter(home.accounts, changed, one)
    assert renewed.limits == first.limits
    assert renewed.failures_key != first.failures_key


def test_a_recovery_code_is_counted_for_the_contact_that_was_entered_and_the_network(home: Place) -> None:
    """R1, L1."""
    flows = [
        LoginFlow(LoginFlowKind.RECOVER, 0, 1, "", address=to, requester=Requester(ip, "", ""))
        for to in (ADA, "ada@example.net")
        for ip in ("", "203.0.113.9", "198.51.100.7")
    ]
    keys = [anonymous_recovery_codes(home.accounts, flow)[0][1] for flow in flows]
    assert len(set(keys)) == len(keys)
    limit, key = anonymous_recovery_codes(home.accounts, flows[0])[0]
    assert limit is RECOVERY_CODES_PER_ACCOUNT
    assert key == counter_key(home.keyring, limit.name, Lane.ANONYMOUS, ADA)


async def test_an_app_and_recovery_codes_have_counts_apart_and_are_forgotten_together(home: Place) -> None:
    """L3: a right recovery code opens an app that was stopped, in its own lane."""
    account = await account_of(await ada(home))
    await home.change("DELETE FROM standings")
    flow = LoginFlow(LoginFlowKind.SIGN_IN, 0, 1, "", account=account.id)
    trusted = msgspec.structs.replace(flow, requester=Requester("", "", "dev_1"))
    kinds = (AuthenticatorKind.APP, AuthenticatorKind.RECOVERY_CODE)
    counters = [authenticator_counter(home.accounts, account, one, kind) for one in (flow, trusted) for kind in kinds]
    assert len({counter.failures_key for counter in counters}) == 4
    assert len({key for counter in counters for _, key in counter.limits}) == 4
    for counter in counters:
        await home.database.run(guesses.consume, counter, home.clock())
    await forget_guesses(home.accounts, account, flow)
    assert await kept(home) == {counter.failures_key for counter in counters[2:]}
    left = {bytes(row[0]) for row in await home.database.read(query, "SELECT key FROM limits")}
    assert {key for counter in counters for _, key in counter.limits} & left == {
        key for counter in counters[2:] for _, key in counter.limits
    }


async def test_a_right_password_in_a_trusted_browser_ends_the_pause_of_others(home: Place) -> None:
    """L2: strangers cannot shut the owner out of a new browser."""
    account = await account_of(await ada(home))
    await home.change("DELETE FROM standings")
    anybody = password_counter(home.accounts, account, b"mail", "", "")
    trusted = password_counter(home.accounts, account, b"mail", "dev_1", "")
    for counter in (anybody, trusted):
        await home.database.run(guesses.consume, counter, home.clock())
    await forget_passwords(home.accounts, account, trusted)
    assert await kept(home) == set()
    await home.database.run(guesses.consume, anybody, home.clock())
    await end_password_pause(home.accounts, account)
    assert await kept(home) == set()


async def kept(place: Place) -> set[bytes]:
    """Return the keys of guesses in a row that are counted."""
    return {bytes(row[0]) for row in await place.database.read(query, "SELECT key FROM standings")}
