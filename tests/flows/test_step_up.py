"""Step-up and the verification screen: a further proof, by a way that is strong enough, for the act that was interrupted, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.flows.people import ADA, CARRIER, Visitor, ada
from tests.flows.place import place_at

from countersign.domain.accounts.account import ContactMethod, OwnedContact
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import Level, ProofRequirement, auth_time, current_level, satisfies
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.contact import Channel, Contact, parse
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, NoEligibleMethod, SignedIn
from countersign.flows.accounts.sessions import use_approval
from countersign.flows.verifications.results import Done, Refused
from countersign.store.engine.database import Write
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.place import Place

    from countersign.domain.accounts.session import Session

PHONE = "+14155550123"
PAY = Action("Pay €148.00", "h1")


async def alive(visitor: Visitor) -> Session:
    session = await visitor.session()
    assert session is not None
    return session


async def with_phone(visitor: Visitor) -> str:
    """Give the account a proved phone; return the contact's id."""
    context, session = visitor.place.accounts, await alive(visitor)
    contact: Contact = parse(PHONE)
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


async def test_a_weaker_way_cannot_be_chosen_by_any_parameter(home: Place) -> None:
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


async def test_another_way_gives_no_guess_back_and_ends_the_code_before(home: Place) -> None:
    """C5."""
    visitor = await ada(home)
    phone = await with_phone(visitor)
    home.clock.forward(901_000)
    await visitor.steps_up(ProofRequirement(Level.MAIL_CODE, 900))
    first = await visitor.code()
    seen = await visitor.sees()
    assert seen is not None
    assert seen.challenge is not None
    for _ in range(3):
        assert isinstance(await visitor.types(home.wrong(seen.challenge)), Refused)
    assert isinstance(await visitor.asks_another_way(ContactMethod(phone, Channel.SMS, "")), Done)
    seen = await visitor.sees()
    assert seen is not None
    assert seen.challenge is not None
    assert seen.challenge.guesses_left == 2
    second = await visitor.code(PHONE)
    if first != second:
        assert isinstance(await visitor.types(first), Refused)
    assert isinstance(await visitor.types(second), SignedIn)


async def test_the_last_guess_is_the_last_in_every_way(home: Place) -> None:
    """C5."""
    visitor = await ada(home)
    phone = await with_phone(visitor)
    await visitor.steps_up(ProofRequirement(Level.MAIL_CODE, 0))
    seen = await visitor.sees()
    assert seen is not None
    assert seen.challenge is not None
    for _ in range(5):
        await visitor.types(home.wrong(seen.challenge))
    refused = await visitor.asks_another_way(ContactMethod(phone, Channel.SMS, ""))
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.EXHAUSTED
    assert isinstance(await visitor.types(home.code(seen.challenge)), Refused)


async def test_a_resend_waits_its_time_and_sends_the_same_code(home: Place) -> None:
    """C7."""
    await ada(home)
    stranger = Visitor(home)
    await stranger.signs_in()
    code = await stranger.code()
    too_soon = await stranger.asks_again()
    assert isinstance(too_soon, Refused)
    assert too_soon.refusal is Refusal.TOO_SOON
    home.clock.forward(30_000)
    assert isinstance(await stranger.asks_again(), Done)
    assert await stranger.code() == code


async def test_a_step_up_raises_the_session_that_asked_and_no_other(home: Place) -> None:
    """S8, U2."""
    visitor = await ada(home)
    await visitor.steps_up(ProofRequirement(Level.MAIL_CODE, 0))
    code, flow = await visitor.code(), visitor.browser.flow
    home.clock.forward(1_000)
    await visitor.is_let_in()
    moved = Visitor(home, msgspec.structs.replace(visitor.browser, flow=flow))
    before = await alive(visitor)
    assert isinstance(await moved.types(code), FlowNotFound)
    assert (await alive(visitor)).proofs == before.proofs


async def test_a_visit_ends_after_half_an_hour(home: Place) -> None:
    await ada(home)
    stranger = Visitor(home)
    await stranger.signs_in(ADA)
    home.clock.forward(30 * 60_000)
    assert await stranger.sees() is None
    assert isinstance(await stranger.asks_again(), FlowNotFound)


async def test_who_disowned_a_code_has_ended_every_way_of_that_flow(home: Place) -> None:
    """S6, C5."""
    visitor = await ada(home)
    phone = await with_phone(visitor)
    await visitor.steps_up(ProofRequirement(Level.MAIL_CODE, 0))
    seen = await visitor.sees()
    assert seen is not None
    assert seen.challenge is not None
    await home.cancel(seen.challenge, home.accounts.own)
    refused = await visitor.asks_another_way(ContactMethod(phone, Channel.SMS, ""))
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.CANCELED
    again = Visitor(home)
    await again.signs_up("grace@example.org")
    begun = await again.sees()
    assert begun is not None
    assert begun.challenge is not None
    await home.cancel(begun.challenge, home.accounts.own)
    refused = await again.asks_another_way(ContactMethod("", Channel.EMAIL, ""))
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.CANCELED


async def test_a_way_that_cannot_be_asked_yet_leaves_the_others_open(sqlite_url: str, tmp_path: Path) -> None:
    """C5: the code before is worth nothing, and the guesses it spent stay spent."""
    rules = InstallationPolicy(destination=(RateLimit("destination", 2, 600_000),), requester=())
    async with place_at(sqlite_url, tmp_path, rules=rules, live=(CARRIER,)) as home:
        visitor = await ada(home)
        phone = await with_phone(visitor)
        for _ in range(2):
            assert isinstance(
                await home.begin(PHONE, application=home.accounts.own, subject=home.accounts.id("x")), Done
            )
        await visitor.steps_up(ProofRequirement(Level.MAIL_CODE, 0))
        first = await visitor.code()
        seen = await visitor.sees()
        assert seen is not None
        assert seen.challenge is not None
        await visitor.types(home.wrong(seen.challenge))
        refused = await visitor.asks_another_way(ContactMethod(phone, Channel.SMS, ""))
        assert isinstance(refused, Refused)
        assert refused.refusal is Refusal.LIMITED
        assert isinstance(await visitor.types(first), Refused)
        home.clock.forward(300_000)
        assert isinstance(await visitor.asks_another_way(ContactMethod(phone, Channel.SMS, "")), Done)
        seen = await visitor.sees()
        assert seen is not None
        assert seen.challenge is not None
        assert seen.challenge.guesses_left == 4
        assert isinstance(await visitor.types(await visitor.code(PHONE)), SignedIn)
