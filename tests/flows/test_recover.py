"""Recovery: who forgot the password, and who lost everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.people import ADA, CARRIER, PASSWORD, Visitor, ada

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import DAY, WAIT, ChangeKind, ChangeRefusal
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import (
    BrowserContext,
    CodeRequested,
    FlowNotFound,
    InvalidCredentials,
    InvalidInput,
    NoEligibleMethod,
    SignedIn,
)
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.delayed_recovery import RecoveryPending, send_reminders
from countersign.flows.changes.enrol import RecoveryCodes, make_recovery_codes
from countersign.flows.changes.report_change import report_change
from countersign.flows.changes.undo import cancel_change
from countersign.flows.sign_in.authenticator import (
    GUESSES_PER_ACCOUNT,
    GUESSES_PER_FLOW,
    InvalidCode,
    prove_with_recovery_code,
)
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.recover import begin_delayed_recovery
from countersign.flows.verifications.results import Refused
from countersign.store.tables import authenticators, changes

if TYPE_CHECKING:
    from tests.flows.place import Place

BETTER = "a better battery staple"
PHONE = "+14155550123"
NEW = "ada@elsewhere.example"


async def recovery_codes(visitor: Visitor, to: str = ADA) -> tuple[str, ...]:
    """Make recovery codes as the page does: approve it, then make them."""
    context = visitor.place.accounts
    session = await visitor.session()
    assert session is not None
    outcome, _ = await make_recovery_codes(context, visitor.browser, session, "Make new recovery codes")
    assert isinstance(outcome, ProofRequirement)
    assert isinstance(await visitor.steps_up(outcome), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(to)), SignedIn)
    session = await visitor.session()
    assert session is not None
    outcome, made = await make_recovery_codes(context, visitor.browser, session, "Make new recovery codes")
    assert isinstance(outcome, Applied), outcome
    assert isinstance(made, RecoveryCodes)
    return made.codes


async def test_a_forgotten_password_is_replaced_and_nobody_is_signed_in(home: Place) -> None:
    """R2, A5: every session ends, every contact is told, and the next sign-in needs a code as always."""
    visitor = await ada(home)
    other = Visitor(home)
    assert isinstance(await other.recovers(), CodeRequested)
    assert isinstance(await other.types(await other.code()), PasswordResetAllowed)
    faulty = await other.chooses("password")
    assert isinstance(faulty, InvalidInput)
    assert isinstance(await other.chooses(BETTER), Applied)
    assert other.browser.session == ""
    assert await visitor.session() is None
    await visitor.told("The password of your account was replaced")
    assert isinstance(await other.chooses("yet another battery"), FlowNotFound)
    assert isinstance(await Visitor(home).signs_in(), InvalidCredentials)
    assert isinstance(await Visitor(home).signs_in(password=BETTER), CodeRequested)


async def test_asking_changes_nothing_and_is_answered_alike(home: Place) -> None:
    """R1: an unknown address is told so in its own mailbox; the browser sees the same screen, and no answer is right."""
    visitor = await ada(home)
    stranger = Visitor(home)
    assert isinstance(await stranger.recovers("nobody@example.org"), CodeRequested)
    assert "No account was found here" in (await stranger.reads("nobody@example.org")).text
    seen = await stranger.sees()
    assert seen is not None
    assert seen.authenticators == (AuthenticatorKind.RECOVERY_CODE,)
    assert seen.challenge is not None
    refused = await stranger.types(home.code(seen.challenge))
    assert isinstance(refused, Refused)
    assert isinstance(
        await prove_with_recovery_code(home.accounts, stranger.browser, "0000-0000-0000-0000", remember=False),
        InvalidCode,
    )
    assert isinstance(await stranger.chooses(BETTER), FlowNotFound)
    # The owner's password, session and trust are untouched by being asked about.
    assert isinstance(await Visitor(home).recovers(), CodeRequested)
    assert await visitor.session() is not None
    assert isinstance(await Visitor(home).signs_in(), CodeRequested)


async def test_recoveries_are_limited_by_network(home: Place) -> None:
    """R1."""
    answers = [
        await Visitor(home, BrowserContext(ip="203.0.113.77")).recovers(f"u{number}@example.org")
        for number in range(21)
    ]
    assert [type(one) for one in answers[:20]] == [CodeRequested] * 20
    assert isinstance(answers[-1], Refused)


async def test_the_contact_that_recovered_does_not_let_in_alone(home: Place) -> None:
    """R2, U4: who holds the mailbox alone gets a new password and then needs the phone."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    thief = Visitor(home)
    assert isinstance(await thief.recovers(), CodeRequested)
    await thief.types(await thief.code())
    assert isinstance(await thief.chooses(BETTER), Applied)
    assert isinstance(await thief.signs_in(password=BETTER), CodeRequested)
    seen = await thief.sees()
    assert seen is not None
    assert {way.masked for way in seen.contact_methods} == {"+1415***0123"}
    owner = Visitor(home)
    assert isinstance(await owner.signs_in(password=BETTER), CodeRequested)
    home.clock.forward(61_000)
    entered = await owner.types(await owner.code(PHONE))
    assert isinstance(entered, SignedIn)
    # Now that something else let in, the mailbox counts again.
    assert isinstance(await owner.signs_in(password=BETTER), CodeRequested)
    seen = await owner.sees()
    assert seen is not None
    assert "a***@example.org" in {way.masked for way in seen.contact_methods}


async def test_recovery_codes_are_ten_strong_kept_hashed_and_used_once(home: Place) -> None:
    """R4."""
    visitor = await ada(home)
    codes = await recovery_codes(visitor)
    assert len(set(codes)) == 10
    assert {len(code.replace("-", "")) for code in codes} == {16}
    holdings = await visitor.holdings()
    assert holdings.recovery_codes == 10
    assert all(code.encode() not in one.mark + one.secret for one in holdings.authenticators for code in codes)
    other = Visitor(home)
    assert isinstance(await other.recovers(), CodeRequested)
    typed = codes[3].upper().replace("0", "O").replace("1", "l").replace("-", " ")
    assert isinstance(
        await prove_with_recovery_code(home.accounts, other.browser, typed, remember=False), PasswordResetAllowed
    )
    assert isinstance(await other.chooses(BETTER), Applied)
    assert (await visitor.told("A recovery code of your account was used")) != ""
    again = Visitor(home)
    assert isinstance(await again.recovers(), CodeRequested)
    assert isinstance(
        await prove_with_recovery_code(home.accounts, again.browser, codes[3], remember=False), InvalidCode
    )


async def test_new_recovery_codes_end_the_old_and_undoing_brings_those_back(home: Place) -> None:
    """R4, A2."""
    visitor = await ada(home)
    old = await recovery_codes(visitor)
    home.clock.forward(61_000)
    new = await recovery_codes(visitor)
    session = await visitor.session()
    assert session is not None
    assert not set(old) & set(new)
    assert (await visitor.holdings()).recovery_codes == 10
    reference = await visitor.told("Your account has new recovery codes")
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    assert len(await home.database.read(authenticators.list_active, session.account)) == 10
    owner = Visitor(home)
    assert isinstance(await owner.recovers(), CodeRequested)
    assert isinstance(await prove_with_recovery_code(home.accounts, owner.browser, new[0], remember=False), InvalidCode)
    assert isinstance(
        await prove_with_recovery_code(home.accounts, owner.browser, old[0], remember=False), PasswordResetAllowed
    )


async def test_guesses_at_recovery_codes_are_few(home: Place) -> None:
    """C5: within a flow, and over all flows of an account."""
    visitor = await ada(home)
    await recovery_codes(visitor)
    thief = Visitor(home)
    for flow in range(2):
        assert isinstance(await thief.recovers(), CodeRequested)
        for left in reversed(range(GUESSES_PER_FLOW)):
            outcome = await prove_with_recovery_code(home.accounts, thief.browser, f"{flow}{left}", remember=False)
            assert isinstance(outcome, InvalidCode)
            assert outcome.left == left
        outcome = await prove_with_recovery_code(home.accounts, thief.browser, "x", remember=False)
        assert isinstance(outcome, Refused)
        assert outcome.refusal.value == "exhausted"
        home.clock.forward(61_000)
    assert isinstance(await thief.recovers(), CodeRequested)
    outcome = await prove_with_recovery_code(home.accounts, thief.browser, "x", remember=False)
    assert isinstance(outcome, Refused)
    assert outcome.limit == GUESSES_PER_ACCOUNT.name


async def claims(place: Place, identifier: str = ADA, contact: str = NEW) -> Visitor:
    """Return the browser of somebody who says that everything is lost, and has proved a new contact."""
    claimant = Visitor(place, BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en"))
    assert isinstance(
        claimant._kept(await begin_delayed_recovery(place.accounts, claimant.browser, identifier, contact)),
        CodeRequested,
    )
    assert isinstance(await claimant.types(await claimant.code(contact)), RecoveryPending)
    return claimant


async def test_lost_everything_waits_is_told_daily_and_gets_back_in(home: Place) -> None:
    """R5: after the wait the new contact recovers the account, with reduced rights for a time."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    session = await visitor.session()
    assert session is not None
    claimant = await claims(home)
    while await home.deliver():
        pass
    for to in (ADA, PHONE):
        assert [one for one in home.carriers[CARRIER].sent if one.to == to and "lost access" in one.text]
    for day in range(1, 7):
        home.clock.forward(DAY)
        assert await send_reminders(home.accounts) == 1
        assert await send_reminders(home.accounts) == 0
        while await home.deliver():
            pass
        told = [one for one in home.carriers[CARRIER].sent if one.to == ADA and "still waits" in one.text]
        assert len(told) == day
    early = Visitor(home)
    assert isinstance(await early.recovers(NEW), CodeRequested)
    assert "No account was found" in (await early.reads(NEW)).text
    home.clock.forward(DAY)
    assert isinstance(await claimant.recovers(NEW), CodeRequested)
    assert isinstance(await claimant.types(await claimant.code(NEW)), PasswordResetAllowed)
    assert isinstance(await claimant.chooses(BETTER), Applied)
    assert isinstance(await claimant.signs_in(ADA, BETTER), CodeRequested)
    home.clock.forward(61_000)
    assert isinstance(await claimant.types(await claimant.code(NEW)), SignedIn)
    phone = await claimant.contact(PHONE)
    from countersign.flows.changes.request import ChangeRequest

    refused = await claimant.changes(ChangeRequest(ChangeKind.CONTACT_REMOVED, phone.id, "x", "Remove it"), NEW)
    assert refused is ChangeRefusal.REDUCED
    # Whoever still holds an old contact can take it back for another week.
    reference = await claimant.told("Your account was taken over after the waiting time")
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    assert await claimant.session() is None
    owner = Visitor(home)
    home.clock.forward(61_000)
    assert isinstance(await owner.recovers(PHONE), CodeRequested)
    assert isinstance(await owner.types(await owner.code(PHONE)), PasswordResetAllowed)


async def test_any_contact_or_session_stops_the_wait(home: Place) -> None:
    """R5: at the word of a contact nothing else ends; from a session it takes one press."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    await claims(home)
    reference = await visitor.told("Somebody says that they lost access to your account")
    stopped = await report_change(home.accounts, BrowserContext(), reference)
    assert stopped is not None
    assert stopped.stopped
    assert await visitor.session() is not None
    home.clock.forward(61_000)
    await claims(home)
    (pending,) = await home.database.read(changes.list_open, session.account, home.clock())
    assert isinstance(await cancel_change(home.accounts, visitor.browser, session.account, pending.id), Applied)
    home.clock.forward(WAIT)
    assert await send_reminders(home.accounts) == 0
    late = Visitor(home)
    assert isinstance(await late.recovers(NEW), CodeRequested)
    assert "No account was found" in (await late.reads(NEW)).text


async def test_a_claim_on_an_unknown_account_looks_the_same(home: Place) -> None:
    """R1."""
    await claims(home, "nobody@example.org")
    home.clock.forward(WAIT)
    late = Visitor(home)
    assert isinstance(await late.recovers(NEW), CodeRequested)
    assert "No account was found" in (await late.reads(NEW)).text


async def test_a_claim_that_nobody_finishes_runs_out(home: Place) -> None:
    """R5."""
    await ada(home)
    await claims(home)
    home.clock.forward(2 * WAIT)
    assert await send_reminders(home.accounts) == 0
    late = Visitor(home)
    assert isinstance(await late.recovers(NEW), CodeRequested)
    assert "No account was found" in (await late.reads(NEW)).text
    assert isinstance(await Visitor(home).signs_in(password=PASSWORD), CodeRequested | NoEligibleMethod)
