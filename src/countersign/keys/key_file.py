"""The key file: JSON with the master secrets, and every change that is made to it.

It holds an `index` secret, on which the keyed hashes are founded, and one or more `keys`. A secret is 32 random bytes in base64. Every
change replaces the file as a whole.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from countersign.domain.oidc.authorization_request import ID_TOKEN_LIFETIME_SECONDS
from countersign.domain.verifications import proof
from countersign.domain.verifications.purpose import MAX_LIFETIME
from countersign.errors import SettingsError
from countersign.keys.derived_key import SECRET_BYTES
from countersign.keys.hash_keys import MAX_INDEX
from countersign.keys.key_source import KeyFile, KeySource

ACTIVATION_DELAY: Final = 60_000
"""Milliseconds between a rotation and the first use of the new key. By then every process has read the file again."""

LONGEST_TOKEN: Final = max(proof.LIFETIME, ID_TOKEN_LIFETIME_SECONDS) * 1_000
"""Milliseconds for which the longest token that a key signs is valid."""

LONGEST_CODE: Final = MAX_LIFETIME * 1_000
"""Milliseconds for which the longest code that a key derives is valid."""

LATE_READER: Final = 15_000
"""Milliseconds by which a process may learn later than others that a key is no longer the active one."""

_BY_RECORD: Final = 2


class StoredKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One master secret of the file; times are in ms.

    `seals` is 2 for a key that derives a key for each record, and 1 for one that an older release made. A key signs nothing from
    `retired_at` on. From `closed_at` on nothing that it made is accepted.
    """

    kid: str
    active_from: int
    secret: str
    seals: int = 1
    retired_at: int | None = None
    closed_at: int | None = None

    def __repr__(self) -> str:
        """Hide the secret."""
        return f"StoredKey({self.kid})"

    @property
    def by_record(self) -> bool:
        """Say whether this key derives a key for each record that it seals."""
        return self.seals == _BY_RECORD

    def signs_until(self, taken_over_at: int | None) -> int:
        """Return when the last token that this retired key signed has ended; `taken_over_at` is when the next key became active.

        Until it is retired, it may sign the proof of a challenge that began under it.
        """
        retired_at = self.retired_at or 0
        last_signed = retired_at if taken_over_at is None else min(retired_at, taken_over_at + LONGEST_CODE)
        return last_signed + LONGEST_TOKEN + LATE_READER


class StoredIndex(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A secret for keyed hashes that came after the `index` of the file; times are in ms.

    From `alone_from` on no hash of an earlier index is found.
    """

    number: int
    active_from: int
    secret: str
    alone_from: int | None = None

    def __repr__(self) -> str:
        """Hide the secret."""
        return f"StoredIndex({self.number})"


class StoredKeyring(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The key file as it is on disk."""

    index: str
    keys: tuple[StoredKey, ...]
    indexes: tuple[StoredIndex, ...] = ()

    def __repr__(self) -> str:
        """Hide the secrets."""
        return f"StoredKeyring({', '.join(key.kid for key in self.keys)})"

    def taken_over_at(self, key: StoredKey) -> int | None:
        """Return when another key became the active one instead of `key`, in ms; None if that is not planned."""
        return min((other.active_from for other in self.keys if other.active_from > key.active_from), default=None)

    def active_key(self, now: int) -> StoredKey:
        """Return the newest key that is active at `now` (ms) and not retired."""
        signing = [key for key in self.keys if key.retired_at is None or now < key.retired_at]
        active = [key for key in signing if key.active_from <= now]
        return max(active, key=lambda key: key.active_from) if active else signing[0]


def read_file(path: Path) -> StoredKeyring:
    """Return the contents of the key file. Raises SettingsError if it is missing, readable by others, or invalid."""
    return read_secrets(KeyFile(path))


def read_secrets(source: KeySource) -> StoredKeyring:
    """Return the secrets of a source. Raises SettingsError if they cannot be read, are open to others, or are invalid."""
    raw = source.read()
    try:
        stored = msgspec.json.decode(raw, type=StoredKeyring)
    except msgspec.DecodeError as error:
        raise SettingsError(f"{_named(source)} is not what `countersign keys new` writes: {_about(error)}.") from error
    if not stored.keys:
        raise SettingsError(
            f"{_named(source)} holds no key. Restore it from your backup; a new one would not open what is stored."
        )
    secret_bytes(stored.index, "index", source)
    for key in stored.keys:
        secret_bytes(key.secret, key.kid, source)
    for index in stored.indexes:
        secret_bytes(index.secret, f"index {index.number}", source)
    if len({key.kid for key in stored.keys}) != len(stored.keys):
        raise SettingsError(f"{_named(source)} names one key twice.")
    if all(key.retired_at is not None for key in stored.keys):
        raise SettingsError(f"{_named(source)} has retired every key. Restore it from your backup.")
    if [index.number for index in stored.indexes] != list(range(1, len(stored.indexes) + 1)):
        raise SettingsError(f"{_named(source)} does not number its indexes 1, 2, 3.")
    return stored


def new_file(path: Path, now: int) -> None:
    """Write a key file with new secrets and mode 0600. Raises SettingsError if the file exists."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    stored = StoredKeyring(index=_fresh(), keys=(_new_key(now),))
    # The link appears only when the file is complete: two programs that start together agree on one, and a crash leaves no partial file.
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write(draft, stored)
        os.link(draft, path)
    except FileExistsError as error:
        raise SettingsError(
            f"There is a key file at {path} already; it is never overwritten, since nothing stored could be read without it."
        ) from error
    except OSError as error:
        raise SettingsError(f"The key file {path} cannot be written: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)


def rotate_file(path: Path, now: int, delay: int = ACTIVATION_DELAY) -> tuple[str, int]:
    """Add a key that becomes active after `delay` ms. Returns its id and that time in ms. Older keys stay and still read."""
    added = _new_key(now + delay)
    _change(path, lambda stored: replace(stored, keys=(*stored.keys, added)))
    return added.kid, added.active_from


def rotate_index(path: Path, now: int, delay: int = ACTIVATION_DELAY) -> tuple[int, int]:
    """Add an index that becomes active after `delay` ms. Returns its number and that time in ms. Hashes of earlier ones are still found."""

    def rotated(stored: StoredKeyring) -> StoredKeyring:
        number = len(stored.indexes) + 1
        if number > MAX_INDEX:
            raise SettingsError(f"The key file {path} has {MAX_INDEX} indexes, and there can be no more.")
        return replace(stored, indexes=(*stored.indexes, StoredIndex(number, now + delay, _fresh())))

    index = _change(path, rotated).indexes[-1]
    return index.number, index.active_from


def retire_key(path: Path, kid: str, now: int) -> StoredKey:
    """Retire a key: it signs and seals nothing from `now` (ms) on. Returns it as it is now; one that was retired before is left as it is.

    Raises SettingsError if there is no such key, or if it is the active one.
    """

    def retired(stored: StoredKeyring) -> StoredKeyring:
        found = _find(stored, kid, path)
        if found.retired_at is not None:
            return stored
        if stored.active_key(now).kid == kid:
            raise SettingsError(
                f"{kid} is the active key: it signs and seals what is made now. Add another with `countersign keys rotate`, and retire {kid} once that one is active."
            )
        return replace(
            stored, keys=tuple(replace(key, retired_at=now) if key.kid == kid else key for key in stored.keys)
        )

    return _find(_change(path, retired), kid, path)


def close_keys(path: Path, kids: Callable[[StoredKeyring], list[str]], now: int) -> list[StoredKey]:
    """Accept nothing more that some retired keys made, once the longest code and the longest token of each have ended.

    `kids` chooses them from the file as it is now; call this only when nothing is sealed with them. Returns those that it closed.
    """
    closed: list[StoredKey] = []

    def changed(stored: StoredKeyring) -> StoredKeyring:
        chosen = set(kids(stored))
        keys = []
        for key in stored.keys:
            if key.kid in chosen and key.retired_at is not None and key.closed_at is None:
                over = stored.taken_over_at(key)
                codes_end = key.active_from if over is None else over + LONGEST_CODE + LATE_READER
                key = replace(key, closed_at=max(now, codes_end, key.signs_until(over)))  # noqa: PLW2901 - the key as it is stored now
                closed.append(key)
            keys.append(key)
        return replace(stored, keys=tuple(keys))

    _change(path, changed)
    return closed


def close_older_indexes(path: Path, number: int, now: int) -> None:
    """Find no hash of an index before `number` from `now` (ms) on; call this only when none is stored."""

    def changed(stored: StoredKeyring) -> StoredKeyring:
        return replace(
            stored,
            indexes=tuple(
                replace(index, alone_from=now) if index.number == number and index.alone_from is None else index
                for index in stored.indexes
            ),
        )

    _change(path, changed)


def secret_bytes(text: str, name: str, source: KeySource) -> bytes:
    """Return a secret of the file. Raises SettingsError if it is not base64 or too short; the error does not repeat it."""
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SettingsError(f"The secret {name} in {source} is not base64.") from error
    if len(secret) < SECRET_BYTES:
        raise SettingsError(f"The secret {name} in {source} has {len(secret)} bytes; expected {SECRET_BYTES} or more.")
    return secret


def _find(stored: StoredKeyring, kid: str, path: Path) -> StoredKey:
    found = next((key for key in stored.keys if key.kid == kid), None)
    if found is None:
        raise SettingsError(f"There is no key {kid} in {path}. `countersign keys list` shows those that there are.")
    return found


def _change(path: Path, changed: Callable[[StoredKeyring], StoredKeyring]) -> StoredKeyring:
    """Replace the file by what `changed` makes of it, one change at a time. Returns what the file holds now."""
    with _alone(path):
        before = read_file(path)
        after = changed(before)
        if after == before:
            return before
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            _write(draft, after)
            _belong_alike(path, draft)
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise SettingsError(
                f"The key file {path} cannot be written: {error.strerror}. Nothing was changed."
            ) from error
    return after


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one change run at a time. Each rewrites the file, so a second one at the same time would lose what the first one did."""
    try:
        descriptor = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise SettingsError(f"The folder of the key file {path} cannot be read: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, stored: StoredKeyring) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(stored), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _belong_alike(path: Path, draft: Path) -> None:
    """Give `draft` the owner and the mode of `path`, so that a change by root does not take the file from the user that serves."""
    there, made = path.stat(), draft.stat()
    if (there.st_uid, there.st_gid) != (made.st_uid, made.st_gid):
        os.chown(draft, there.st_uid, there.st_gid)
    if there.st_mode & 0o777 != made.st_mode & 0o777:
        draft.chmod(there.st_mode & 0o777)


def _named(source: KeySource) -> str:
    return f"The key file {source}" if isinstance(source, KeyFile) else f"What {source} writes"


def _about(error: msgspec.DecodeError) -> str:
    # msgspec names types and paths, never values. For malformed JSON it names the position.
    return str(error).rstrip(".")


def _new_key(active_from: int) -> StoredKey:
    return StoredKey("k" + secrets.token_hex(4), active_from, _fresh(), _BY_RECORD)


def _fresh() -> str:
    return base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
