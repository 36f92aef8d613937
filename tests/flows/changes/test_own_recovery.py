"""The person who asked for a delayed recovery keeps its dates, and can withdraw it; nothing tells whether there is such an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.flows.changes.test_delayed_recovery import BETTER, NEW, PHONE
from tests.flows.people import ADA, CARRIER, Visitor, ada

from countersign.domain.accounts.change import DAY, RECOVERY_WAIT, RECOVERY_WINDOW, ChangeKind, ChangeState
from countersign.flows.accounts.context import BrowserContext, CodeRequested
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import RecoveryPending, send_reminders
from countersign.flows.changes.own_recovery import OwnRecovery, read_own_recovery, withdraw_own_recovery
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.store.tables import accounts, changes

if TYPE_CHECKING:
    from tests.flows.place import Place

BROWSER = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")


async def asks(place: Place, identifier: str = ADA, contact: str = NEW) -> tuple[Visitor, str]:
    """Ask for a delayed recovery; return the browser and what it keeps of it."""
    claimant = Visitor(place, BROWSER)
    begun = claimant._kept(await begin_delayed_recovery(place.accounts, claimant.browser, identifier, contact))
    assert isinstance(begun, CodeRequested)
    pending = await claimant.types(await claimant.code(contact))
    assert isinstance(pending, RecoveryPending)
    return claimant, pending.own


def kept(place: Place, token: str) -> OwnRecovery:
    """Return what a browser keeps."""
    own = read_own_recovery(place.accounts, token)
    assert own is not None
    return own


async def state_of(place: Place, account: str) -> list[ChangeState]:
    """Return the states of the delayed recoveries of an account, newest first."""
    found = await place.database.read(changes.list_since, account, 0, 50)
    return [one.state for one in found if one.kind is ChangeKind.ACCESS_RECOVERED]


async def test_the_dates_are_kept_for_the_person(home: Place) -> None:
    """R5: from the day on which it can be finished to the day on which it ends."""
    await ada(home)
    _, token = await asks(home)
    own = kept(home, token)
    now = home.accounts.now()
    assert (own.asked_at, own.due_at, own.until) == (now, now + RECOVERY_WAIT, now + RECOVERY_WAIT + RECOVERY_WINDOW)
    assert own.contact == "a***@elsewhere.example"
    home.clock.forward(RECOVERY_WAIT + RECOVERY_WINDOW - 1)
    assert read_own_recovery(home.accounts, token) is not None
    home.clock.forward(1)
    assert read_own_recovery(home.accounts, token) is None


async def test_what_is_kept_is_alike_whether_there_is_an_account(home: Place) -> None:
    """R1: in form and in length, and it says nothing by itself."""
    await ada(home)
    _, known = await asks(home)
    _, unknown = await asks(home, "nobody@example.org", "b" + NEW[1:])
    assert len(known) == len(unknown)
    for one, other in zip(
        msgspec.structs.astuple(kept(home, known)), msgspec.structs.astuple(kept(home, unknown)), strict=True
    ):
        assert type(one) is type(other)
        assert len(str(one)) == len(str(other))


async def test_what_was_not_made_by_us_is_nothing(home: Place) -> None:
    """R5: a browser cannot name another recovery."""
    await ada(home)
    _, token = await asks(home)
    middle = len(token) // 2
    forged = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for wrong in ("", "x", "AAAA", forged, token[:-4], token + "AAAA", "é" * 40, "A" * 4_000):
        assert read_own_recovery(home.accounts, wrong) is None


async def test_a_recovery_that_was_withdrawn_waits_no_more(home: Place) -> None:
    """R5: no reminder follows, and the new contact gets nothing."""
    await ada(home)
    claimant, token = await asks(home)
    own = kept(home, token)
    await withdraw_own_recovery(home.accounts, claimant.browser, own)
    assert await state_of(home, own.account) == [ChangeState.CANCELED]
    home.clock.forward(DAY)
    assert await send_reminders(home.accounts) == 0
    home.clock.forward(RECOVERY_WAIT)
    assert isinstance(await claimant.recovers(NEW), CodeRequested)
    assert not isinstance(await claimant.types("000000"), PasswordResetAllowed)
    assert not isinstance(await claimant.chooses(BETTER), Applied)


async def test_for_a_day_nobody_asks_again(home: Place) -> None:
    """R5, R6: or a thief would withdraw until a telephone hears of no further one."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    for _ in range(6):
        claimant, token = await asks(home)
        await withdraw_own_recovery(home.accounts, claimant.browser, kept(home, token))
        home.clock.forward(60_000)
    session = await visitor.session()
    assert session is not None
    assert await state_of(home, session.account) == [ChangeState.CANCELED]
    home.clock.forward(DAY)
    while await home.deliver():
        pass
    before = len([one for one in home.carriers[CARRIER].sent if one.to == PHONE and "lost access" in one.text])
    await asks(home)
    while await home.deliver():
        pass
    assert await state_of(home, session.account) == [ChangeState.PENDING, ChangeState.CANCELED]
    after = len([one for one in home.carriers[CARRIER].sent if one.to == PHONE and "lost access" in one.text])
    assert after == before + 1


async def test_a_withdrawal_never_shortens_the_bar_of_who_stopped_it(home: Place) -> None:
    """R6: thirty days stay thirty days, and the withdrawal of what was stopped does nothing."""
    await ada(home)
    claimant, token = await asks(home)
    own = kept(home, token)
    account = await home.database.read(accounts.find, own.account)
    assert account is not None
    from countersign.flows.changes.delayed_recovery import stop_waiting

    await home.accounts.log.run(home.database, stop_waiting, home.accounts, BROWSER, own.account)
    stopped = await home.database.read(accounts.find, own.account)
    assert stopped is not None
    await withdraw_own_recovery(home.accounts, claimant.browser, own)
    after = await home.database.read(accounts.find, own.account)
    assert after is not None
    assert after.recovery.barred_until == stopped.recovery.barred_until > account.recovery.barred_until


async def test_to_withdraw_what_is_not_there_does_nothing(home: Place) -> None:
    """R1: without an account, and twice."""
    await ada(home)
    claimant, token = await asks(home, "nobody@example.org")
    for _ in range(2):
        await withdraw_own_recovery(home.accounts, claimant.browser, kept(home, token))
    claimant, token = await asks(home)
    for _ in range(2):
        await withdraw_own_recovery(home.accounts, claimant.browser, kept(home, token))
    assert await state_of(home, kept(home, token).account) == [ChangeState.CANCELED]
