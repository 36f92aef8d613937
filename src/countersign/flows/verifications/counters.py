"""The keys of counters: each belongs to a lane and a subject, and those of networks count in several sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.shared.network import networks_of
from countersign.domain.verifications.lanes import Lane, counter_parts
from countersign.domain.verifications.rate_limit import KeyedLimits, RateLimit, widen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.keys import Keyring


def counter_key(keyring: Keyring, name: str, lane: Lane, *subject: str) -> bytes:
    """Return the keyed hash under which a counter is stored.

    `name` and `lane` must stand in COUNTERS, or LookupError is raised; `subject` is what the counter belongs to.
    """
    return keyring.blind_index("counter", *counter_parts(name, lane), *subject)


def contact_lockout_key(keyring: Keyring, application: str, subject: str, address: str) -> bytes:
    """Return the key of the wrong codes for a contact of a subject. Its row has a count for each lane but the anonymous one."""
    return keyring.blind_index("standing", application, subject, address)


def network_limits(keyring: Keyring, limits: Sequence[RateLimit], lane: Lane, ip: str, *subject: str) -> KeyedLimits:
    """Return what one request from `ip` counts for: each limit for its network, and a wider one for the network around that.

    Raises InputError if `ip` is not an address.
    """
    return tuple(
        (widen(limit, network.width), counter_key(keyring, limit.name, lane, *subject, network.name))
        for network in networks_of(ip)
        for limit in limits
    )
