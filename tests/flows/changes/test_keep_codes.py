"""Codes are shown until they are kept, and a first app or passkey counts only then (semantics A11)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.clock import MINUTE
from tests.flows.authenticators import app_code, recovery_codes
from tests.flows.passkeys import SYNCED, enrolling
from tests.flows.people import Visitor, ada
from tests.peers.authenticator import Authenticator

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.session import ProofRequirement, Session
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, SignedIn
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import begin_app, draft_app, finish_app, make_recovery_codes
from countersign.flows.changes.keep_codes import SHOWN_FOR, CodesToKeep, Kept, find_codes, keep_codes, show_codes
from countersign.flows.changes.undo import undo_change
from countersign.flows.sign_in.authenticator import prove_with_recovery_code
from countersign.flows.sign_in.passkeys import finish_passkey_enrolment
from countersign.totp import STEP, code_at

if TYPE_CHECKING:
    from tests.flows.place import Place


async def alive(visitor: Visitor) -> Session:
    session = await visitor.session()
    assert session is not None
    return session


async def proves_app(visitor: Visitor) -> bytes:
    """Set up an app as far as its first right code; return its secret."""
    context = visitor.place.accounts
    need = await begin_app(context, visitor.browser, await alive(visitor), "My phone", "Add the app")
    if isinstance(need, ProofRequirement):
        assert isinstance(await visitor.steps_up(need), CodeRequested)
        assert isinstance(await visitor.types(await visitor.code()), SignedIn)
        need = await begin_app(context, visitor.browser, await alive(visitor), "My phone", "Add the app")
    assert isinstance(visitor._kept(need), CodeRequested)
    draft = await draft_app(context, visitor.browser, await alive(visitor))
    assert draft is not None
    typed = code_at(draft.secret, context.now() // STEP)
    assert isinstance(await finish_app(context, visitor.browser, await alive(visitor), typed), CodesToKeep)
    # The form, sent twice: it leads to the codes again.
    assert isinstance(await finish_app(context, visitor.browser, await alive(visitor), typed), CodesToKeep)
    return draft.secret


async def test_a_first_app_counts_once_its_codes_are_kept(home: Place) -> None:
    """A11: until then the account is as it was; the codes are shown again by every reload, and in one transaction both count."""
    visitor = await ada(home)
    secret = await proves_app(visitor)
    shown = await find_codes(home.accounts, visitor.browser, await alive(visitor))
    assert shown is not None
    assert (len(shown.codes), shown.waits, shown.name, shown.change) == (10, True, "My phone", "")
    assert await find_codes(home.accounts, visitor.browser, await alive(visitor)) == shown
    assert await draft_app(home.accounts, visitor.browser, await alive(visitor)) is None
    assert (await visitor.holdings()).authenticators == ()
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    view = await other.sees()
    assert view is not None
    assert view.contact_methods

    applied = await keep_codes(home.accounts, visitor.browser, await alive(visitor))
    assert isinstance(applied, Applied)
    assert await find_codes(home.accounts, visitor.browser, await alive(visitor)) is None
    assert isinstance(await keep_codes(home.accounts, visitor.browser, await alive(visitor)), FlowNotFound)
    holdings = await visitor.holdings()
    assert (holdings.strong, holdings.recovery_codes) == (True, 10)
    assert not any(one.unkept for one in holdings.authenticators)
    await visitor.told("A sign-in method was added to your account")

    home.clock.forward(MINUTE)
    again = Visitor(home)
    assert isinstance(await again.signs_in(), CodeRequested)
    assert isinstance(await app_code(again, secret), SignedIn)
    lost = Visitor(home)
    assert isinstance(await lost.signs_in(), CodeRequested)
    entered = await prove_with_recovery_code(home.accounts, lost.browser, shown.codes[0], remember=False)
    assert isinstance(lost._kept(entered), SignedIn)


async def test_an_undo_of_the_app_ends_its_codes_too(home: Place) -> None:
    """A2, A11."""
    visitor = await ada(home)
    secret = await proves_app(visitor)
    applied = await keep_codes(home.accounts, visitor.browser, await alive(visitor))
    assert isinstance(applied, Applied)
    home.clock.forward(MINUTE)
    need = await undo_change(home.accounts, visitor.browser, await alive(visitor), applied.change.id, "Undo it")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await app_code(visitor, secret), SignedIn)
    undone = await undo_change(home.accounts, visitor.browser, await alive(visitor), applied.change.id, "Undo it")
    assert isinstance(undone, Applied)
    assert (await visitor.holdings()).authenticators == ()


async def test_a_passkey_waits_too_and_belongs_to_one_account(home: Place) -> None:
    """A11: the passkey is judged again when it counts. Another account may have it by then."""
    visitor, passkey = await ada(home), Authenticator(flags=SYNCED)
    answer = passkey.makes(await enrolling(visitor))
    finished = await finish_passkey_enrolment(home.accounts, visitor.browser, await alive(visitor), answer)
    assert isinstance(finished, CodesToKeep)
    grace = await ada(home, "grace@example.org")
    answer = passkey.makes(await enrolling(grace, to="grace@example.org"))
    assert isinstance(
        await finish_passkey_enrolment(home.accounts, grace.browser, await alive(grace), answer), CodesToKeep
    )
    assert isinstance(await keep_codes(home.accounts, grace.browser, await alive(grace)), Applied)
    assert (await keep_codes(home.accounts, visitor.browser, await alive(visitor))) is ChangeRefusal.ALREADY_YOURS
    assert (await visitor.holdings()).authenticators == ()


async def test_two_presses_at_once_add_one_app(home: Place) -> None:
    """J4, A11."""
    visitor = await ada(home)
    await proves_app(visitor)
    session = await alive(visitor)
    results = await asyncio.gather(*(keep_codes(home.accounts, visitor.browser, session) for _ in range(8)))
    assert sum(isinstance(one, Applied) for one in results) == 1
    assert (await visitor.holdings()).recovery_codes == 10


async def test_kept_codes_and_a_second_app_ask_for_none(home: Place) -> None:
    """A11: who can get back in already is asked for nothing; codes that were not kept are no way back."""
    visitor = await ada(home)
    outcome, made = await make_recovery_codes(home.accounts, visitor.browser, await alive(visitor), "Make them")
    assert isinstance(outcome, ProofRequirement)
    await visitor.steps_up(outcome)
    await visitor.types(await visitor.code())
    outcome, made = await make_recovery_codes(home.accounts, visitor.browser, await alive(visitor), "Make them")
    assert isinstance(outcome, Applied)
    assert all(one.unkept for one in (await visitor.holdings()).authenticators)
    assert (await visitor.holdings()).keeps_codes_first
    home.clock.forward(MINUTE)
    await proves_app(visitor)
    shown = await find_codes(home.accounts, visitor.browser, await alive(visitor))
    assert shown is not None
    assert not set(shown.codes) & set(made.codes)
    assert isinstance(await keep_codes(home.accounts, visitor.browser, await alive(visitor)), Applied)
    holdings = await visitor.holdings()
    assert (holdings.recovery_codes, holdings.keeps_codes_first) == (10, False)


async def test_recovery_codes_that_were_kept_are_enough(home: Place) -> None:
    """A11."""
    visitor = await ada(home)
    await recovery_codes(visitor)
    home.clock.forward(MINUTE)
    context = home.accounts
    need = await begin_app(context, visitor.browser, await alive(visitor), "My phone", "Add the app")
    assert isinstance(need, ProofRequirement)
    await visitor.steps_up(need)
    await visitor.types(await visitor.code())
    visitor._kept(await begin_app(context, visitor.browser, await alive(visitor), "My phone", "Add the app"))
    draft = await draft_app(context, visitor.browser, await alive(visitor))
    assert draft is not None
    typed = code_at(draft.secret, context.now() // STEP)
    assert isinstance(await finish_app(context, visitor.browser, await alive(visitor), typed), Applied)


async def test_codes_are_shown_for_some_minutes_and_then_no_more(home: Place) -> None:
    """R4, H9: they stay in force, and count as not kept."""
    visitor = await ada(home)
    session = await alive(visitor)
    visitor._kept(await show_codes(home.accounts, visitor.browser, session, ("abcd",), home.clock()))
    home.clock.forward(SHOWN_FOR - 1)
    assert await find_codes(home.accounts, visitor.browser, session) is not None
    home.clock.forward(1)
    assert await find_codes(home.accounts, visitor.browser, session) is None
    assert isinstance(await keep_codes(home.accounts, visitor.browser, session), FlowNotFound)


async def test_recovery_codes_need_no_second_code_of_an_app_that_has_just_given_one(home: Place) -> None:
    """U1: for five minutes; a recovery code or a code by mail is no such proof."""
    visitor = await ada(home)
    secret = await proves_app(visitor)
    shown = await find_codes(home.accounts, visitor.browser, await alive(visitor))
    assert shown is not None
    assert isinstance(await keep_codes(home.accounts, visitor.browser, await alive(visitor)), Applied)
    outcome, _ = await make_recovery_codes(home.accounts, visitor.browser, await alive(visitor), "Make them")
    assert isinstance(outcome, ProofRequirement)
    home.clock.forward(MINUTE)
    again = Visitor(home)
    await again.signs_in()
    assert isinstance(await app_code(again, secret), SignedIn)
    home.clock.forward(MINUTE)
    outcome, _ = await make_recovery_codes(home.accounts, again.browser, await alive(again), "Make them")
    assert isinstance(outcome, Applied)
    assert outcome.change.effect.approved_by == next(
        one.id for one in (await again.holdings()).authenticators if one.kind is AuthenticatorKind.APP
    )
    home.clock.forward(4 * MINUTE + 1_000)
    outcome, _ = await make_recovery_codes(home.accounts, again.browser, await alive(again), "Make them")
    assert isinstance(outcome, ProofRequirement)


async def test_a_press_on_an_old_page_says_nothing_of_codes_that_were_made_since(home: Place) -> None:
    """A11."""
    visitor = await ada(home)
    await recovery_codes(visitor)
    session, made_at = await alive(visitor), (await visitor.holdings()).authenticators[0].added_at
    await home.change("UPDATE factors SET unkept = 1 WHERE account = $1", session.account)
    visitor._kept(await show_codes(home.accounts, visitor.browser, session, ("x",), made_at - MINUTE))
    assert isinstance(await keep_codes(home.accounts, visitor.browser, session), Kept)
    assert all(one.unkept for one in (await visitor.holdings()).authenticators)
    visitor._kept(await show_codes(home.accounts, visitor.browser, session, ("x",), made_at))
    assert isinstance(await keep_codes(home.accounts, visitor.browser, session), Kept)
    assert not any(one.unkept for one in (await visitor.holdings()).authenticators)
