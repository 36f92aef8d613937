"""Geolocation: finds the rough location of a network address in an MMDB file, and the operator's lists that contain it."""

from __future__ import annotations

import bisect
import ipaddress
from typing import TYPE_CHECKING, Any, Final

import maxminddb

from countersign.domain.accounts.risk import Location
from countersign.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LANGUAGE: Final = "en"
_IPV6: Final = 6
_MAPPED_PREFIX: Final = 96  # RFC 4291, 2.5.5.2


class GeoDatabase:
    """Looks up network addresses in files that are opened at the start. A newer file is read at the next start."""

    def __init__(self, places: Path | None = None, lists: Mapping[str, Path] | None = None) -> None:
        self._reader = None
        if places is not None:
            try:
                self._reader = maxminddb.open_database(str(places))
            except (OSError, maxminddb.InvalidDatabaseError, ValueError) as error:
                raise SettingsError(
                    f"risk.places_file: {places} is no MMDB file ({error}); expected one in the layout of GeoIP2 City or Country."
                ) from error
        self._lists = {name: _Ranges(name, path) for name, path in (lists or {}).items()}

    def close(self) -> None:
        """Close the files."""
        if self._reader is not None:
            self._reader.close()

    def find(self, ip: str) -> Location | None:
        """Return the location of an address. Returns None for a private, unknown or malformed address."""
        address = _address(ip)
        if self._reader is None or address is None or not address.is_global:
            return None
        if address.version == _IPV6 and self._reader.metadata().ip_version != _IPV6:
            return None  # a file of IPv4 alone raises an error for it
        found: Any = self._reader.get(address)
        if not isinstance(found, dict):
            return None
        country, city, location = (_part(found, name) for name in ("country", "city", "location"))
        latitude, longitude = location.get("latitude"), location.get("longitude")
        return Location(
            country=str(country.get("iso_code") or ""),
            city=str(_part(city, "names").get(_LANGUAGE) or ""),
            latitude=latitude if isinstance(latitude, float) else None,
            longitude=longitude if isinstance(longitude, float) else None,
        )

    def listed(self, ip: str) -> tuple[str, ...]:
        """Return the names of the operator's lists that contain an address."""
        address = _address(ip)
        return () if address is None else tuple(name for name, ranges in self._lists.items() if ranges.hold(address))


class _Ranges:
    """The addresses and networks of one file: one on each line, with remarks after `#`."""

    def __init__(self, name: str, path: Path) -> None:
        networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"risk.lists: the list {name} ({path}) cannot be read: {error}.") from error
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            try:
                networks.append(_network(text))
            except ValueError as error:
                raise SettingsError(
                    f"risk.lists: line {number} of the list {name} ({path}) is neither an address nor a network such as 192.0.2.0/24."
                ) from error
        self._ranges = {version: _merged([one for one in networks if one.version == version]) for version in (4, 6)}

    def hold(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Return True if an address lies in one of the ranges."""
        starts, ends = self._ranges[address.version]
        at = bisect.bisect_right(starts, int(address)) - 1
        return at >= 0 and int(address) <= ends[at]


def _merged(networks: list[Any]) -> tuple[list[int], list[int]]:
    """Return the bounds of the ranges in ascending order, with overlaps merged."""
    merged = list(ipaddress.collapse_addresses(networks))
    return [int(one.network_address) for one in merged], [int(one.broadcast_address) for one in merged]


def _part(record: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a nested part of a record, or an empty dict if the file has another layout."""
    part = record.get(name)
    return part if isinstance(part, dict) else {}


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return a network. An IPv4-mapped IPv6 network becomes IPv4, as addresses are looked up in that form."""
    network = ipaddress.ip_network(text, strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_PREFIX:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))


def _address(ip: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
