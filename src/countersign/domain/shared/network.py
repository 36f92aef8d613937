"""The networks of an address, by which requests are limited: a subscriber's own, and the wider one around it."""

from __future__ import annotations

import ipaddress
from typing import Final

import msgspec

from countersign.errors import InputError

WIDE_NETWORK: Final = 16
"""How many times the limit of one subscriber the network around it has."""


class LimitedNetwork(msgspec.Struct, frozen=True):
    """A network in rate limits: its name, and how many times the limit of one subscriber it has."""

    name: str
    width: int


def networks_of(ip: str) -> tuple[LimitedNetwork, ...]:
    """Return the networks that a request from an address counts for, the smallest first (semantics L5).

    For IPv4 these are the address itself and its /24, for IPv6 its /64 and its /48. One subscriber has a /64, and often a whole /48, which
    has 65,536 of them. An IPv4-mapped IPv6 address counts as IPv4. Raises InputError if `ip` is not an address.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError as error:
        raise InputError("requester.ip", "malformed", "requester.ip is not an IPv4 or IPv6 address.") from error
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    narrow, wide = (32, 24) if isinstance(address, ipaddress.IPv4Address) else (64, 48)
    return (
        LimitedNetwork(_network_name(address, narrow), 1),
        LimitedNetwork(_network_name(address, wide), WIDE_NETWORK),
    )


def _network_name(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> str:
    if length == address.max_prefixlen:
        return str(address)
    first = int(address) >> address.max_prefixlen - length << address.max_prefixlen - length
    if isinstance(address, ipaddress.IPv4Address):
        return str(ipaddress.IPv4Network((first, length)))
    return str(ipaddress.IPv6Network((first, length)))


def network_of(ip: str) -> str:
    """Return the name of the smallest network of an address: itself for IPv4, its /64 for IPv6. See `networks_of`."""
    return networks_of(ip)[0].name
