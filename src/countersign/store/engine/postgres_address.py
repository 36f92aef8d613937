"""Reads the address of a PostgreSQL database, which may name several hosts, and gives each host an address of its own."""

from __future__ import annotations

from itertools import zip_longest
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode

import msgspec

PORT: Final = "5432"
WRITABLE: Final = "read-write"
"""What a host must be for us where an address names several: the one that takes writes."""

_ATTRIBUTE: Final = "target_session_attrs"


class PostgresAddress(msgspec.Struct, frozen=True):
    """Where a database is: `where` for people, without user and password, and `urls`, one for each host, in the order of the address."""

    where: str
    urls: tuple[str, ...]

    def __repr__(self) -> str:
        """Hide the password."""
        return f"PostgresAddress({self.where})"


def parse_address(url: str) -> PostgresAddress:
    """Return where a database is, from `postgresql://user@h1:5432,h2:5433/name` or `...?host=h1,h2&port=5432,5433`.

    One port stands for all hosts that name none. Raises ValueError for hosts and ports that do not fit each other.
    Source: PostgreSQL's manual, 34.1.1 (connection URIs, several hosts).
    """
    scheme, _, rest = url.partition("://")
    rest, _, query = rest.partition("?")
    authority, slash, database = rest.partition("/")
    user, at, listed = authority.rpartition("@")
    options = parse_qsl(query, keep_blank_values=True)
    hosts = _read_hosts(listed, dict(options))
    where = f"{','.join(map(_shown, hosts)) or 'its socket'}{slash}{database}"
    if len(hosts) < 2 or any(host.startswith("/") for host in hosts):  # noqa: PLR2004 - the driver reads these as they are
        return PostgresAddress(where, (url,))
    kept = [(name, value) for name, value in options if name not in {"host", "port", _ATTRIBUTE}]
    # A standby would answer every write with an error, so it must not be chosen, whatever the address says.
    found = urlencode([*kept, (_ATTRIBUTE, WRITABLE)])
    return PostgresAddress(where, tuple(f"{scheme}://{user}{at}{host}{slash}{database}?{found}" for host in hosts))


def _read_hosts(listed: str, options: dict[str, str]) -> list[str]:
    named = [each for each in listed.split(",") if each]
    if not named:
        named = [each for each in options.get("host", "").split(",") if each]
        named = [f"[{each}]" if each.count(":") > 1 and not each.startswith("[") else each for each in named]
    ports = [each for each in options.get("port", "").split(",") if each]
    if len(ports) > 1 and len(ports) != len(named):
        raise ValueError("The address of the database names another number of ports than of hosts.")
    filled = zip_longest(named, ports, fillvalue=ports[0]) if len(ports) == 1 else zip_longest(named, ports)
    hosts = [_with_port(host or "", port) for host, port in filled]
    for host in hosts:
        port = host.rpartition("]")[2].rpartition(":")[2]
        if ":" in host.rpartition("]")[2] and not port.isdigit():
            raise ValueError("A port in the address of the database is not a number.")
    return hosts


def _with_port(host: str, port: str | None) -> str:
    return host if port is None or ":" in host.rpartition("]")[2] else f"{host}:{port}"


def _shown(host: str) -> str:
    return unquote(host)
