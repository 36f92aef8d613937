"""Secrets that stand in our documents: everybody knows them, so none of them protects anything."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countersign.config.sources import Sources, Table
    from countersign.setting import Setting

EXAMPLES: Final = frozenset({"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "inafile8"})
"""The secrets in `countersign.example.toml` and below docs/."""

_PLACEHOLDER: Final = "better in "
_SIGNING: Final = "whsec_"
_LEAST_DISTINCT: Final = 8
"""Different bytes that a random key of 24 has for certain, for all that matters."""


def is_example(secret: str) -> bool:
    """Return True for a secret that stands in our documents, in whatever spelling, or for a signing key that is no chance at all."""
    if secret in EXAMPLES or secret.startswith(_PLACEHOLDER):
        return True
    key = _key_of(secret)
    return key is not None and (key in {_key_of(one) for one in EXAMPLES} or len(set(key)) < _LEAST_DISTINCT)


def example_faults(
    sources: Sources, settings: dict[str, tuple[Setting, ...]], single: tuple[Setting, ...]
) -> Iterator[str]:
    """Yield a sentence for each secret that is an example.

    Args:
        sources: what was written.
        settings: the settings of each provider, by its name.
        single: the settings outside families.
    """
    yield from _faults_of(sources.single, single)
    for name, table in sources.families["providers"].items():
        yield from _faults_of(table, settings.get(name, ()))


def _faults_of(table: Table, settings: tuple[Setting, ...]) -> Iterator[str]:
    for setting in settings:
        written = table.get(setting.name)
        if setting.secret and written is not None and is_example(str(written.value)):
            yield (
                f"{setting.name} ({written.where}): this is an example of the documentation, which everybody can read; put a secret of"
                " your own in its place."
            )


def _key_of(secret: str) -> bytes | None:
    if not secret.startswith(_SIGNING):
        return None
    try:
        return base64.b64decode(secret.removeprefix(_SIGNING))
    except (binascii.Error, ValueError):
        return None
