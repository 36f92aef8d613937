"""Helpers of tests that need an enrolled authenticator: an app, its codes, and recovery codes."""

from __future__ import annotations

from tests.flows.people import ADA, Visitor

from countersign.domain.accounts.session import ProofRequirement, Session
from countersign.flows.accounts.authenticator import InvalidCode
from countersign.flows.accounts.context import (
    CodeRequested,
    FlowNotFound,
    SignedIn,
)
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import EnrolmentResult, begin_app, draft_app, finish_app, make_recovery_codes
from countersign.flows.changes.keep_codes import CodesToKeep, Kept, RecoveryCodes, find_codes, keep_codes, show_codes
from countersign.flows.sign_in.authenticator import ProofResult, prove_with_app
from countersign.totp import STEP, code_at


async def keeps(visitor: Visitor, session: Session, outcome: EnrolmentResult) -> EnrolmentResult | Kept:
    """Keep the codes that an enrolment asks for; return what it leads to."""
    if not isinstance(outcome, CodesToKeep):
        return outcome
    return await keep_codes(visitor.place.accounts, visitor.browser, session)


async def without_codes(visitor: Visitor, outcome: object) -> None:
    """Keep the codes that an enrolment asks for. Then take them away: the account is as those that are older than this rule."""
    if not isinstance(outcome, CodesToKeep):
        assert isinstance(outcome, Applied), outcome
        return
    session = await visitor.session()
    assert session is not None
    assert await find_codes(visitor.place.accounts, visitor.browser, session) is not None
    assert isinstance(await keep_codes(visitor.place.accounts, visitor.browser, session), Applied)
    await visitor.place.change(
        "DELETE FROM factors WHERE account = $1 AND kind = 'recovery_code' AND ended_at IS NULL", session.account
    )


async def enrols_app(visitor: Visitor, to: str = ADA) -> bytes:
    """Set up an app as the page does; return its secret. The step of its first code is used up.

    The account has no recovery codes from it, as one that is older than the rule which asks for them.
    """
    context = visitor.place.accounts
    session = await visitor.session()
    assert session is not None
    need = await begin_app(context, visitor.browser, session, "My phone", "Add the app")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(to)), SignedIn)
    session = await visitor.session()
    assert session is not None
    begun = visitor._kept(await begin_app(context, visitor.browser, session, "My phone", "Add the app"))
    assert isinstance(begun, CodeRequested), begun
    draft = await draft_app(context, visitor.browser, session)
    assert draft is not None
    wrong = await finish_app(context, visitor.browser, session, "000000")
    assert isinstance(wrong, InvalidCode)
    code = code_at(draft.secret, context.now() // STEP)
    await without_codes(visitor, await finish_app(context, visitor.browser, session, code))
    assert isinstance(await finish_app(context, visitor.browser, session, code), FlowNotFound)
    return draft.secret


async def app_code(visitor: Visitor, secret: bytes, steps: int = 0) -> ProofResult:
    """Type the app's code of now, or of so many steps from now."""
    context = visitor.place.accounts
    proved = await prove_with_app(
        context, visitor.browser, code_at(secret, context.now() // STEP + steps), remember=False
    )
    return visitor._kept(proved)


async def recovery_codes(visitor: Visitor, to: str = ADA) -> tuple[str, ...]:
    """Make recovery codes as the page does: approve it, make them, and keep them."""
    context = visitor.place.accounts
    session = await visitor.session()
    assert session is not None
    outcome, _ = await make_recovery_codes(context, visitor.browser, session, "Create new recovery codes")
    assert isinstance(outcome, ProofRequirement)
    assert isinstance(await visitor.steps_up(outcome), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(to)), SignedIn)
    session = await visitor.session()
    assert session is not None
    outcome, made = await make_recovery_codes(context, visitor.browser, session, "Create new recovery codes")
    assert isinstance(outcome, Applied), outcome
    assert isinstance(made, RecoveryCodes)
    visitor._kept(await show_codes(context, visitor.browser, session, made.codes, made.made_at))
    assert isinstance(await keep_codes(context, visitor.browser, session), Kept)
    return made.codes
