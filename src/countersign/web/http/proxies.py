"""Trusted proxies: the client's address and scheme from forwarded headers, if a trusted proxy sent them (semantics H6)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

from countersign.web.http.request import Scope

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

_FORWARDING: Final = (b"x-forwarded-for", b"forwarded", b"x-forwarded-host", b"x-forwarded-proto", b"via", b"x-real-ip")

MAX_HOPS: Final = 32
"""Addresses of X-Forwarded-For that are looked at, from the right."""


class Proxies:
    """The networks whose forwarded headers count. None are trusted unless configured."""

    def __init__(self, trusted: tuple[Network, ...]) -> None:
        self._trusted = trusted

    def client(self, scope: Scope) -> str:
        """Return the client's address: the right-most one that is no trusted proxy, or "" if it is unknown.

        What stands further left was written by whoever is at that address, and proves nothing.
        """
        peer = _address(scope["client"][0]) if scope.get("client") else None
        if peer is None:
            return ""
        if self._trusted and self._trusts(peer):
            for part in reversed(_values(scope, b"x-forwarded-for")[-MAX_HOPS:]):
                address = _address(part)
                if address is None:
                    break  # a trusted proxy sent an invalid address: the last valid one counts
                peer = address
                if not self._trusts(address):
                    break
        return str(peer)

    def is_tls(self, scope: Scope) -> bool:
        """Return True if the client used TLS, to us or to the trusted proxy in front."""
        if scope.get("scheme") == "https":
            return True
        if not self._trusted or not scope.get("client"):
            return False
        peer = _address(scope["client"][0])
        if peer is None or not self._trusts(peer):
            return False
        said = _values(scope, b"x-forwarded-proto")
        return bool(said) and said[-1].lower() == "https"

    def unnamed_proxy(self, scope: Scope) -> str:
        """Return the peer of a request that it forwards for somebody else, without being trusted; empty if there is none.

        Only a peer on this machine or on a private network can be a proxy of ours. From the internet anybody can write such a header.
        """
        peer = _address(scope["client"][0]) if scope.get("client") else None
        if peer is None or peer.is_global or self._trusts(peer):
            return ""
        return str(peer) if any(name in _FORWARDING for name, _ in scope["headers"]) else ""

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def is_this_machine(scope: Scope) -> bool:
    """Return True if a request came from this machine and was not forwarded: a proxy beside us forwards for anybody."""
    peer = _address(scope["client"][0]) if scope.get("client") else None
    return peer is not None and peer.is_loopback and not any(name in _FORWARDING for name, _ in scope["headers"])


def _values(scope: Scope, name: bytes) -> list[str]:
    """Return the items of a list header in order, from all its lines."""
    joined = b",".join(value for key, value in scope["headers"] if key == name)
    return [part.strip() for part in joined.decode("latin-1").split(",") if part.strip()]


def _address(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]  # IPv4 with a port
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
