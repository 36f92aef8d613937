"""Which contacts and authenticators may prove a flow, and by which a code is requested first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace
from tests.flows.authenticators import enrols_app
from tests.flows.people import Visitor, ada

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.login_flow import LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.shared.contact import Channel, parse_contact
from countersign.flows.accounts.request_code import authenticators_for, channels_of, contact_methods_of

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"


def flow_of(kind: LoginFlowKind, requirement: ProofRequirement | None = None) -> LoginFlow:
    """Return a flow that has just begun."""
    return LoginFlow(kind, 0, 1, "", requirement=requirement or ProofRequirement())


async def masks(visitor: Visitor, flow: LoginFlow) -> set[str]:
    """Return the masks of the contacts that may prove a flow."""
    return {way.masked for way in contact_methods_of(visitor.place.accounts, await visitor.holdings(), flow)}


async def test_the_primary_contact_comes_first_and_one_that_goes_not_at_all(home: Place) -> None:
    """A1."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    snapshot = await visitor.holdings()
    first, second = snapshot.contacts
    assert first.primary
    ways = contact_methods_of(home.accounts, snapshot, flow_of(LoginFlowKind.STEP_UP))
    assert ways[0].contact == first.id
    without = flow_of(LoginFlowKind.STEP_UP, ProofRequirement(excluded_contact=first.id))
    assert await masks(visitor, without) == {second.masked}
    # Where there is no other contact, the one that goes has to do.
    alone = replace(snapshot, contacts=(first,))
    assert {way.contact for way in contact_methods_of(home.accounts, alone, without)} == {first.id}


async def test_a_level_that_needs_a_phone_leaves_mail_out(home: Place) -> None:
    """U5."""
    visitor = await ada(home)
    await visitor.adds(PHONE)
    strong = flow_of(LoginFlowKind.STEP_UP, ProofRequirement(Level.PHONE_CODE))
    assert await masks(visitor, strong) == {"+1415***0123"}


async def test_with_an_app_enrolled_no_code_that_is_sent_signs_in(home: Place) -> None:
    visitor = await ada(home)
    assert await masks(visitor, flow_of(LoginFlowKind.SIGN_IN)) == {"a***@example.org"}
    await enrols_app(visitor)
    assert await masks(visitor, flow_of(LoginFlowKind.SIGN_IN)) == set()
    snapshot = await visitor.holdings()
    assert authenticators_for(snapshot, flow_of(LoginFlowKind.SIGN_IN)) == (AuthenticatorKind.APP,)
    passkeys = flow_of(LoginFlowKind.SIGN_IN, ProofRequirement(Level.PASSKEY))
    assert authenticators_for(snapshot, passkeys) == ()


def test_a_recovery_offers_the_same_whether_there_is_an_account() -> None:
    """R1."""
    assert authenticators_for(None, flow_of(LoginFlowKind.RECOVER)) == (AuthenticatorKind.RECOVERY_CODE,)


async def test_a_contact_that_is_on_no_record_is_reached_by_its_kind(home: Place) -> None:
    assert channels_of(home.accounts, parse_contact("new@example.org"), "sign_up") == (Channel.EMAIL,)
    assert Channel.SMS in channels_of(home.accounts, parse_contact(PHONE), "sign_up")
