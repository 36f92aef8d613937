"""Opens everything that settings name, before a process takes them: a reload that cannot work must change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.clock import system_clock
from countersign.errors import SettingsError
from countersign.geolocation import GeoDatabase
from countersign.keys import Keyring
from countersign.passwords import Passwords
from countersign.providers.registry import make_provider
from countersign.wiring import key_source_of, prepare, templates_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.config import Settings


async def check_before_start(settings: Settings) -> None:
    """Open what a process would open, the database included, and close it again.

    Raises SettingsError, one line for each fault, or UnavailableError if the database does not answer.
    """
    faults = await find_faults(settings)
    if faults:
        raise SettingsError("\n".join(faults))
    await prepare(settings)


async def find_faults(settings: Settings) -> list[str]:
    """Return what is wrong with the files that settings name: keys, templates, lists, certificates. The network is not used."""
    faults: list[str] = []
    keys_are_made = settings.development and not settings.secret_command and not settings.secret_file.exists()
    checks: list[Callable[[], object]] = [
        lambda: templates_of(settings),
        lambda: GeoDatabase(settings.risk.places_file, settings.risk.lists).close(),
        lambda: Passwords(1, settings.passwords.breached_file).close(),
    ]
    if not keys_are_made:
        checks.append(lambda: Keyring(key_source_of(settings), system_clock).primary)
    for check in checks:
        try:
            check()
        except SettingsError as error:
            faults += str(error).splitlines()
    for name, configured in settings.providers.items():
        try:
            await make_provider(configured, system_clock).close()
        except SettingsError as error:
            faults += [f"[providers.{name}] ({configured.kind}): {line}" for line in str(error).splitlines()]
    return faults
