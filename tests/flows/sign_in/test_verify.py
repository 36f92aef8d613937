"""The verification screen: a code works in its own browser, the way back after a crash, resends and other methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from tests.flows.people import ADA, CARRIER, Visitor, ada, alive
from tests.flows.place import place_at

from countersign.domain.accounts.account import ContactMethod, OwnedContact
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import (
    Level,
    ProofRequirement,
)
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.contact import Channel, Contact, parse_contact
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.domain.verifications.lanes import Lane
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.flows.accounts.context import (
    BrowserContext,
    FlowNotFound,
    SignedIn,
)
from countersign.flows.sign_in.passkeys import begin_passkey_sign_in
from countersign.flows.verifications.results import Done, Refused
from countersign.store.engine.database import Write
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.place import Place


SAFARI = BrowserContext(ip="198.51.100.7", user_agent="Safari", locale="en")
PHONE = "+14155550123"


async def test_a_code_works_in_the_browser_that_asked_and_in_no_other(home: Place) -> None:
    """C4: neither with a flow of its own for the same account nor with the cookie of the flow alone."""
    await ada(home)
    owner, thief = Visitor(home, SAFARI), Visitor(home, BrowserContext(ip="192.0.2.1"))
    await owner.signs_in()
    code = await owner.code()
    await thief.signs_in()
    outcome = await thief.types(code)
    assert isinstance(outcome, Refused)
    assert outcome.refusal.value == "wrong_code"
    stolen = Visitor(home, msgspec.structs.replace(thief.browser, flow=owner.browser.flow))
    assert isinstance(await stolen.types(code), FlowNotFound)
    assert isinstance(await owner.types(code), SignedIn)


async def test_after_a_crash_behind_the_right_code_the_same_browser_continues(home: Place) -> None:
    await ada(home)
    stranger = Visitor(home, SAFARI)
    await stranger.signs_in()
    seen, code = await stranger.sees(), await stranger.code()
    assert seen is not None
    assert seen.challenge is not None
    await home.answer(seen.challenge, code, home.accounts.own)  # durable, and then nothing more
    assert await stranger.session() is None
    other = Visitor(home, msgspec.structs.replace(stranger.browser, device=home.accounts.secret()))
    assert isinstance(await other.types(code), FlowNotFound)
    assert isinstance(await stranger.types(code), SignedIn)
    assert isinstance(await Visitor(home, stranger.browser).types(code), FlowNotFound)


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


async def test_another_method_gives_no_guess_back_and_ends_the_code_before(home: Place) -> None:
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


async def test_the_last_guess_is_the_last_by_every_method(home: Place) -> None:
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


async def test_a_flow_ends_after_half_an_hour(home: Place) -> None:
    await ada(home)
    stranger = Visitor(home)
    await stranger.signs_in(ADA)
    home.clock.forward(30 * 60_000)
    assert await stranger.sees() is None
    assert isinstance(await stranger.asks_again(), FlowNotFound)


async def test_reporting_a_code_ends_every_method_of_its_flow(home: Place) -> None:
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


async def test_a_method_that_is_rate_limited_leaves_the_others_open(sqlite_url: str, tmp_path: Path) -> None:
    """C5: the code before is worth nothing, and the guesses it spent stay spent."""
    rules = InstallationPolicy(destination=(RateLimit("destination", 2, 600_000),), requester=())
    async with place_at(sqlite_url, tmp_path, rules=rules, live=(CARRIER,)) as home:
        visitor = await ada(home)
        phone = await with_phone(visitor)
        account = (await visitor.holdings()).account.id
        for number in range(2):
            asked = await home.begin(
                PHONE,
                application=home.accounts.own,
                purpose="step_up",
                subject=account,
                action=Action(hash=str(number)),
                lane=Lane.SESSION,
            )
            assert isinstance(asked, Done)
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


async def test_a_browser_without_a_flow_sees_no_screen_and_gets_no_code(home: Place) -> None:
    nobody = Visitor(home)
    assert await nobody.sees() is None
    assert isinstance(await nobody.types("000000"), FlowNotFound)
    assert isinstance(await nobody.asks_again(), FlowNotFound)
    assert isinstance(await nobody.asks_another_way(ContactMethod("", Channel.EMAIL, "")), FlowNotFound)


async def test_an_enrolment_has_no_verification_screen(home: Place) -> None:
    visitor = await ada(home)
    begun = await begin_passkey_sign_in(home.accounts, visitor.browser, InterruptedRequest())
    assert not isinstance(begun, Refused)
    visitor._kept(begun[0])
    assert await visitor.sees() is None


async def test_a_sign_up_may_use_another_channel_of_its_contact_and_no_other_contact(home: Place) -> None:
    """U5."""
    visitor = Visitor(home)
    await visitor.signs_up(PHONE)
    seen = await visitor.sees()
    assert seen is not None
    assert {method.channel for method in seen.contact_methods} == {Channel.SMS, Channel.VOICE, Channel.WHATSAPP}
    refused = await visitor.asks_another_way(ContactMethod("con_of_somebody_else", Channel.SMS, ""))
    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.CHANNEL_NOT_ALLOWED
    home.clock.forward(31_000)
    assert isinstance(await visitor.asks_another_way(ContactMethod("", Channel.VOICE, "")), Done)
