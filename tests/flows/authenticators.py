"""Helpers of tests that need an enrolled authenticator: an app, its codes, and recovery codes."""

from __future__ import annotations

from tests.flows.people import ADA, Visitor

from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.authenticator import InvalidCode
from countersign.flows.accounts.context import (
    CodeRequested,
    FlowNotFound,
    SignedIn,
)
from countersign.flows.changes.apply import Applied
from countersign.flows.changes.enrol import RecoveryCodes, begin_app, draft_app, finish_app, make_recovery_codes
from countersign.flows.sign_in.authenticator import ProofResult, prove_with_app
from countersign.totp import STEP, code_at


async def enrols_app(visitor: Visitor, to: str = ADA) -> bytes:
    """Set up an app as the page does; return its secret. The step of its first code is used up."""
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
    assert isinstance(await finish_app(context, visitor.browser, session, code), Applied)
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
