"""A thief in a session chooses the channel, the language or the template in which an act does not appear to its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.people import ADA, Visitor, ada
from tests.flows.place import done, refused

from countersign.domain.accounts.account import ContactMethod
from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.session import Level, ProofRequirement
from countersign.domain.shared.contact import CODES_ONLY, Channel, parse_contact
from countersign.domain.verifications.challenge import Action, Refusal
from countersign.errors import DeliveryFailedError
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.changes.submit import submit_change
from countersign.flows.verifications.results import Refused
from countersign.providers import ProviderContext
from countersign.providers.whatsapp import WhatsappProvider, WhatsappSettings

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"
PAY = Action("Pay EUR 9,800", "h")
ACT = ProofRequirement(Level.PHONE_CODE, None, PAY, kind="payment")


async def with_phone(home: Place) -> Visitor:
    visitor = await ada(home)
    await visitor.adds(PHONE)
    home.clock.forward(61_000)
    return visitor


async def test_whatsapp_is_not_offered_for_an_act(home: Place) -> None:
    """P4: its template holds the code alone. Without an act it is offered."""
    visitor = await with_phone(home)
    assert isinstance(await visitor.steps_up(ACT), CodeRequested)
    view = await visitor.sees()
    assert view is not None
    assert {way.channel for way in view.contact_methods} == {Channel.SMS, Channel.VOICE}
    home.clock.forward(61_000)
    assert isinstance(await visitor.steps_up(ProofRequirement(Level.PHONE_CODE, 0)), CodeRequested)
    plain = await visitor.sees()
    assert plain is not None
    assert Channel.WHATSAPP in {way.channel for way in plain.contact_methods}


async def test_no_parameter_brings_an_act_to_a_channel_that_cannot_name_it(home: Place) -> None:
    """P4: neither the button's fields, nor a resend, nor a second way after the first has ended."""
    visitor = await with_phone(home)
    assert isinstance(await visitor.steps_up(ACT), CodeRequested)
    phone, mail = await visitor.contact(PHONE), await visitor.contact(ADA)
    home.clock.forward(61_000)
    for contact in (phone, mail):
        outcome = await visitor.asks_another_way(ContactMethod(contact.id, Channel.WHATSAPP, ""))
        assert isinstance(outcome, Refused)
        assert outcome.refusal is Refusal.CHANNEL_NOT_ALLOWED
    while await home.deliver():
        pass
    assert not any(
        message.channel is Channel.WHATSAPP for carrier in home.carriers.values() for message in carrier.sent
    )


@pytest.mark.parametrize("action", [PAY, Action("Pay EUR 9,800"), Action("", "h")])
async def test_a_verification_with_an_action_goes_by_no_such_channel(each_place: Place, action: Action) -> None:
    """P4: at the begin, at a begin that continues, and at a resend. Without an action it does."""
    place = each_place
    outcome = refused(await place.begin(PHONE, action=action, channel=Channel.WHATSAPP))
    assert outcome.refusal is Refusal.CHANNEL_NOT_ALLOWED
    begun = await place.begun(PHONE, action=action)
    assert begun.channel is Channel.SMS
    place.clock.forward(61_000)
    again = refused(await place.begin(PHONE, action=action, channel=Channel.WHATSAPP))
    assert again.refusal is Refusal.CHANNEL_NOT_ALLOWED
    assert refused(await place.resend(begun, Channel.WHATSAPP)).refusal is Refusal.CHANNEL_NOT_ALLOWED
    assert done(await place.resend(begun, Channel.VOICE)).challenge.channel is Channel.VOICE
    place.clock.forward(61_000)
    plain = await place.begun(PHONE, channel=Channel.WHATSAPP)
    assert plain.channel is Channel.WHATSAPP


async def test_where_nothing_else_is_routed_an_act_has_no_way(each_place: Place) -> None:
    """P4: it is refused, and not sent without its name."""
    policies = each_place.core.policy.policies
    only = {**policies, "sign_in": msgspec.structs.replace(policies["sign_in"], channels=(Channel.WHATSAPP,))}
    each_place.core = msgspec.structs.replace(
        each_place.core, policy=msgspec.structs.replace(each_place.core.policy, policies=only)
    )
    assert refused(await each_place.begin(PHONE, action=PAY)).refusal is Refusal.CHANNEL_NOT_ALLOWED
    assert (await each_place.begun(PHONE)).channel is Channel.WHATSAPP


async def test_an_act_that_an_older_release_owed_to_whatsapp_is_not_sent_without_its_name(each_place: Place) -> None:
    """P4: the provider refuses what it would not show."""
    begun = await each_place.begun(PHONE, action=PAY)
    while await each_place.deliver():
        pass
    message = each_place.inbox.sent[-1]
    assert message.has_act
    assert begun.terms.action.summary in message.text
    settings = WhatsappSettings(phone_number_id="1", access_token="x", template="code")
    provider = WhatsappProvider(settings, ProviderContext("whatsapp", each_place.clock))
    with pytest.raises(DeliveryFailedError) as failed:
        await provider.send(msgspec.structs.replace(message, channel=Channel.WHATSAPP))
    await provider.close()
    assert failed.value.permanent
    assert set(CODES_ONLY) == {Channel.WHATSAPP}


async def test_the_thief_does_not_choose_the_language_of_the_warning(home: Place) -> None:
    """P4: the account's language decides where there is an account, at every message that it gets."""
    visitor = await with_phone(home)
    visitor.browser = msgspec.structs.replace(visitor.browser, locale="ja")
    assert isinstance(await visitor.steps_up(ProofRequirement(Level.MAIL_CODE, 0)), CodeRequested)
    assert (await visitor.reads()).locale == "en"
    home.clock.forward(61_000)
    phone = await visitor.contact(PHONE)
    await visitor.asks_another_way(ContactMethod(phone.id, Channel.SMS, phone.masked))
    assert (await visitor.reads(PHONE)).locale == "en"
    stranger = Visitor(home, msgspec.structs.replace(Visitor(home).browser, locale="ja"))
    home.clock.forward(61_000)
    assert isinstance(await stranger.signs_in(), CodeRequested)
    assert (await stranger.reads()).locale == "en"
    home.clock.forward(61_000)
    assert isinstance(await stranger.recovers(), CodeRequested)
    assert (await stranger.reads()).locale == "en"
    home.clock.forward(61_000)
    assert isinstance(await stranger.signs_up(), CodeRequested)
    assert (await stranger.reads()).locale == "en"
    assert isinstance(await stranger.signs_up("unknown@example.org"), CodeRequested)
    assert (await stranger.reads("unknown@example.org")).locale == "ja"


async def test_a_new_contact_is_asked_in_the_language_of_the_account(home: Place) -> None:
    """P4."""
    visitor = await ada(home)
    visitor.browser = msgspec.structs.replace(visitor.browser, locale="ja")
    wanted = ChangeRequest(ChangeKind.CONTACT_ADDED, about="x", summary="Add it", contact=parse_contact(PHONE))
    assert isinstance(await visitor.changes(wanted), CodeRequested)
    assert (await visitor.reads(PHONE)).locale == "en"
    session = await visitor.session()
    assert session is not None
    assert isinstance(await submit_change(home.accounts, visitor.browser, session, wanted), ProofRequirement)


async def test_a_long_act_is_named_to_its_end(each_place: Place) -> None:
    """P4: what an application may write is not cut."""
    summary = "Pay EUR 1.00 " + "x" * 170 + " and EUR 9,800"
    assert len(summary) <= 200
    await each_place.begun(PHONE, action=Action(summary, "h"))
    await each_place.begun(ADA, action=Action(summary, "h"))
    while await each_place.deliver():
        pass
    assert all("and EUR 9,800" in message.text for message in each_place.inbox.sent)
