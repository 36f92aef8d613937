"""A database belongs to an environment and to a key file: a process of development never opens one of production."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.errors import SettingsError, UnavailableError
from countersign.flows.maintenance.demo_key import DEMO
from countersign.store.engine.database import ConflictError
from countersign.store.tables import accounts, applications, metadata

if TYPE_CHECKING:
    from countersign.keys import Keyring
    from countersign.store.engine.database import Database

DEVELOPMENT: Final = b"development"
PRODUCTION: Final = b"production"

ADOPT: Final = "countersign migrate --adopt"
"""The command that makes a database of development one of production."""


async def claim_environment(database: Database, *, development: bool) -> None:
    """Write down which environment the database is of, or raise SettingsError if it is of another one.

    A database of an earlier release says nothing. In production it becomes one of production. In development it must look like one of
    development, or be empty.
    """
    wanted = DEVELOPMENT if development else PRODUCTION
    try:
        known: bytes | None = await database.run(_claim, wanted)
    except ConflictError:  # another process was faster
        known = await database.read(metadata.find, metadata.ENVIRONMENT)
    if known != wanted:
        raise SettingsError(_of_another(development=development))


async def check_environment(database: Database, *, development: bool) -> None:
    """Raise SettingsError as `claim_environment` does, before anything is written. A database without tables is nobody's yet."""
    if fault := await environment_fault(database, development=development):
        raise SettingsError(fault)


async def environment_fault(database: Database, *, development: bool) -> str:
    """Return why a process of this environment must not open the database, or an empty string."""
    wanted = DEVELOPMENT if development else PRODUCTION
    try:
        known = await database.read(metadata.find, metadata.ENVIRONMENT) or await database.read(_guess, wanted)
    except UnavailableError:
        return ""  # never migrated, or unreachable, which is told by whoever opens it
    return "" if known == wanted else _of_another(development=development)


async def adopt_database(database: Database) -> None:
    """Make a database of development one of production. Raises SettingsError if a test has moved its clock.

    There is no way back: the other way round, the demonstration's key and the inbox would open what belongs to customers.
    """
    if not await database.run(_adopt):
        raise SettingsError(
            "A test has moved the clock of this database ahead, so its rows bear times that have not come. Begin with an empty database."
        )


async def claim_keys(database: Database, keyring: Keyring) -> bool:
    """Write down which keys the database is made with; return False if it was made with others."""
    known = await database.read(metadata.find, metadata.KEYS)
    if known is None:
        try:
            await database.run(metadata.add, metadata.KEYS, keyring.fingerprint())
        except ConflictError:  # another process was faster
            known = await database.read(metadata.find, metadata.KEYS)
    return known is None or keyring.belongs_to(known)


async def _claim(wanted: bytes) -> bytes:
    known = await metadata.find(metadata.ENVIRONMENT)
    if known is not None:
        return known
    guessed = await _guess(wanted)
    if guessed == wanted:
        await metadata.add(metadata.ENVIRONMENT, wanted)
    return guessed


async def _guess(wanted: bytes) -> bytes:
    """Return the environment of a database that does not say: it is what is wanted, unless it was used without a demonstration."""
    if wanted == PRODUCTION:
        return PRODUCTION
    names = await applications.list_names()
    is_used = bool(names) or await accounts.has_any()
    return PRODUCTION if is_used and DEMO not in names else DEVELOPMENT


async def _adopt() -> bool:
    if await metadata.find(metadata.AHEAD) not in {None, b"0"}:
        return False
    await metadata.save(metadata.ENVIRONMENT, PRODUCTION)
    return True


def _of_another(*, development: bool) -> str:
    if development:
        return (
            "This database is one of production, and these settings say development, which would make a test key for it, show its messages"
            " and let a test move its clock. Set COUNTERSIGN_ENVIRONMENT=production, or name another database"
            " (COUNTERSIGN_DATABASE_URL)."
        )
    return (
        "This database is one of development, and these settings say production. Name another database (COUNTERSIGN_DATABASE_URL). If it"
        f" is meant to become that of production, with the test keys that are in it, run `{ADOPT}` once."
    )
