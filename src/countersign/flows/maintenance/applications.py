"""Applications: add one, rotate its key, suspend or remove it, and authenticate a request by its key."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec

from countersign.client_keys import parse_jwks
from countersign.domain.shared import identifier
from countersign.domain.shared.application import (
    KEY_BYTES,
    KEY_PREFIXES,
    ROTATION_OVERLAP,
    Application,
    ApplicationDraft,
    ApplicationMode,
    is_app_hash,
)
from countersign.domain.shared.event import Event, EventKind
from countersign.errors import InputError, NotFoundError
from countersign.flows.context import OWN_ID
from countersign.keys import Keyring
from countersign.messages.custom.sanitize import is_host
from countersign.store.engine.database import ConflictError, Database
from countersign.store.ledger.event_log import Log
from countersign.store.tables import applications, queue

CACHE_SECONDS: Final = 1.0
"""Seconds for which a process trusts a key that it has read. A removed or suspended application stops working within this time."""

_MAX_CACHED: Final = 10_000
_MAX_KEY: Final = 100


async def add_application(
    database: Database,
    log: Log,
    keyring: Keyring,
    draft: ApplicationDraft,
    now: int,
    random_bytes: Callable[[int], bytes],
) -> tuple[Application, str]:
    """Add an application. Returns it with its key, which is never shown again.

    Raises InputError if a field is invalid or the name is taken.
    """
    name = draft.name
    if not name or len(name) > 100 or not name.isprintable():  # noqa: PLR2004
        raise InputError("name", "malformed", "An application's name is 1 to 100 printable characters.")
    if not draft.site.isprintable() or len(draft.site) > 100:  # noqa: PLR2004
        raise InputError("site", "malformed", "The site's name in messages is at most 100 printable characters.")
    if draft.host and not is_host(draft.host):
        raise InputError(
            "host",
            "malformed",
            "The host is the bare domain where codes are typed, such as shop.example: an SMS is bound to it.",
        )
    if draft.app_hash and not is_app_hash(draft.app_hash):
        raise InputError(
            "app_hash",
            "malformed",
            "An app's hash is the 11 characters (A to Z, a to z, 0 to 9, + and /) that Android's SMS Retriever knows it by.",
        )
    for field, addresses in (("redirect", draft.redirect_uris), ("sign_out", draft.post_logout_redirect_uris)):
        if any(not _is_redirect_uri(address) for address in addresses):
            raise InputError(
                field,
                "malformed",
                "Addresses that people are sent back to begin with https://, or on this machine with http://localhost, and have no #fragment.",
            )
    key = _new_key(draft.mode, random_bytes)
    added = Application(
        id=identifier.make("app", now, random_bytes(identifier.RANDOM_BYTES)),
        created_at=now,
        name=name,
        mode=draft.mode,
        site=draft.site or name,
        host=draft.host,
        purposes=draft.purposes,
        key_hash=keyring.hash_secret(key),
        redirect_uris=draft.redirect_uris,
        post_logout_redirect_uris=draft.post_logout_redirect_uris,
        app_hash=draft.app_hash,
        jwks=_registered_keys(draft.jwks),
        requires_pushed=draft.requires_pushed,
    )
    event = Event(now, EventKind.APPLICATION_ADDED, added.id, added.id, {"name": name, "mode": draft.mode.value})
    try:
        await log.run(database, applications.add, added, event)
    except ConflictError as error:
        raise InputError(
            "name", "taken", f"There is an application named {name!r} already; choose another name, or rotate its key."
        ) from error
    return added, key


def _is_redirect_uri(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        loopback = parts.scheme == "http" and host in {"localhost", "127.0.0.1", "::1"}
        sound = parts.username is None and parts.password is None and parts.port != 0
    except ValueError:
        return False
    plain = address.isascii() and address.isprintable() and " " not in address and "\\" not in address
    return plain and sound and bool(host) and "#" not in address and (parts.scheme == "https" or loopback)


async def rotate_application_key(
    database: Database, log: Log, keyring: Keyring, name: str, now: int, random_bytes: Callable[[int], bytes]
) -> tuple[Application, str]:
    """Give an application a new key, and return both. The previous key works for another day. Raises NotFoundError."""
    found = await _find(database, name)
    key = _new_key(found.mode, random_bytes)

    def rotated(before: Application) -> Application:
        return msgspec.structs.replace(
            before, key_hash=keyring.hash_secret(key), old_key_hash=before.key_hash, old_until=now + ROTATION_OVERLAP
        )

    event = Event(now, EventKind.APPLICATION_ROTATED, found.id, found.id, {"name": name})
    return await _change(database, log, found, rotated, event), key


async def set_application_keys(
    database: Database, log: Log, name: str, now: int, *, jwks: str | None = None, requires_pushed: bool | None = None
) -> Application:
    """Replace the public keys of an application, and whether it must push its requests. None leaves what there is.

    `jwks` is a JSON Web Key Set; empty text removes all keys. Raises NotFoundError, or InputError if `jwks` is not usable.
    """
    found = await _find(database, name)
    keys = None if jwks is None else _registered_keys(jwks)

    def set_(before: Application) -> Application:
        return msgspec.structs.replace(
            before,
            jwks=before.jwks if keys is None else keys,
            requires_pushed=before.requires_pushed if requires_pushed is None else requires_pushed,
        )

    event = Event(now, EventKind.APPLICATION_ROTATED, found.id, found.id, {"name": name, "part": "jwks"})
    return await _change(database, log, found, set_, event)


def _registered_keys(jwks: str) -> str:
    """Return a JWKS as it is stored. Raises InputError if it is not usable."""
    if not jwks:
        return ""
    try:
        return parse_jwks(jwks)
    except ValueError as error:
        raise InputError("jwks", "malformed", f"The JWKS {error}.") from error


async def remove_application(database: Database, log: Log, name: str, now: int, by: str = "") -> Application:
    """Remove an application. Its keys stop working, and nothing is sent for it. `by` is who removes it. Raises NotFoundError."""
    found = await _find(database, name)

    def removed(before: Application) -> Application:
        return msgspec.structs.replace(before, removed_at=now)

    event = Event(now, EventKind.APPLICATION_REMOVED, found.id, found.id, _facts(name, by))
    return await _change(database, log, found, removed, event)


async def suspend_application(database: Database, log: Log, name: str, now: int, by: str) -> Application:
    """Suspend an application: nothing is sent for it until it is resumed. `by` is who suspends it. Raises NotFoundError."""
    found = await _find(database, name)

    def suspended(before: Application) -> Application:
        return before if before.suspended_at is not None else msgspec.structs.replace(before, suspended_at=now)

    event = Event(now, EventKind.APPLICATION_SUSPENDED, found.id, found.id, _facts(name, by))
    return await _change(database, log, found, suspended, event)


async def resume_application(database: Database, log: Log, name: str, now: int, by: str) -> Application:
    """Resume an application that was suspended. `by` is who resumes it. Raises NotFoundError."""
    found = await _find(database, name)

    def resumed(before: Application) -> Application:
        return msgspec.structs.replace(before, suspended_at=None)

    event = Event(now, EventKind.APPLICATION_RESUMED, found.id, found.id, _facts(name, by))
    return await _change(database, log, found, resumed, event)


def _facts(name: str, by: str) -> dict[str, str | int]:
    return {"name": name, "by": by} if by else {"name": name}


class ApplicationDirectory:
    """Authenticates applications by their keys. It caches each for a second, so that a request need not read the database."""

    def __init__(self, database: Database, keyring: Keyring, clock: Callable[[], int]) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._cache: dict[bytes, tuple[float, Application]] = {}
        self._reads: dict[bytes, asyncio.Future[Application | None]] = {}

    async def authenticate(self, key: str) -> Application | None:
        """Return the application whose key this is, or None. Only text with the prefix of a key is looked up."""
        if len(key) > _MAX_KEY or not key.startswith(tuple(KEY_PREFIXES.values())):
            return None
        key_hash = self._keyring.hash_secret(key)
        cached = self._cache.get(key_hash)
        if cached is not None and time.monotonic() - cached[0] < CACHE_SECONDS:
            application = cached[1]
        else:
            found = await self._look_up(key_hash)
            if found is None:
                self._cache.pop(key_hash, None)
                return None
            application = found
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
            self._cache[key_hash] = (time.monotonic(), application)
        return application if application.accepts(key_hash, self._clock()) else None

    async def _look_up(self, key_hash: bytes) -> Application | None:
        """Read an application by its keyed hash, or None.

        Concurrent requests with the same key share one read. Otherwise a busy site would read for all of them whenever its cache entry
        expires.
        """
        read = self._reads.get(key_hash)
        if read is None:
            read = asyncio.ensure_future(self._database.read(applications.find_by_key, key_hash))
            self._reads[key_hash] = read
            read.add_done_callback(lambda _: self._reads.pop(key_hash, None))
        return await asyncio.shield(read)


async def application_id(database: Database, application: str) -> str:
    """Return the id of an application that is given by its name or its id, also after it was removed. Raises NotFoundError."""
    if application == OWN_ID or await database.read(applications.find, application) is not None:
        return application
    return (await _find(database, application)).id


async def _find(database: Database, name: str) -> Application:
    found = await database.read(applications.find_by_name, name)
    if found is None:
        raise _unknown(name)
    return found


async def _change(
    database: Database, log: Log, found: Application, changed: Callable[[Application], Application], event: Event
) -> Application:
    """Change an application as it is in the transaction. Otherwise a rotation could restore one that was removed meanwhile."""
    after = await log.run(database, applications.edit, found.id, changed, event)
    if after is None:
        raise _unknown(found.name)
    return after


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"There is no application named {name!r}. `countersign apps list` shows those there are.")


def _new_key(mode: ApplicationMode, random_bytes: Callable[[int], bytes]) -> str:
    return KEY_PREFIXES[mode.value] + base64.b32encode(random_bytes(KEY_BYTES)).decode().rstrip("=").lower()


async def find_due_by_application(own: Application, now: int) -> dict[str, tuple[int, int]]:
    """Return how many messages are due at `now` (ms) and for how long (ms) the oldest has been, by the name of their application.

    `own` is the application of our own pages, which bears the site's name.
    """
    found = await queue.count_due_by_application(now)
    known = await applications.find_by_ids([id_ for id_, _, _ in found])
    names = {id_: one.name for id_, one in known.items()} | {own.id: own.site}
    due: dict[str, tuple[int, int]] = {}
    for id_, count, oldest in found:
        name = names.get(id_, id_)
        before = due.get(name, (0, 0))
        due[name] = (before[0] + count, max(before[1], oldest))
    return due
