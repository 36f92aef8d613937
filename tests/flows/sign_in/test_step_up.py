"""Step-up: a further proof, by a method that is strong enough, for the action that was interrupted, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.flows.people import Visitor, ada, alive

from countersign.domain.accounts.account import ContactMethod, OwnedContact
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement, auth_time, current_level, satisfies
from countersign.domain.shared.contact import Channel, Contact, parse_contact
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.flows.accounts.context import CodeRequested, NoEligibleMethod, SignedIn
from countersign.flows.accounts.login_flow import find_flow
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.sign_in.step_up import step_up
from countersign.flows.verifications.results import Refused
from countersign.store.engine.database import Write
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from tests.flows.place import Place


PHONE = "+14155550123"
PAY = Action("Pay €148.00", "h1")


async def with_phone(visitor: Visitor) -> str:
    """Give the account a proved phone; return the contact's id."""
    context, session = visitor.place.accounts, await alive(visitor)
    contact: Contact = parse_contact(PHONE)
    id_ = context.id("con")
    owned = OwnedContact(
        session.account,
        id_,
        context.now(),
        contact.kind,
        context.blind_index(contact),
        context.keyring.seal(contact.address, id_),
        contact.masked,
        context.now(),
    )

    async def add() -> None:
        await Write((accounts.insert_contact(owned),))

    await context.database.run(add)
    return id_


async def test_a_level_ends_by_itself_and_is_raised_by_a_fresh_code(home: Place) -> None:
    """U1, U3."""
    visitor = await ada(home)
    need = ProofRequirement(Level.MAIL_CODE, 900)
    assert satisfies(await alive(visitor), need, home.clock())
    signed_in = auth_time(await alive(visitor))
    home.clock.forward(901_000)
    assert not satisfies(await alive(visitor), need, home.clock())
    before = visitor.browser.session
    post = InterruptedRequest("POST", "/account/end", (("others", "yes"),))
    assert isinstance(await visitor.steps_up(need, post), CodeRequested)
    entered = await visitor.types(await visitor.code())
    assert isinstance(entered, SignedIn)
    assert entered.interrupted == post
    session = await alive(visitor)
    assert satisfies(session, need, home.clock())
    assert auth_time(session) > signed_in
    assert visitor.browser.session != before
    assert await Visitor(home, msgspec.structs.replace(visitor.browser, session=before)).session() is None


async def test_an_approval_is_worth_its_own_act_only_and_once(home: Place) -> None:
    """U2."""
    visitor = await ada(home)
    need = ProofRequirement(Level.MAIL_CODE, None, PAY)
    assert not satisfies(await alive(visitor), need, home.clock())
    await visitor.steps_up(need)
    assert "Pay €148.00" in (await visitor.reads()).text
    await visitor.types(await visitor.code())
    session, now = await alive(visitor), home.clock()
    assert satisfies(session, need, now)
    assert not satisfies(session, ProofRequirement(Level.MAIL_CODE, None, Action("Pay €148.00", "h2")), now)
    assert not satisfies(session, ProofRequirement(Level.MAIL_CODE, None, Action("Pay €1.00", "h1")), now)
    assert not satisfies(session, need, now + 300_001)
    assert await use_approval(home.accounts, session, need)
    assert not await use_approval(home.accounts, session, need)
    assert not satisfies(await alive(visitor), need, now)
    assert current_level(await alive(visitor), now) is Level.MAIL_CODE


async def test_a_weaker_method_cannot_be_chosen_by_any_parameter(home: Place) -> None:
    """U5."""
    visitor = await ada(home)
    assert isinstance(await visitor.steps_up(ProofRequirement(Level.PHONE_CODE)), NoEligibleMethod)
    phone = await with_phone(visitor)
    assert isinstance(await visitor.steps_up(ProofRequirement(Level.PHONE_CODE)), CodeRequested)
    seen = await visitor.sees()
    assert seen is not None
    assert {way.channel for way in seen.contact_methods} == {Channel.SMS, Channel.VOICE, Channel.WHATSAPP}
    contacts = await home.database.read(accounts.list_contacts, (await alive(visitor)).account)
    mail = next(contact for contact in contacts if contact.id != phone)
    refused = await visitor.asks_another_way(ContactMethod(mail.id, Channel.EMAIL, ""))
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.CHANNEL_NOT_ALLOWED
    strange = await visitor.asks_another_way(ContactMethod("con_of_somebody_else", Channel.SMS, ""))
    assert isinstance(strange, Refused)
    assert isinstance(await visitor.types(await visitor.code(PHONE)), SignedIn)
    assert current_level(await alive(visitor), home.clock()) is Level.PHONE_CODE
    assert isinstance(await visitor.steps_up(ProofRequirement(Level.PASSKEY)), NoEligibleMethod)


async def test_an_account_that_is_gone_has_no_method(home: Place) -> None:
    visitor = await ada(home)
    session = msgspec.structs.replace(await alive(visitor), account="acc_of_nobody")
    requirement = ProofRequirement(Level.MAIL_CODE, 0)
    outcome = await step_up(home.accounts, visitor.browser, session, requirement, InterruptedRequest())
    assert isinstance(outcome, NoEligibleMethod)


async def test_a_step_up_remembers_its_session_its_requirement_and_the_interrupted_request(home: Place) -> None:
    """U1."""
    visitor = await ada(home)
    requirement = ProofRequirement(Level.MAIL_CODE, None, PAY)
    post = InterruptedRequest("POST", "/pay", (("amount", "148.00"),))
    await visitor.steps_up(requirement, post)
    stored = await find_flow(home.accounts, visitor.browser)
    assert stored is not None
    assert stored.flow.session == (await alive(visitor)).id
    assert (stored.flow.requirement, stored.flow.interrupted) == (requirement, post)
