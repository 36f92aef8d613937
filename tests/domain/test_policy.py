"""The policy of an installation: which providers and channels a destination has."""

from __future__ import annotations

from countersign.domain.delivery.route import (
    PrefixRoute,
    unweighted,
)
from countersign.domain.policy import INBOX, InstallationPolicy
from countersign.domain.shared.contact import Channel, ContactKind
from countersign.domain.verifications.purpose import Policy


def test_test_keys_reach_the_inbox_and_nothing_else() -> None:
    rules = InstallationPolicy(routes={Channel.EMAIL: unweighted("smtp"), Channel.SMS: unweighted("webhook", "other")})
    assert rules.route(Channel.SMS, "+14155550123", "ver_1", live=False) == (INBOX,)
    assert rules.route(Channel.SMS, "+14155550123", "ver_1", live=True) == ("webhook", "other")
    assert rules.route(Channel.VOICE, "+14155550123", "ver_1", live=True) == ()
    assert rules.channels(ContactKind.PHONE, Policy(), live=True) == (Channel.SMS,)
    assert rules.channels(ContactKind.PHONE, Policy(channels=(Channel.VOICE,)), live=True) == ()
    assert rules.channels(ContactKind.PHONE, Policy(), live=False) == (Channel.SMS, Channel.VOICE, Channel.WHATSAPP)
    assert rules.channels(ContactKind.MAIL, Policy(channels=(Channel.SMS,)), live=False) == ()


def test_the_longest_prefix_wins_and_all_else_has_the_route() -> None:
    rules = InstallationPolicy(
        routes={Channel.SMS: unweighted("all")},
        prefix_routes={
            Channel.SMS: (
                PrefixRoute("+49", unweighted("german")),
                PrefixRoute("+4917", unweighted("mobile", "german")),
            )
        },
    )
    assert rules.route(Channel.SMS, "+14155550123", "v", live=True) == ("all",)
    assert rules.route(Channel.SMS, "+493012345678", "v", live=True) == ("german",)
    assert rules.route(Channel.SMS, "+491701234567", "v", live=True) == ("mobile", "german")
    assert rules.route(Channel.VOICE, "+491701234567", "v", live=True) == ()
    assert rules.route(Channel.SMS, "+491701234567", "v", live=False) == (INBOX,)


def test_a_channel_that_only_a_detour_carries_is_carried() -> None:
    rules = InstallationPolicy(prefix_routes={Channel.VOICE: (PrefixRoute("+49", unweighted("german")),)})
    assert rules.is_available(Channel.VOICE, live=True)
    assert not rules.is_available(Channel.SMS, live=True)
    assert rules.route(Channel.VOICE, "+14155550123", "v", live=True) == ()
