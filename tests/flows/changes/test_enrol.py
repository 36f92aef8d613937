"""Enrolment of an app by its own session, its removal, and recovery codes as they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.flows.authenticators import app_code, enrols_app, recovery_codes
from tests.flows.people import Visitor, ada

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.flows.accounts.authenticator import InvalidCode
from countersign.flows.accounts.context import (
    BrowserContext,
    CodeRequested,
    FlowNotFound,
    InvalidCredentials,
    SignedIn,
)
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import begin_app, draft_app, finish_app
from countersign.flows.changes.report_change import report_change
from countersign.flows.sign_in.authenticator import prove_with_recovery_code
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.store.tables import authenticators
from countersign.totp import STEP

if TYPE_CHECKING:
    from tests.flows.place import Place

BETTER = "a better battery staple"


async def test_removing_the_app_takes_the_app_and_is_undone_by_a_contact(home: Place) -> None:
    """A4, A2, U5: a live session and the mailbox are not enough to remove it."""
    visitor = await ada(home)
    secret = await enrols_app(visitor)
    home.clock.forward(5 * STEP)
    (app,) = (await visitor.holdings()).authenticators
    wanted = ChangeRequest(ChangeKind.METHOD_REMOVED, app.id, "My phone", "Remove it")
    from countersign.flows.changes.submit import submit_change

    session = await visitor.session()
    assert session is not None
    need = await submit_change(home.accounts, visitor.browser, session, wanted)
    assert isinstance(need, ProofRequirement)
    assert need.level is Level.APP_CODE
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    seen = await visitor.sees()
    assert seen is not None
    assert seen.contact_methods == ()
    assert isinstance(await app_code(visitor, secret), SignedIn)
    session = await visitor.session()
    assert session is not None
    assert isinstance(await submit_change(home.accounts, visitor.browser, session, wanted), Applied)
    assert (await visitor.holdings()).authenticators == ()
    reference = await visitor.told("A sign-in method was removed from your account")
    assert await report_change(home.accounts, BrowserContext(), reference) is not None
    assert isinstance(await Visitor(home).signs_in(), InvalidCredentials)


async def test_an_app_is_enrolled_by_its_own_session_alone(home: Place) -> None:
    """C4: another browser of the same account cannot finish what this one began."""
    visitor = await ada(home)
    session = await visitor.session()
    assert session is not None
    need = await begin_app(home.accounts, visitor.browser, session, "", "Add the app")
    assert isinstance(need, ProofRequirement)
    await visitor.steps_up(need)
    await visitor.types(await visitor.code())
    session = await visitor.session()
    assert session is not None
    visitor._kept(await begin_app(home.accounts, visitor.browser, session, "", "Add the app"))
    other = Visitor(home)
    await other.is_let_in()
    theirs = await other.session()
    assert theirs is not None
    assert await draft_app(home.accounts, visitor.browser, theirs) is None
    assert await draft_app(home.accounts, other.browser, theirs) is None
    assert isinstance(await finish_app(home.accounts, visitor.browser, theirs, "000000"), FlowNotFound)


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
    assert (await visitor.told("A recovery code for your account was used")) != ""
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
