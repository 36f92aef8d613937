"""The settings on which all programs of one database must agree, as digests: nodes with other limits or routes serve people at random."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from countersign.config.settings import Settings

_DIGITS: Final = 16
"""Hexadecimal digits that are kept of a digest. It protects nothing, and tells two states apart."""

_SECTIONS: Final[Mapping[str, Callable[[Settings], Any]]] = {
    "public_url": lambda settings: (settings.public_url, settings.site, settings.host),
    "retention_days": lambda settings: settings.retention_days,
    "events": lambda settings: settings.events,
    "purposes": lambda settings: settings.purposes,
    "limits": lambda settings: settings.limits,
    "routes": lambda settings: (settings.routes, settings.detours),
    "providers": lambda settings: sorted((name, each.kind) for name, each in settings.providers.items()),
    "fraud": lambda settings: settings.fraud,
    "sign_in": lambda settings: (settings.profile, settings.sign_in),
    "recovery": lambda settings: settings.recovery,
    "accounts": lambda settings: settings.accounts,
    "passwords": lambda settings: settings.passwords.least,
    "risk": lambda settings: settings.risk.policy,
    "integration_codes": lambda settings: settings.integration_codes,
}


class Agreement(msgspec.Struct, frozen=True):
    """A digest of each section of the settings, and the release that made them: another release may know more settings."""

    version: str
    sections: dict[str, str]


def agreement_of(settings: Settings) -> Agreement:
    """Return the digests of settings. They hold no secret and no place of a file."""
    return Agreement(__version__, {name: _digest(part(settings)) for name, part in _SECTIONS.items()})


def differing_sections(own: Agreement, stored: bytes | None) -> list[str]:
    """Return the sections in which the settings of another program differ; none if it is of another release, or says nothing."""
    try:
        other = msgspec.json.decode(stored or b"", type=Agreement)
    except msgspec.DecodeError:
        return []
    if other.version != own.version:
        return []
    return [name for name, digest in own.sections.items() if other.sections.get(name) != digest]


def _digest(part: object) -> str:
    encoded = msgspec.json.encode(part, enc_hook=_plain, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:_DIGITS]


def _plain(value: object) -> object:
    return "" if isinstance(value, Path) else str(value)
