"""What a person does with a passkey: enrol one, ask to sign in with one, and sign in."""

from __future__ import annotations

from tests.flows.authenticators import without_codes
from tests.flows.people import ADA, Visitor
from tests.peers.authenticator import BACKED_UP, ELIGIBLE, PRESENT, VERIFIED, Authenticator

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import ProofRequirement
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, InvalidCredentials, SignedIn
from countersign.flows.sign_in.passkeys import (
    begin_passkey_enrolment,
    begin_passkey_sign_in,
    finish_passkey_enrolment,
    passkey_enrolment_options,
    sign_in_with_passkey,
)
from countersign.flows.verifications.results import Refused

SYNCED = PRESENT | VERIFIED | ELIGIBLE | BACKED_UP


async def enrolling(visitor: Visitor, name: str = "My laptop", to: str = ADA) -> str:
    """Have a passkey approved, and return what the browser is asked for."""
    context = visitor.place.accounts
    session = await visitor.session()
    assert session is not None
    need = await begin_passkey_enrolment(context, visitor.browser, session, name, "Add it")
    assert isinstance(need, ProofRequirement)
    assert isinstance(await visitor.steps_up(need), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(to)), SignedIn)
    session = await visitor.session()
    assert session is not None
    assert isinstance(
        visitor._kept(await begin_passkey_enrolment(context, visitor.browser, session, name, "Add it")), CodeRequested
    )
    options = await passkey_enrolment_options(context, visitor.browser, session)
    assert options is not None
    return options


async def enrols(visitor: Visitor, authenticator: Authenticator | None = None) -> Authenticator:
    """Add a passkey."""
    authenticator = authenticator or Authenticator()
    answer = authenticator.makes(await enrolling(visitor))
    session = await visitor.session()
    assert session is not None
    await without_codes(
        visitor, await finish_passkey_enrolment(visitor.place.accounts, visitor.browser, session, answer)
    )
    assert isinstance(
        await finish_passkey_enrolment(visitor.place.accounts, visitor.browser, session, answer), FlowNotFound
    )
    return authenticator


async def asked(visitor: Visitor) -> str:
    """Press "sign in with a passkey"; return what the browser is asked for."""
    outcome = await begin_passkey_sign_in(visitor.place.accounts, visitor.browser, InterruptedRequest(path="/account"))
    assert not isinstance(outcome, Refused)
    begun, options = outcome
    visitor._kept(begun)
    return options


async def signs_in(visitor: Visitor, answer: str) -> SignedIn | InvalidCredentials | Refused:
    return visitor._kept(await sign_in_with_passkey(visitor.place.accounts, visitor.browser, answer))
