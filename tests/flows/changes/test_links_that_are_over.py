"""What a press in a message does not do: begin anew what was stopped, stop by an old link, or put a removed contact first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from tests.flows.changes.test_delayed_recovery import BETTER, NEW, claims
from tests.flows.people import ADA, Visitor, ada
from tests.flows.place import query

from countersign.domain.accounts.change import RECOVERY_WAIT, ChangeKind, ChangeRequest, ChangeState
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.context import BrowserContext, CodeRequested
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.report_change import ReportOutcome, report_change
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.verifications.cancel import not_me_reference
from countersign.store.engine.database import Write
from countersign.store.tables import accounts, changes, events

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"
SAFARI = BrowserContext(ip="192.0.2.66", user_agent="Safari", locale="en")


async def account_of(visitor: Visitor) -> str:
    session = await visitor.session()
    assert session is not None
    return session.account


async def waiting(place: Place, account: str) -> int:
    """Return how many delayed recoveries wait."""
    open_ = await place.database.read(changes.list_open, account, place.clock())
    return sum(one.kind is ChangeKind.ACCESS_RECOVERED and one.state is ChangeState.PENDING for one in open_)


async def link(place: Place, account: str, kind: str, to: str) -> str:
    """Return the reference of the newest message of a kind to a contact."""
    masked = {ADA: "a***@example.org", PHONE: "+1415***0123"}[to]
    sql = f"SELECT id FROM notices WHERE account = '{account}' AND kind = '{kind}' AND masked = '{masked}' ORDER BY id DESC LIMIT 1"  # noqa: S608
    rows = await place.database.read(query, sql)
    return not_me_reference(place.keyring, rows[0][0])


async def test_a_delayed_recovery_that_a_report_has_ended_does_not_begin_anew(home: Place) -> None:
    """R6: the owner reported a sign-in while it waited; whoever asked asks again at once."""
    owner = await ada(home)
    account = await account_of(owner)
    await claims(home)
    assert await waiting(home, account) == 1
    home.clock.forward(61_000)
    await Visitor(home, SAFARI).is_let_in()
    result = await report_change(home.accounts, BrowserContext(), await link(home, account, "new_device", ADA))
    assert result is not None
    assert result.outcome is ReportOutcome.LOCKED
    assert await waiting(home, account) == 0
    home.clock.forward(61_000)
    await claims(home)
    assert await waiting(home, account) == 0


async def test_a_link_that_a_lock_has_ended_stops_no_later_recovery(home: Place) -> None:
    """R7: the message of the first recovery, read by a thief, does not stop the owner's own."""
    owner = await ada(home)
    account = await account_of(owner)
    await claims(home)
    old = await link(home, account, "access_asked", ADA)
    home.clock.forward(61_000)
    await Visitor(home, SAFARI).is_let_in()
    assert await report_change(home.accounts, BrowserContext(), await link(home, account, "new_device", ADA))

    async def allow() -> None:
        locked = await accounts.lock(account)
        assert locked is not None
        allowed = replace(locked, recovery=replace(locked.recovery, barred_until=0))
        await Write((accounts.update(allowed),), last=True)

    await home.database.run(allow)
    home.clock.forward(61_000)
    await claims(home)
    assert await waiting(home, account) == 1
    result = await report_change(home.accounts, BrowserContext(), old)
    assert result is not None
    assert result.outcome is ReportOutcome.NOTHING_WAITS
    assert await waiting(home, account) == 1


async def test_a_contact_that_its_owner_removed_does_not_go_first(home: Place) -> None:
    """R7: the removed mailbox may report its removal, and opens the account no sooner than the phone for it."""
    owner = await ada(home)
    assert isinstance(await owner.adds(PHONE), Applied)
    account, mail = await account_of(owner), await owner.contact(ADA)
    home.clock.forward(8 * 86_400_000)
    await owner.is_let_in()
    home.clock.forward(61_000)
    wanted = ChangeRequest(ChangeKind.CONTACT_REMOVED, mail.id, mail.masked, "Remove it")
    assert isinstance(await owner.changes(wanted, PHONE), Applied)
    result = await report_change(home.accounts, BrowserContext(), await link(home, account, "contact_removed", ADA))
    assert result is not None
    assert result.outcome is ReportOutcome.LOCKED
    assert not result.goes_first


async def test_a_delayed_recovery_that_is_finished_is_not_told_as_canceled(home: Place) -> None:
    """O4: the log says what happened, and nothing else."""
    await ada(home)
    claimant = await claims(home)
    home.clock.forward(RECOVERY_WAIT)
    assert isinstance(await claimant.recovers(NEW), CodeRequested)
    assert isinstance(await claimant.types(await claimant.code(NEW)), PasswordResetAllowed)
    done = await claimant.chooses(BETTER)
    assert isinstance(done, Applied)
    logged = await home.database.read(events.list_between, 0, 1 << 62)
    told = [one.kind for one in logged if one.facts.get("change") == done.change.id]
    assert EventKind.CHANGE_APPLIED in told
    assert EventKind.CHANGE_CANCELED not in told
