"""A number that its country renumbered stays one contact: also where an earlier release stored it under the former spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import Visitor, ada
from tests.flows.place import done

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.shared.contact import Channel, Contact, ContactKind, parse_contact
from countersign.domain.verifications.challenge import Refusal
from countersign.flows.accounts.context import CodeRequested, InvalidCredentials, SignedIn
from countersign.flows.accounts.request_code import channels_of
from countersign.flows.verifications.begin import BeginRequest, begin_challenge
from countersign.flows.verifications.resend import resend_code
from countersign.flows.verifications.results import Refused
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from tests.flows.place import Place

FORMER = "+551187654321"
NOW = "+5511987654321"


async def stored_by_an_earlier_release(home: Place) -> str:
    """Let the account's number be stored as it was written before; return the account."""
    context = home.accounts
    account = await home.database.read(accounts.find_id_by_identifier, context.blind_index(parse_contact(NOW)))
    (contact,) = await home.database.read(accounts.list_contacts, account)
    former = context.keyring.blind_index("contact", FORMER)
    await home.change(
        "UPDATE contacts SET blind = $1, address = $2 WHERE id = $3",
        former,
        context.keyring.seal(FORMER, contact.id),
        contact.id,
    )
    await home.change("UPDATE identifiers SET blind = $1 WHERE contact = $2", former, contact.id)
    return account


async def owner_of_a_former_number(home: Place) -> str:
    visitor = Visitor(home)
    assert isinstance(await visitor.signs_up(NOW), CodeRequested)
    assert isinstance(await visitor.types(await visitor.code(NOW)), SignedIn)
    return await stored_by_an_earlier_release(home)


@pytest.mark.parametrize("typed", [NOW, FORMER, "+55 (11) 8765-4321"])
async def test_the_owner_signs_in_and_the_code_goes_to_the_number_of_today(home: Place, typed: str) -> None:
    """A6, J3: however the number is written, and on the day of the upgrade."""
    account = await owner_of_a_former_number(home)
    visitor = Visitor(home)
    assert isinstance(await visitor.signs_in(typed), CodeRequested)
    signed_in = await visitor.types(await visitor.code(NOW))
    assert isinstance(signed_in, SignedIn)
    assert signed_in.account == account


@pytest.mark.parametrize("typed", [NOW, FORMER])
async def test_nobody_opens_a_second_account_for_it(home: Place, typed: str) -> None:
    """A6: its owner hears of it in place of a code."""
    await owner_of_a_former_number(home)
    stranger = Visitor(home)
    assert isinstance(await stranger.signs_up(typed), CodeRequested)
    seen = await stranger.sees()
    assert seen is not None
    assert seen.challenge is not None
    assert seen.challenge.terms.decoy_notice == NoticeKind.SIGN_UP_KNOWN.value


@pytest.mark.parametrize("typed", [NOW, FORMER])
async def test_the_owner_recovers_by_it(home: Place, typed: str) -> None:
    """A6: and it is the contact that was proved."""
    await owner_of_a_former_number(home)
    home.clock.forward(8 * 86_400_000)
    visitor = Visitor(home)
    assert isinstance(await visitor.recovers(typed), CodeRequested)
    seen = await visitor.sees()
    assert seen is not None
    assert seen.flow.account
    assert seen.flow.contact
    assert not seen.flow.decoy_notice


async def test_whoever_adds_the_number_of_today_does_not_take_the_account_of_the_former_one(home: Place) -> None:
    """A6: another account may have the number too, and the name goes on leading to the first."""
    account = await owner_of_a_former_number(home)
    eve = await ada(home)
    contact = parse_contact(NOW)
    await eve.changes(ChangeRequest(ChangeKind.CONTACT_ADDED, "", contact.masked, "Add it", contact))
    await eve.types(await eve.code(NOW))
    assert len((await eve.holdings()).contacts) == 2
    (found, _) = await home.database.read(
        accounts.find_with_contacts_by_identifier, *home.accounts.blind_indexes(contact)
    )
    assert found is not None
    assert found.id == account
    visitor = Visitor(home)
    assert isinstance(await visitor.signs_in(NOW), CodeRequested)


@pytest.mark.parametrize("typed", ["0171 2345678", "0049 171 2345678", "\u202a+49 171 2345678\u202c"])
async def test_a_browser_says_where_a_number_is_at_home(home: Place, typed: str) -> None:
    """J3: without a country, nothing is guessed."""
    german = Visitor(home)
    german.browser = type(german.browser)(ip="203.0.113.9", locale="de", regions=("DE",))
    assert isinstance(await german.signs_up("+491712345678"), CodeRequested)
    assert isinstance(await german.types(await german.code("+491712345678")), SignedIn)
    other = Visitor(home)
    other.browser = type(other.browser)(ip="203.0.113.9", locale="de", regions=("DE",))
    assert isinstance(await other.signs_in(typed), CodeRequested)
    nowhere = Visitor(home)
    answer = await nowhere.signs_in("0171 2345678")
    assert isinstance(answer, InvalidCredentials)


async def test_a_landline_gets_no_sms_and_says_so(home: Place) -> None:
    """J3, D7: by the channel that was asked for, by the policy's own choice, and by another message."""
    context = home.accounts
    landline = Contact(ContactKind.PHONE, "+498912345678")
    refused = await begin_challenge(context.core, context.own, BeginRequest(landline, Channel.SMS))
    assert isinstance(refused, Refused)
    assert (refused.refusal, refused.reason) == (Refusal.UNUSABLE_DESTINATION, "landline")
    called = done(await begin_challenge(context.core, context.own, BeginRequest(landline)))
    assert called.challenge.channel is Channel.VOICE
    home.clock.forward(60_000)
    again = await resend_code(context.core, context.own, called.challenge.id, Channel.SMS)
    assert isinstance(again, Refused)
    assert (again.refusal, again.reason) == (Refusal.UNUSABLE_DESTINATION, "landline")
    assert Channel.SMS not in channels_of(context, landline, "sign_in")
