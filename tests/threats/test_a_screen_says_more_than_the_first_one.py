"""Threat: a thief presses what the screen of a recovery or a sign-up offers, or does not offer, to learn more or to get further."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import ADA, CARRIER, Visitor, ada

from countersign.domain.accounts.account import ContactMethod
from countersign.domain.shared.contact import Channel
from countersign.flows.accounts.context import CodeRequested
from countersign.flows.changes.apply import Applied
from countersign.flows.sign_in.complete import PasswordResetAllowed
from countersign.flows.verifications.results import Done, Refused

if TYPE_CHECKING:
    from tests.flows.place import Place

PHONE = "+14155550123"
BETTER = "a better battery staple"


async def test_a_contact_that_is_too_new_does_not_recover_by_another_way(home: Place) -> None:
    """A2, R1: whichever way is asked for, the message is the notice, and no code is right."""
    owner = await ada(home)
    await owner.adds(PHONE)
    thief = Visitor(home)
    assert isinstance(await thief.recovers(PHONE), CodeRequested)
    for contact in ("", (await owner.contact(PHONE)).id):
        for channel in (Channel.SMS, Channel.VOICE, Channel.WHATSAPP, Channel.EMAIL):
            home.clock.forward(31_000)
            await thief.asks_another_way(ContactMethod(contact, channel, ""))
            seen = await thief.sees()
            assert seen is not None
            assert seen.challenge is not None
            assert not isinstance(await thief.types(home.code(seen.challenge)), PasswordResetAllowed)
            assert not isinstance(await thief.chooses(BETTER), Applied)


async def test_a_contact_that_recovers_by_another_way_does_not_sign_in_alone(home: Place) -> None:
    """R2, U4: the phone that got the code by a call is still the contact that recovered the account."""
    owner = await ada(home)
    await owner.adds(PHONE)
    home.clock.forward(8 * 86_400_000)
    thief = Visitor(home)
    assert isinstance(await thief.recovers(PHONE), CodeRequested)
    home.clock.forward(31_000)
    assert isinstance(await thief.asks_another_way(ContactMethod("", Channel.VOICE, "")), Done)
    seen = await thief.sees()
    assert seen is not None
    assert seen.challenge is not None
    assert isinstance(await thief.types(home.code(seen.challenge)), PasswordResetAllowed)
    assert isinstance(await thief.chooses(BETTER), Applied)
    assert isinstance(await thief.signs_in(PHONE, BETTER), CodeRequested)
    seen = await thief.sees()
    assert seen is not None
    assert {method.masked for method in seen.contact_methods} == {"a***@example.org"}


@pytest.mark.parametrize("known", [True, False])
async def test_the_way_that_was_used_is_not_offered_again_and_a_resend_by_it_waits(home: Place, *, known: bool) -> None:
    """R1, C5: for a typed address the channel alone decides, whoever it belongs to."""
    await ada(home, ADA if known else "ben@example.com")
    stranger = Visitor(home)
    assert isinstance(await stranger.recovers(ADA), CodeRequested)
    refused = await stranger.asks_another_way(ContactMethod("", Channel.EMAIL, ""))
    assert isinstance(refused, Refused)
    assert refused.refusal.value == "too_soon"
    assert refused.retry_after == 30_000


@pytest.mark.parametrize("known", [True, False])
async def test_a_channel_that_carries_codes_alone_takes_every_message_of_a_recovery(
    home: Place, *, known: bool
) -> None:
    """R1: a notice in place of a code would fail at WhatsApp, and the progress of the message would tell of it."""
    await ada(home, PHONE if known else "ben@example.com")
    stranger = Visitor(home)
    assert isinstance(await stranger.recovers(PHONE), CodeRequested)
    home.clock.forward(31_000)
    assert isinstance(await stranger.asks_another_way(ContactMethod("", Channel.WHATSAPP, "")), Done)
    while await home.deliver():
        pass
    message = home.carriers[CARRIER].sent[-1]
    assert message.channel is Channel.WHATSAPP
    assert message.code
