"""What a lock, an undo and a delayed recovery end, looked at in what is stored: sessions, trust, tokens, claims and authenticators."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from tests.clock import HOUR
from tests.flows.authenticators import app_code, enrols_app, recovery_codes
from tests.flows.owner_and_thief import LOST, OWNERS, PHONE, Person, opens
from tests.flows.people import ADA, PASSWORD, Visitor, ada

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import RECOVERY_WAIT, ChangeKind, ChangeRefusal, ChangeRequest, ChangeState
from countersign.domain.accounts.recovery import RecoveryPolicy
from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.verifications.challenge import Refusal
from countersign.flows.accounts.context import BrowserContext, CodeRequested, InvalidInput, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import (
    Allowed,
    RecoveryPending,
    allow_delayed_recovery,
)
from countersign.flows.changes.integration_codes import make_code, verify_code
from countersign.flows.changes.report_change import ReportOutcome, report_change
from countersign.flows.changes.undo import cancel_change, undo_change
from countersign.flows.sign_in import verify
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.guess_counters import CURRENT_PASSWORDS_PER_ACCOUNT
from countersign.flows.sign_in.recover import (
    RECOVERIES_PER_NETWORK,
    RecoveryNotOffered,
    begin_delayed_recovery,
)
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts, authenticators, changes, devices, sessions
from countersign.totp import STEP

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.change import AccountChange

ASKED = "Someone says they lost access to your account"


def claimant_of(place: Place) -> Person:
    """Return somebody who has a new contact and nothing else."""
    return Person(place, "claimant", Visitor(place, msgspec.structs.replace(OWNERS, ip="198.51.100.7")), {LOST})


async def open_changes(place: Place, account: str) -> list[AccountChange]:
    """Return the changes of an account that are pending or can be undone."""
    return await place.database.read(changes.list_open, account, place.clock())


async def taken_over(place: Place) -> tuple[Person, Person, str]:
    """Let a delayed recovery be finished on an account with an app, recovery codes, and a live session; return owner and claimant."""
    owner, account = await opens(place)
    await owner._wait()
    await recovery_codes(owner.visitor)
    await owner.enrols_app()
    claimant = claimant_of(place)
    assert await claimant.claims()
    place.clock.forward(RECOVERY_WAIT)
    assert await owner.signs_in()
    assert await claimant.recovers(LOST)
    return owner, claimant, account


async def test_a_delayed_recovery_ends_every_session_and_every_authenticator(home: Place) -> None:
    """R5, A5: whoever was in is out, and what was lost is not asked for; an undo from an old contact brings it back."""
    owner, claimant, account = await taken_over(home)
    assert await home.database.read(sessions.list_active, account, home.clock()) == []
    assert not await owner.is_in()
    assert await home.database.read(authenticators.list_active, account) == []
    claimant.reads = {LOST}
    home.clock.forward(HOUR)
    asked = await claimant.visitor.signs_in(ADA, claimant.passwords[-1])
    assert isinstance(asked, CodeRequested)
    reference = await owner.visitor.told("Your account was taken over after the waiting time")
    result = await report_change(home.accounts, BrowserContext(), reference)
    assert result is not None
    assert (result.outcome, result.undone) == (ReportOutcome.LOCKED, 1)
    kinds = {one.kind for one in await home.database.read(authenticators.list_active, account)}
    assert kinds == {AuthenticatorKind.APP, AuthenticatorKind.RECOVERY_CODE}
    found = await home.database.read(accounts.find, account)
    assert found is not None
    assert found.reduced_until == 0
    # The password that the claimant chose proves nothing beside an old contact.
    home.clock.forward(HOUR)
    assert isinstance(await owner.visitor.recovers(ADA), CodeRequested)
    assert isinstance(await owner.proves(), PasswordResetAllowed)
    assert isinstance(await owner.visitor.chooses("a better battery staple", claimant.passwords[-1]), Applied)
    found = await home.database.read(accounts.find, account)
    assert found is not None
    assert found.recovered_by != ""


async def test_authenticators_stay_where_the_setting_says_so(home: Place) -> None:
    """R8: the new contact and a new password do not get past the app."""
    home.accounts = msgspec.structs.replace(home.accounts, recovery_policy=RecoveryPolicy(keeps_authenticators=True))
    _, claimant, account = await taken_over(home)
    kinds = {one.kind for one in await home.database.read(authenticators.list_active, account)}
    assert kinds == {AuthenticatorKind.APP, AuthenticatorKind.RECOVERY_CODE}
    assert not await claimant.signs_in()


async def test_where_it_is_switched_off_nobody_waits_and_nobody_finishes(home: Place) -> None:
    """R8: not even a recovery that waited before."""
    owner, account = await opens(home)
    claimant = claimant_of(home)
    assert await claimant.claims()
    under_way = Visitor(home)
    under_way._kept(await begin_delayed_recovery(home.accounts, under_way.browser, ADA, "other@elsewhere.example"))
    home.accounts = msgspec.structs.replace(home.accounts, recovery_policy=RecoveryPolicy(delayed=False))
    off = await begin_delayed_recovery(home.accounts, BrowserContext(), ADA, "third@elsewhere.example")
    assert isinstance(off, RecoveryNotOffered)
    home.clock.forward(RECOVERY_WAIT)
    assert not await claimant.recovers(LOST)
    assert owner.passwords == [PASSWORD]
    found = await home.database.read(accounts.find, account)
    assert found is not None
    assert found.reduced_until == 0


async def test_reduced_rights_make_no_integration_code_and_take_nothing_away(home: Place) -> None:
    """R5, I3."""
    _, claimant, _ = await taken_over(home)
    assert await claimant.signs_in()
    session = await claimant.visitor.session()
    assert session is not None
    outcome, code = await make_code(
        home.accounts, claimant.visitor.browser, session, "backup", ["read"], days=30, summary="Make it"
    )
    assert outcome is ChangeRefusal.REDUCED
    assert await verify_code(home.accounts, code, "") is None


async def test_one_proof_begins_one_recovery(home: Place) -> None:
    """R6: two right answers at once."""
    await opens(home)
    claimant = claimant_of(home)
    await claimant._wait()
    claimant.visitor._kept(await begin_delayed_recovery(home.accounts, claimant.visitor.browser, ADA, LOST))
    code = await claimant._code(LOST)
    answers = await asyncio.gather(
        *(verify.check_code(home.accounts, claimant.visitor.browser, code, remember=False) for _ in range(2))
    )
    assert sum(isinstance(one, RecoveryPending) for one in answers) == 1
    assert await home.count("changes WHERE kind = 'access_recovered'") == 1


async def test_recoveries_after_a_wait_are_limited_by_network(home: Place) -> None:
    """R1, L1."""
    stranger = BrowserContext(ip="203.0.113.77", user_agent="x", locale="en")
    for number in range(RECOVERIES_PER_NETWORK.burst):
        asked = await begin_delayed_recovery(home.accounts, stranger, ADA, f"m{number}@elsewhere.example")
        assert isinstance(asked, CodeRequested)
    limited = await begin_delayed_recovery(home.accounts, stranger, ADA, "one.more@elsewhere.example")
    assert isinstance(limited, Refused)
    assert limited.refusal is Refusal.LIMITED


async def test_the_current_password_is_not_guessed_without_end(home: Place) -> None:
    """R2: after so many wrong ones the right one counts for nothing."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    home.clock.forward(HOUR)
    guesser = Visitor(home)
    assert isinstance(await guesser.recovers(), CodeRequested)
    assert isinstance(await guesser.types(await guesser.code()), PasswordResetAllowed)
    for number in range(CURRENT_PASSWORDS_PER_ACCOUNT.burst):
        assert isinstance(await guesser.chooses("a better battery staple", f"guess {number}"), InvalidInput)
    assert isinstance(await guesser.chooses("a better battery staple", PASSWORD), InvalidInput)


async def test_a_report_ends_rows_and_not_only_the_door(home: Place) -> None:
    """S6, M3: sessions, trust and what waits are gone from what is stored."""
    owner, account = await opens(home)
    await owner.visitor.is_let_in(remember=True)
    claimant = claimant_of(home)
    assert await claimant.claims()
    home.clock.forward(HOUR)
    again = Visitor(home)
    await again.is_let_in()
    reference = await owner.visitor.told("A new browser signed in to your account")
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    assert await home.database.read(sessions.list_active, account, home.clock()) == []
    assert not [one for one in await home.database.read(devices.list_active, account) if one.trusted_at]
    assert not [one for one in await open_changes(home, account) if one.state is ChangeState.PENDING]
    home.clock.forward(RECOVERY_WAIT)
    assert not await claimant.recovers(LOST)
    # A recovery that waited was stopped with it, so that none can be asked for again at once.
    assert not [one for one in await open_changes(home, account) if one.state is ChangeState.PENDING]
    found = await home.database.read(accounts.find, account)
    assert found is not None
    assert found.recovery.barred_until > home.clock()


async def test_nothing_is_done_between_asking_and_proving(home: Place) -> None:
    """A8, S6: what else was changed since a contact was asked for ends the asking, so that no report has to reach back."""
    visitor = await ada(home)
    home.clock.forward(HOUR)
    new = "second@elsewhere.example"
    from countersign.domain.shared.contact import parse_contact

    wanted = ChangeRequest(ChangeKind.CONTACT_ADDED, "", parse_contact(new).masked, "Add it", parse_contact(new))
    asked = await visitor.changes(wanted)
    assert isinstance(asked, CodeRequested)
    kept = visitor.browser
    home.clock.forward(2 * 60_000)
    assert isinstance(await visitor.adds(PHONE), Applied)
    home.clock.forward(2 * 60_000)
    visitor.browser = msgspec.structs.replace(kept, session=visitor.browser.session)
    assert isinstance(await visitor.types(await visitor.code(new)), ChangeRefusal)
    assert {one.masked for one in (await visitor.holdings()).contacts} == {"a***@example.org", "+1415***0123"}


async def test_undoing_asks_for_the_app_and_ends_trust(home: Place) -> None:
    """A2, R2, S4: a code by mail does not undo what an app protects, and no browser stays trusted."""
    visitor = await ada(home)
    await visitor.is_let_in(remember=True)
    secret = await enrols_app(visitor)
    session = await visitor.session()
    assert session is not None
    (enrolled,) = [one for one in await open_changes(home, session.account) if one.kind is ChangeKind.METHOD_ADDED]
    need = await undo_change(home.accounts, visitor.browser, session, enrolled.id, "Undo it")
    assert isinstance(need, ProofRequirement)
    assert need.level is Level.APP_CODE
    home.clock.forward(5 * STEP)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await app_code(visitor, secret), SignedIn)
    await home.change("UPDATE devices SET trusted_at = $1", home.clock())
    session = await visitor.session()
    assert session is not None
    assert isinstance(await undo_change(home.accounts, visitor.browser, session, enrolled.id, "Undo it"), Applied)
    assert not [one for one in await home.database.read(devices.list_active, session.account) if one.trusted_at]


async def test_a_change_that_was_made_is_not_cancelled(home: Place) -> None:
    """A2, A3: it stays undoable."""
    visitor = await ada(home)
    made = await visitor.adds(PHONE)
    assert isinstance(made, Applied)
    session = await visitor.session()
    assert session is not None
    canceled = await cancel_change(home.accounts, visitor.browser, session.account, made.change.id)
    assert canceled is ChangeRefusal.NOT_PENDING
    (left,) = await open_changes(home, session.account)
    assert left.is_undoable(home.clock())


async def test_the_contact_that_recovered_does_not_clear_its_own_mark(home: Place) -> None:
    """R2: it lets in where there is no other contact, and is no second proof once there is one."""
    await ada(home)
    home.clock.forward(HOUR)
    visitor = Visitor(home)
    assert isinstance(await visitor.recovers(), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code()), PasswordResetAllowed)
    assert isinstance(await visitor.chooses("a better battery staple"), Applied)
    home.clock.forward(HOUR)
    assert isinstance(await visitor.signs_in(ADA, "a better battery staple"), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code()), SignedIn)
    account = (await visitor.holdings()).account
    assert account.recovered_by == (await visitor.contact(ADA)).id


async def test_the_owner_lifts_the_bar_after_a_proof(home: Place) -> None:
    """R6: with a session and a proof for this act, once."""
    owner, account = await opens(home)
    claimant = claimant_of(home)
    assert await claimant.claims()
    (waiting,) = [one for one in await open_changes(home, account) if one.state is ChangeState.PENDING]
    assert isinstance(await cancel_change(home.accounts, owner.visitor.browser, account, waiting.id), Applied)
    session = await owner.visitor.session()
    assert session is not None
    need = await allow_delayed_recovery(home.accounts, owner.visitor.browser, session, "Allow it")
    assert isinstance(need, ProofRequirement)
    await owner._wait()
    assert isinstance(await owner.visitor.steps_up(need), CodeRequested)
    assert isinstance(await owner.proves(), SignedIn)
    session = await owner.visitor.session()
    assert session is not None
    allowed = await allow_delayed_recovery(home.accounts, owner.visitor.browser, session, "Allow it")
    assert isinstance(allowed, Allowed)
    again = await allow_delayed_recovery(home.accounts, owner.visitor.browser, session, "Allow it")
    assert again is ChangeRefusal.NOT_PENDING
    assert await claimant.claims()
    assert [one for one in await open_changes(home, account) if one.state is ChangeState.PENDING]
