"""What users are told about the ways back into their account, and when a sign-in leads to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clock import MINUTE
from tests.flows.authenticators import app_code, enrols_app, recovery_codes
from tests.flows.people import ADA, Visitor, ada

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.check_up import Loss, Verdict, WayKind
from countersign.flows.accounts.context import CodeRequested, SignedIn
from countersign.flows.sign_in.authenticator import prove_with_recovery_code
from countersign.flows.sign_in.check_up import NextProof, losses_of, next_proof
from countersign.flows.sign_in.complete import PasswordResetAllowed

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"


async def test_the_check_up_reads_what_the_account_holds(home: Place) -> None:
    """A10, A11: by names that the user knows, and codes that were not kept do not count."""
    visitor = await ada(home)
    await recovery_codes(visitor)
    session = await visitor.session()
    assert session is not None
    losses = {one.loss: one for one in await losses_of(home.accounts, session.account)}
    assert losses[Loss.PASSWORD].ways[0].names == (ADA,)
    assert losses[Loss.MAILBOX].verdict is Verdict.SAFE
    await home.change("UPDATE factors SET unkept = 1")
    losses = {one.loss: one for one in await losses_of(home.accounts, session.account)}
    assert losses[Loss.MAILBOX].verdict is Verdict.SLOW
    await home.change("UPDATE factors SET unkept = 0")
    home.clock.forward(MINUTE)
    await enrols_app(visitor)
    losses = {one.loss: one for one in await losses_of(home.accounts, session.account)}
    assert [way.kind for way in losses[Loss.PHONE].ways] == [WayKind.RECOVERY_CODE, WayKind.WAITING]
    assert await losses_of(home.accounts, "acc_nobody") == ()


async def test_a_sign_in_without_a_way_back_leads_to_the_check_up_and_locks_nobody_out(home: Place) -> None:
    """A11: accounts that are older than the rule, and those whose codes are used up."""
    visitor = await ada(home)
    secret = await enrols_app(visitor)
    home.clock.forward(MINUTE)
    other = Visitor(home)
    assert isinstance(await other.signs_in(), CodeRequested)
    entered = await app_code(other, secret)
    assert isinstance(entered, SignedIn)
    assert entered.interrupted.path == "/account/check-up?return_to=%2Faccount"
    assert await other.session() is not None


async def test_the_last_recovery_code_leads_there_and_others_do_not(home: Place) -> None:
    """A11, R4."""
    visitor = await ada(home)
    codes = await recovery_codes(visitor)
    home.clock.forward(MINUTE)
    await enrols_app(visitor)
    await home.change("DELETE FROM factors WHERE kind = 'recovery_code' AND mark <> (SELECT max(mark) FROM factors)")
    left = (await visitor.holdings()).recovery_codes
    for code in codes:
        other = Visitor(home)
        assert isinstance(await other.signs_in(), CodeRequested)
        entered = other._kept(await prove_with_recovery_code(home.accounts, other.browser, code, remember=False))
        if isinstance(entered, SignedIn):
            assert entered.interrupted.path.startswith("/account/check-up") is (left == 1)
            break
        home.clock.forward(60 * MINUTE)


async def test_whoever_recovers_is_told_what_comes_next_and_nobody_else(home: Place) -> None:
    """R1, A11: before the password is set; an unproved browser is told nothing."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    other = Visitor(home)
    assert isinstance(await other.recovers(), CodeRequested)
    assert await next_proof(home.accounts, other.browser) == NextProof()
    assert isinstance(await other.types(await other.code()), PasswordResetAllowed)
    told = await next_proof(home.accounts, other.browser)
    assert told.authenticators == ()
    assert len(told.contacts) == 1
    assert told.contacts[0].startswith("+1415")
    home.clock.forward(2 * MINUTE)
    await enrols_app(visitor)
    third = Visitor(home)
    assert isinstance(await third.recovers(), CodeRequested)
    assert isinstance(await third.types(await third.code()), PasswordResetAllowed)
    assert await next_proof(home.accounts, third.browser) == NextProof(authenticators=(AuthenticatorKind.APP,))
