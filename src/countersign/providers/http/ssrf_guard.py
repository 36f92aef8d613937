"""Guard against server-side request forgery: a host is resolved once, every address is checked, and only those are connected to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError
from countersign.providers.http.name_lookup import find_addresses

# The registries of special-purpose addresses (RFC 6890) are written out: the standard library's `is_global` changed its mind
# between patch releases of Python 3.11 (CVE-2024-4032).
_PRIVATE: Final = tuple(
    ip_network(block)
    for block in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
"""An operator's own networks: refused unless the settings allow them."""
_NEVER: Final = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",
        "100.100.100.200/32",  # metadata of Alibaba Cloud
        "168.63.129.16/32",  # the platform's own address at Azure
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",  # Teredo and other protocols
        "2001:db8::/32",
        "3fff::/20",
        "fd00:ec2::/32",  # metadata of Amazon EC2
    )
)
"""Nobody's server: link-local, multicast, metadata, documentation, reserved. No setting allows them."""
_GLOBAL_IPV6: Final = ip_network("2000::/3")
_MAPPED: Final = ip_network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2
_NAT64: Final = ip_network("64:ff9b::/96")  # RFC 6052, 2.1
_6TO4: Final = ip_network("2002::/16")  # RFC 3056, 2


def is_allowed(address: IPv4Address | IPv6Address, *, allow_private: bool) -> bool:
    """Return True if requests may go to `address`. An IPv6 address that embeds an IPv4 address is judged by the latter."""
    if isinstance(address, IPv6Address):
        embedded = _embedded_ipv4(address)
        if embedded is not None:
            return is_allowed(embedded, allow_private=allow_private)
    if any(address in block for block in _NEVER):
        return False
    if any(address in block for block in _PRIVATE):
        return allow_private
    return isinstance(address, IPv4Address) or address in _GLOBAL_IPV6


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _6TO4:
        return IPv4Address(int(address) >> 80 & 0xFFFF_FFFF)
    return None


async def resolve_allowed(host: str, port: int, *, allow_private: bool, label: str) -> list[str]:
    """Return the addresses of `host`, all of which requests may go to.

    Arguments:
        host: a name or an address, in any spelling that the system understands.
        port: the port to connect to.
        allow_private: whether private networks are allowed.
        label: the provider's name as it begins sentences.

    Raises DeliveryFailedError: UNREACHABLE if there is no address; MISCONFIGURED and permanent if one of them is not allowed, since a
    name that mixes public and private addresses is an attack.

    """
    try:
        literals = await find_addresses(host, port)
    except (OSError, UnicodeError):
        literals = []
    if not literals:
        raise DeliveryFailedError(Reason.UNREACHABLE, f"{label}: its host has no address (DNS).", permanent=False)
    if not all(is_allowed(ip_address(literal), allow_private=allow_private) for literal in literals):
        raise DeliveryFailedError(
            Reason.MISCONFIGURED,
            f"{label}: its host is in a private or reserved network; if it is your own, set allow_private.",
            permanent=True,
        )
    return literals
