"""What was under way when an account changed counts for nothing: a sign-in, a proof, an approval, an enrolment, a pending change.

The attacker begins before the owner changes something, and finishes afterwards.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.authenticators import enrols_app
from tests.flows.passkeys import SYNCED, asked, enrols, signs_in
from tests.flows.people import ADA, PASSWORD, Visitor, ada, alive
from tests.peers.authenticator import Authenticator
from tests.rounds import rounds

from countersign.domain.accounts.change import ChangeKind, ChangeRefusal, ChangeRequest
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import (
    Level,
    Method,
    ProofRequirement,
    SessionProof,
    amr_values,
    current_level,
    satisfies,
)
from countersign.domain.shared.contact import Channel, parse_contact
from countersign.flows.accounts.context import (
    BrowserContext,
    CodeRequested,
    FlowNotFound,
    InvalidCredentials,
    SignedIn,
)
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.changes.apply import Applied, apply_change
from countersign.flows.changes.enrol import begin_app, draft_app, finish_app
from countersign.flows.changes.forget_browser import forget_browser
from countersign.flows.changes.report_change import report_change
from countersign.flows.changes.submit import submit_change
from countersign.flows.changes.undo import undo_change
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.sign_in.passkeys import begin_passkey_proof, prove_with_passkey
from countersign.flows.sign_in.start_session import start_session
from countersign.store.tables import accounts, devices, sessions
from countersign.totp import STEP, code_at

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.domain.accounts.account import Account

THIEFS = BrowserContext(ip="192.0.2.66", user_agent="Safari", locale="en")
PHONE = "+14155550123"
BETTER = "a better battery staple"
MINUTE = 60_000


async def account_of(visitor: Visitor) -> Account:
    found = await visitor.place.database.read(accounts.find, (await alive(visitor)).account)
    assert found is not None
    return found


async def password_change(home: Place, password: str = BETTER) -> ChangeRequest:
    hashed = await home.accounts.passwords.hash(password)
    return ChangeRequest(ChangeKind.PASSWORD_CHANGED, summary="Change password", password=hashed)


async def changes_password(owner: Visitor, password: str = BETTER, to: str = ADA) -> None:
    owner.place.clock.forward(MINUTE + 1_000)
    assert isinstance(await owner.changes(await password_change(owner.place, password), to), Applied)


async def approves(owner: Visitor, wanted: ChangeRequest, to: str = ADA) -> None:
    """Give the proof that a change asks for, and do not make the change yet."""
    need = await submit_change(owner.place.accounts, owner.browser, await alive(owner), wanted)
    assert isinstance(need, ProofRequirement)
    assert isinstance(await owner.steps_up(need), CodeRequested)
    assert isinstance(await owner.types(await owner.code(to)), SignedIn)


async def test_a_code_under_way_opens_nothing_after_the_password_changed(home: Place) -> None:
    """A8, A5: the thief had the old password and asked for a code before the owner changed the password."""
    owner = await ada(home)
    home.clock.forward(MINUTE + 1_000)
    thief = Visitor(home, THIEFS)
    assert isinstance(await thief.signs_in(), CodeRequested)
    code = await thief.code()
    await changes_password(owner)
    assert isinstance(await thief.types(code), FlowNotFound)
    assert await home.database.read(sessions.list_active, (await alive(owner)).account, home.clock()) == [
        await home.database.read(
            sessions.find_by_id, (await alive(owner)).account, (await alive(owner)).id, home.clock()
        )
    ]


async def test_a_trusted_browser_whose_password_was_checked_before_the_change_is_not_let_in(home: Place) -> None:
    """A8: the password is checked, then changed, then the session is written."""
    owner = await ada(home)
    home.clock.forward(MINUTE + 1_000)
    trusted = Visitor(home)
    await trusted.is_let_in(remember=True)
    before = await account_of(owner)
    await changes_password(owner)
    now = home.clock()
    for proofs in (
        (SessionProof(Method.PASSWORD, now), SessionProof(Method.TRUSTED_DEVICE, now)),
        (SessionProof(Method.PASSWORD, now), SessionProof(Method.MAIL_CODE, now)),
    ):
        late = await start_session(
            home.accounts, trusted.browser, before.id, proofs, interrupted=InterruptedRequest(), epoch=before.epoch
        )
        assert isinstance(late, FlowNotFound)


async def test_a_browser_that_is_forgotten_while_it_signs_in_skips_no_code(home: Place) -> None:
    """A4: trust is judged again where the session is written."""
    owner = await ada(home)
    home.clock.forward(MINUTE + 1_000)
    trusted = Visitor(home)
    await trusted.is_let_in(remember=True)
    account = await account_of(owner)
    known = await home.database.read(devices.list_active, account.id)
    (device,) = [one for one in known if one.trusted(home.clock())]
    assert await forget_browser(home.accounts, await alive(owner), device.id)
    now = home.clock()
    proofs = (SessionProof(Method.PASSWORD, now), SessionProof(Method.TRUSTED_DEVICE, now))
    late = await start_session(
        home.accounts, trusted.browser, account.id, proofs, interrupted=InterruptedRequest(), epoch=account.epoch
    )
    assert isinstance(late, FlowNotFound)


async def test_a_code_that_was_sent_to_a_contact_signs_nobody_in_once_the_contact_is_removed(home: Place) -> None:
    """A8, A4: the phone was stolen, and its code is on the way."""
    owner = await ada(home)
    await owner.adds(PHONE)
    home.clock.forward(MINUTE + 1_000)
    thief = Visitor(home, THIEFS)
    assert isinstance(await thief.signs_in(PHONE), CodeRequested)
    view = await thief.sees()
    assert view is not None
    way = next(one for one in view.contact_methods if one.channel is Channel.SMS)
    await thief.asks_another_way(way)
    code = await thief.code(PHONE)
    home.clock.forward(MINUTE + 1_000)
    phone = await owner.contact(PHONE)
    wanted = ChangeRequest(ChangeKind.CONTACT_REMOVED, phone.id, phone.masked, "Remove it")
    assert isinstance(await owner.changes(wanted), Applied)
    assert isinstance(await thief.types(code), FlowNotFound)


async def test_a_code_by_mail_does_not_sign_in_once_an_app_is_enrolled(home: Place) -> None:
    """A8: the code was asked for when mail was still enough."""
    owner = await ada(home)
    home.clock.forward(MINUTE + 1_000)
    thief = Visitor(home, THIEFS)
    assert isinstance(await thief.signs_in(), CodeRequested)
    code = await thief.code()
    home.clock.forward(MINUTE + 1_000)
    await enrols_app(owner)
    assert isinstance(await thief.types(code), FlowNotFound)


async def test_a_recovery_that_was_proved_sets_no_password_after_the_owner_said_not_me(home: Place) -> None:
    """A8, S6: the lock ends it, although the thief has proved the mailbox."""
    owner = await ada(home)
    await owner.adds(PHONE)
    home.clock.forward(MINUTE + 1_000)
    thief = Visitor(home, THIEFS)
    assert isinstance(await thief.recovers(), CodeRequested)
    assert isinstance(await thief.types(await thief.code()), PasswordResetAllowed)
    reference = await owner.told("Someone asked to add contact details to your account")
    assert await report_change(home.accounts, owner.browser, reference) is not None
    assert isinstance(await thief.chooses("the thief's own words"), FlowNotFound)


async def test_two_that_proved_a_recovery_do_not_both_choose(home: Place) -> None:
    """A8: both at once, and one after the other."""
    await ada(home)
    both = [Visitor(home), Visitor(home, THIEFS)]
    for one in both:
        home.clock.forward(MINUTE + 1_000)
        assert isinstance(await one.recovers(), CodeRequested)
        assert isinstance(await one.types(await one.code()), PasswordResetAllowed)
    answers = await asyncio.gather(*(one.chooses(f"{BETTER} {number}") for number, one in enumerate(both)))
    assert sorted(type(one).__name__ for one in answers) == ["Applied", "FlowNotFound"]


async def test_a_session_by_a_passkey_that_was_removed_is_at_the_lowest_level_and_ends_nobody(home: Place) -> None:
    """P3, A4: the level goes with the passkey, at the next request; so does what it may do."""
    owner = await ada(home)
    key = await enrols(owner, Authenticator(flags=SYNCED))
    thief = Visitor(home, THIEFS)
    assert isinstance(await signs_in(thief, key.uses(await asked(thief))), SignedIn)
    assert current_level(await alive(thief), home.clock()) is Level.PASSKEY
    (passkey,) = (await owner.holdings()).authenticators
    wanted = ChangeRequest(ChangeKind.METHOD_REMOVED, passkey.id, "My laptop", "Remove it")
    need = await submit_change(home.accounts, owner.browser, await alive(owner), wanted)
    assert isinstance(need, ProofRequirement)
    assert isinstance(await owner.steps_up(need), CodeRequested)
    options = await begin_passkey_proof(home.accounts, owner.browser)
    assert options is not None
    proved = await prove_with_passkey(home.accounts, owner.browser, key.uses(options), remember=False)
    assert isinstance(owner._kept(proved), SignedIn)
    assert isinstance(await submit_change(home.accounts, owner.browser, await alive(owner), wanted), Applied)
    stolen = await alive(thief)
    assert current_level(stolen, home.clock()) is Level.PASSWORD
    assert amr_values(stolen, home.clock()) == []
    assert not satisfies(stolen, ProofRequirement(Level.MAIL_CODE, 300), home.clock())
    # The owner's own proof by the passkey has ended too; what else the owner proved has not.
    assert current_level(await alive(owner), home.clock()) < Level.PASSKEY
    assert (await alive(owner)).proofs
    assert isinstance(await signs_in(thief, key.uses(await asked(thief))), InvalidCredentials)


async def test_the_proof_of_another_session_counts_for_nothing_once_the_account_changed(home: Place) -> None:
    """P3, A8: the thief's session got a code by mail and an approval; then the owner adds a phone."""
    owner = await ada(home)
    home.clock.forward(MINUTE + 1_000)
    thief = Visitor(home, THIEFS)
    await thief.is_let_in()
    home.clock.forward(MINUTE + 1_000)
    mail = await owner.contact(ADA)
    wanted = ChangeRequest(ChangeKind.CONTACT_PRIMARY, mail.id, "a***", "x")
    assert await submit_change(home.accounts, thief.browser, await alive(thief), wanted) is ChangeRefusal.ALREADY_YOURS
    evil = parse_contact("thief@evil.example")
    adds = ChangeRequest(ChangeKind.CONTACT_ADDED, "", evil.masked, "Add it", evil)
    await approves(thief, adds)
    approved = await alive(thief)
    home.clock.forward(MINUTE + 1_000)
    assert isinstance(await owner.adds(PHONE), Applied)
    # The page of the thief was read before the change, and its form is carried out after it.
    need = await submit_change(home.accounts, thief.browser, approved, adds)
    assert isinstance(need, ProofRequirement)
    assert not await use_approval(home.accounts, approved, need)
    assert await apply_change(home.accounts, thief.browser, adds.for_session(approved)) is ChangeRefusal.OUTDATED
    assert current_level(await alive(thief), home.clock()) is Level.PASSWORD
    assert current_level(await alive(owner), home.clock()) is Level.MAIL_CODE


async def test_a_step_up_under_way_raises_no_session_after_the_account_changed(home: Place) -> None:
    """A8: the code was sent before the change, and is typed after it."""
    owner = await ada(home)
    home.clock.forward(MINUTE + 1_000)
    thief = Visitor(home, THIEFS)
    await thief.is_let_in()
    home.clock.forward(MINUTE + 1_000)
    assert isinstance(await thief.steps_up(ProofRequirement(Level.MAIL_CODE, 60)), CodeRequested)
    code = await thief.code()
    home.clock.forward(MINUTE + 1_000)
    assert isinstance(await owner.adds(PHONE), Applied)
    assert isinstance(await thief.types(code), FlowNotFound)


async def test_an_enrolment_and_a_pending_contact_end_with_the_next_change(home: Place) -> None:
    """A8: what one session of the account began does not outlive a change by another."""
    owner = await ada(home)
    home.clock.forward(MINUTE + 1_000)
    thief = Visitor(home, THIEFS)
    await thief.is_let_in()
    home.clock.forward(MINUTE + 1_000)
    need = await begin_app(home.accounts, thief.browser, await alive(thief), "Mine", "Add the app")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await thief.steps_up(need), CodeRequested)
    assert isinstance(await thief.types(await thief.code()), SignedIn)
    begun = thief._kept(await begin_app(home.accounts, thief.browser, await alive(thief), "Mine", "Add the app"))
    assert isinstance(begun, CodeRequested)
    draft = await draft_app(home.accounts, thief.browser, await alive(thief))
    assert draft is not None
    home.clock.forward(MINUTE + 1_000)
    second = Visitor(home, msgspec.structs.replace(owner.browser))
    evil = parse_contact("thief@evil.example")
    pending = await second.changes(ChangeRequest(ChangeKind.CONTACT_ADDED, "", evil.masked, "Add it", evil))
    assert isinstance(pending, CodeRequested)
    code = await second.code("thief@evil.example")
    owner.browser = msgspec.structs.replace(second.browser, flow="")
    assert isinstance(await owner.adds(PHONE), Applied)
    enrolled = await finish_app(
        home.accounts, thief.browser, await alive(thief), code_at(draft.secret, home.clock() // STEP)
    )
    assert enrolled is ChangeRefusal.OUTDATED
    assert await second.types(code) is ChangeRefusal.OUTDATED
    assert not (await owner.holdings()).authenticators
    assert len((await owner.holdings()).contacts) == 2


async def test_an_undo_by_a_page_that_was_read_before_another_change_asks_again(home: Place) -> None:
    """A8: an approved undo does not meet an account that it was not approved for."""
    owner = await ada(home)
    added = await owner.adds(PHONE)
    assert isinstance(added, Applied)
    home.clock.forward(MINUTE + 1_000)
    need = await undo_change(home.accounts, owner.browser, await alive(owner), added.change.id, "Undo it")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await owner.steps_up(need), CodeRequested)
    assert isinstance(await owner.types(await owner.code()), SignedIn)
    approved = await alive(owner)
    phone = await owner.contact(PHONE)
    other = ChangeRequest(ChangeKind.CONTACT_PRIMARY, phone.id, phone.masked, "Send codes here first")
    home.clock.forward(MINUTE + 1_000)
    assert isinstance(await owner.changes(other), Applied)
    late = await undo_change(home.accounts, owner.browser, approved, added.change.id, "Undo it")
    assert isinstance(late, ProofRequirement)


@pytest.mark.timeout(1_800)
async def test_no_sign_in_under_way_outlives_a_change_of_the_password(home: Place) -> None:
    """A8, A5: fifty sign-ins are under way when the password changes; none of their sessions is left."""
    owner = await ada(home)
    account_id = (await alive(owner)).account
    passwords = [PASSWORD, BETTER]
    for number in range(rounds(200, 100)):
        home.clock.forward(30 * MINUTE)
        old, new = passwords[number % 2], passwords[(number + 1) % 2]
        assert isinstance(await owner.signs_in(ADA, old), CodeRequested)
        assert isinstance(await owner.types(await owner.code(), remember=True), SignedIn)
        before = await account_of(owner)
        change = await password_change(home, new)
        home.clock.forward(MINUTE + 1_000)
        await approves(owner, change)
        # Eight come with the password, and forty-two whose password was checked already.
        late = [Visitor(home, msgspec.structs.replace(owner.browser, session="")) for _ in range(8)]
        now = home.clock()
        proofs = (SessionProof(Method.PASSWORD, now), SessionProof(Method.MAIL_CODE, now))
        thieves = [BrowserContext(device=f"{number}-{one}", user_agent="Safari") for one in range(42)]
        async with asyncio.TaskGroup() as group:
            done = group.create_task(submit_change(home.accounts, owner.browser, await alive(owner), change))
            for visitor in late:
                group.create_task(visitor.signs_in(ADA, old))
            for thief in thieves:
                started = start_session(
                    home.accounts, thief, account_id, proofs, interrupted=InterruptedRequest(), epoch=before.epoch
                )
                group.create_task(started)
        assert isinstance(done.result(), Applied)
        left = await home.database.read(sessions.list_active, account_id, home.clock())
        assert [one.id for one in left] == [(await alive(owner)).id]
