"""The policy of an installation: its purposes, rate limits and routes, as the flows receive them."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.delivery.route import PrefixRoute, WeightedProvider, find_prefix_route, order_providers
from countersign.domain.delivery.sms_pumping import PumpingPolicy
from countersign.domain.shared.contact import CHANNELS_OF, CODES_ONLY, Channel, ContactKind
from countersign.domain.verifications.purpose import DEFAULT_POLICIES, Policy
from countersign.domain.verifications.rate_limit import RateLimit

INBOX: Final = "inbox"
"""The provider of development and of test applications."""

MINUTE: Final = 60_000
DAY: Final = 86_400_000


class InstallationPolicy(msgspec.Struct, frozen=True):
    """The policies by purpose, the rate limits, and the ordered providers of each channel.

    `destination` limits count messages requested for one contact of one application. `requester` limits count messages requested by one
    network address, `application` limits all messages of one application, in each lane apart. An empty tuple means no limit.
    `prefix_routes` replace `routes` for destinations with certain prefixes.
    """

    policies: dict[str, Policy] = msgspec.field(default_factory=DEFAULT_POLICIES.copy)
    destination: tuple[RateLimit, ...] = (
        RateLimit("destination", 10, 10 * MINUTE),
        RateLimit("destination_day", 30, DAY),
    )
    requester: tuple[RateLimit, ...] = (RateLimit("requester", 60, 10 * MINUTE),)
    application: tuple[RateLimit, ...] = ()
    routes: dict[Channel, tuple[WeightedProvider, ...]] = msgspec.field(default_factory=dict)
    prefix_routes: dict[Channel, tuple[PrefixRoute, ...]] = msgspec.field(default_factory=dict)
    pumping: PumpingPolicy = PumpingPolicy()

    def route(self, channel: Channel, to: str, seed: str, *, live: bool) -> tuple[str, ...]:
        """Return the providers for `to` (canonical), in the order in which they are tried.

        Test applications (`live` False) only have the inbox. `seed` (a challenge or notice id) decides between weighted providers, so a
        resend takes the same order as the first message.
        """
        if not live:
            return (INBOX,)
        providers = find_prefix_route(self.prefix_routes.get(channel, ()), to)
        return order_providers(self.routes.get(channel, ()) if providers is None else providers, seed)

    def is_available(self, channel: Channel, *, live: bool) -> bool:
        """Return True if some provider sends by this channel, even if only to some destinations."""
        return not live or channel in self.routes or channel in self.prefix_routes

    def channels(
        self, kind: ContactKind, policy: Policy, *, live: bool, names_act: bool = False
    ) -> tuple[Channel, ...]:
        """Return the channels that can reach a destination of this kind, the preferred one first.

        `names_act` leaves out those whose message cannot name the act that its code approves (semantics P4).
        """
        return tuple(
            channel
            for channel in CHANNELS_OF[kind]
            if (not policy.channels or channel in policy.channels)
            and self.is_available(channel, live=live)
            and not (names_act and channel in CODES_ONLY)
        )
