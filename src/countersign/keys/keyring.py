"""The keyring: every key of an installation, read again when its file changes.

The newest active key derives new codes, seals and signs. The others still read what they made. A retired key signs nothing; once it is
closed, nothing that it made is accepted.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from joserfc import jwk, jws
from joserfc.errors import JoseError

from countersign.errors import SettingsError, UnavailableError
from countersign.keys.derived_key import PROOF_ALGORITHM, DerivedKey, base64url
from countersign.keys.hash_keys import HashKeys, LaterIndex
from countersign.keys.key_file import StoredIndex, StoredKey, StoredKeyring, read_secrets, secret_bytes
from countersign.keys.key_source import COMMAND_REREAD_AFTER, KeyFile, KeySource, Stamp

REREAD_AFTER: Final = 5.0
"""Seconds between two looks at whether the file has changed."""

_NEVER: Final = 1 << 62
_log = structlog.get_logger("countersign.keys")


class KeyState(msgspec.Struct, frozen=True):
    """What a key is for at a moment: `state` is in_use, to_come, reads, retired or closed; times are in ms."""

    kid: str
    active_from: int
    state: str
    published: bool
    retired_at: int | None
    closed_at: int | None


class _Secrets(msgspec.Struct, frozen=True):
    """One state of the key file, and what is derived from it. It is replaced as a whole."""

    stored: StoredKeyring
    keys: dict[str, DerivedKey]
    hashes: HashKeys
    first_index: bytes
    hashes_until: int

    def __repr__(self) -> str:
        """Hide the keys."""
        return f"_Secrets({self.stored!r})"


class Keyring:
    """All keys of an installation. A rotation needs no restart."""

    def __init__(self, source: Path | KeySource, clock: Callable[[], int]) -> None:
        self._source: KeySource = KeyFile(source) if isinstance(source, Path) else source
        self._clock = clock
        self._stamp: Stamp | None = None
        self._complained_of: Stamp | str | None = None
        self._looked_at = 0.0
        self._reading = threading.Lock()
        self._primary: tuple[DerivedKey, int] | None = None
        self._secrets = self._read(None)

    def __repr__(self) -> str:
        """Hide the keys."""
        return f"Keyring({', '.join(self._secrets.keys)})"

    @property
    def primary(self) -> DerivedKey:
        """Return the key for new codes, seals and signatures: the newest active one that is not retired."""
        self._look()
        now = self._clock()
        if self._primary is None or now >= self._primary[1]:
            found = self._secrets
            times = [key.active_from for key in found.stored.keys]
            times += [key.retired_at for key in found.stored.keys if key.retired_at is not None]
            later = min((at for at in times if at > now), default=_NEVER)
            self._primary = (found.keys[found.stored.active_key(now).kid], later)
        return self._primary[0]

    @property
    def hashes(self) -> HashKeys:
        """Return the keys of keyed hashes as they are now."""
        self._look()
        if self._clock() >= self._secrets.hashes_until:
            self._secrets = self._with_hashes(self._secrets)
        return self._secrets.hashes

    @property
    def replacing_index(self) -> bool:
        """Say whether stored hashes may be those of an earlier index."""
        return self.hashes.replacing

    def named(self, kid: str) -> DerivedKey:
        """Return the key with the id `kid`, which made something earlier.

        Raises UnavailableError if this process has not read it yet, and SettingsError if it is closed.
        """
        self._look()
        found = self._secrets.keys.get(kid)
        if found is None:
            self._look_now()
            found = self._secrets.keys.get(kid)
        if found is None:
            raise UnavailableError(
                f"Key {kid} is needed for records that were made with it, and is not in {self._source}: bring the key file of all programs to the same state."
            )
        closed_at = self.stored_key(kid).closed_at
        if closed_at is not None and self._clock() >= closed_at:
            raise SettingsError(f"Key {kid} was retired, and nothing that was made with it is accepted any more.")
        return found

    def signing(self, kid: str) -> DerivedKey:
        """Return the key with the id `kid` to sign once more what it signed before, or the active one if it is retired."""
        self._look()
        stored = next((key for key in self._secrets.stored.keys if key.kid == kid), None)
        retired = stored is not None and stored.retired_at is not None and self._clock() >= stored.retired_at
        return self.primary if retired else self.named(kid)

    def seal(self, text: str, bound_to: str) -> bytes:
        """Return `text` sealed with the primary key and bound to `bound_to`. The key's id travels with it."""
        key = self.primary
        return key.kid.encode() + b"." + key.seal(text.encode("utf-8", "surrogatepass"), bound_to.encode())

    def unseal(self, sealed: bytes, bound_to: str) -> str:
        """Return the text given to `seal`. Raises SettingsError if bytes or `bound_to` differ, UnavailableError if the key is missing."""
        kid, _, rest = sealed.partition(b".")
        return (
            self.named(kid.decode("ascii", "replace")).unseal(rest, bound_to.encode()).decode("utf-8", "surrogatepass")
        )

    def blind_index(self, what: str, *values: str) -> bytes:
        """Return the keyed hash that finds `values` in the database without storing them. `what` separates uses."""
        return self.hashes.blind_index(what, *values)

    def hash_secret(self, secret: str) -> bytes:
        """Return the keyed hash stored for a client's secret. The secret is random, so the hash needs no stretching."""
        return self.hashes.hash_secret(secret)

    def is_hash_of(self, given: bytes, what: str, *values: str) -> bool:
        """Say in constant time whether `given` is the blind index of these values, also of an earlier index that is still found."""
        return self.hashes.is_hash_of(given, what, *values)

    def renew(self, stored: bytes) -> bytes:
        """Return the form that a stored hash has under the newest index."""
        return self.hashes.renew(stored)

    def earlier_forms(self, hash_: bytes) -> tuple[bytes, ...]:
        """Return the forms under which a hash that was computed here may still be stored."""
        return self.hashes.earlier_forms(hash_)

    def stored_key(self, kid: str) -> StoredKey:
        """Return what the key file says of a key that it holds."""
        return next(key for key in self._secrets.stored.keys if key.kid == kid)

    def taken_over_at(self, kid: str) -> int | None:
        """Return when another key became the active one instead of this one, in ms; None if that is not planned."""
        return self._secrets.stored.taken_over_at(self.stored_key(kid))

    def index_active_from(self, number: int) -> int:
        """Return when an index became active, in ms; 0 for the first one."""
        return next((index.active_from for index in self._secrets.stored.indexes if index.number == number), 0)

    def link(self, entry: bytes) -> bytes:
        """Return the keyed hash (32 bytes) that links an event log page to its predecessor."""
        return self.hashes.link(entry)

    def fingerprint(self) -> bytes:
        """Return the fingerprint that a database stores to recognise its own key file."""
        return self.hashes.fingerprints()[0]

    def belongs_to(self, fingerprint: bytes) -> bool:
        """Say whether a database that stores this fingerprint was made with these keys."""
        return fingerprint in self.hashes.all_fingerprints()

    def kids(self) -> list[tuple[str, int]]:
        """Return each key's id and the time (ms) from which it is used, oldest first."""
        self._look()
        return sorted(((key.kid, key.active_from) for key in self._secrets.stored.keys), key=lambda pair: pair[1])

    def states(self) -> list[KeyState]:
        """Return what each key is for now, oldest first."""
        primary, now = self.primary.kid, self._clock()
        return [
            KeyState(
                key.kid,
                key.active_from,
                _state_of(key, primary, now),
                self._is_published(key, now),
                key.retired_at,
                key.closed_at,
            )
            for key in sorted(self._secrets.stored.keys, key=lambda key: key.active_from)
        ]

    def jwks(self) -> dict[str, Any]:
        """Return the public keys for proofs and ID tokens (RFC 7517).

        Those that are to come are among them, and retired ones while a token that they signed is valid.
        """
        self._look()
        made = self._published()
        return {"keys": [key.public_jwk() for key in made] + [key.public_identity_jwk() for key in made]}

    def verified(self, signed: str) -> dict[str, Any] | None:
        """Return the claims of a proof that one of the published keys signed, or None."""
        self._look()
        return _verified(signed, [key.public_jwk() for key in self._published()])

    def verified_identity(self, signed: str) -> dict[str, Any] | None:
        """Return the claims of an ID token that one of the published keys signed, however old it is, or None."""
        self._look()
        return _verified(signed, [key.public_identity_jwk() for key in self._published()])

    def verified_checkpoint(self, signed: str) -> tuple[dict[str, Any] | None, bool]:
        """Return the claims of a checkpoint, or None, and whether a key signed it that is not retired.

        What a retired key signed counts only if a later checkpoint names it.
        """
        found = self.verified(signed)
        if found is not None:
            return found, True
        return _verified(signed, [key.public_jwk() for key in self._secrets.keys.values()]), False

    def read_again(self) -> None:
        """Read the secrets again now. Raises SettingsError if that is impossible; the keys that were read before stay."""
        self._secrets = self._read(self._secrets)
        self._primary = None

    def _published(self) -> list[DerivedKey]:
        now, found = self._clock(), self._secrets
        return [found.keys[key.kid] for key in found.stored.keys if self._is_published(key, now)]

    def _is_published(self, key: StoredKey, now: int) -> bool:
        if key.retired_at is None:
            return True
        ends = key.signs_until(self._secrets.stored.taken_over_at(key))
        return now < (ends if key.closed_at is None else min(ends, key.closed_at))

    def _look(self) -> None:
        waits = COMMAND_REREAD_AFTER if not isinstance(self._source, KeyFile) else REREAD_AFTER
        if time.monotonic() - self._looked_at <= waits:
            return
        self._looked_at = time.monotonic()
        if isinstance(self._source, KeyFile):
            self._read_if_changed()
        else:
            self._read_beside()

    def _look_now(self) -> None:
        """Look for a key that is missing: a file is read at once, a command runs beside, and the next request finds what it writes."""
        if isinstance(self._source, KeyFile):
            self._try_to_read()
        elif time.monotonic() - self._looked_at > REREAD_AFTER:
            self._looked_at = time.monotonic()
            self._read_beside()

    def _read_beside(self) -> None:
        """Read in a thread: a command takes its time, and requests must not wait for it."""
        if not self._reading.locked():
            threading.Thread(target=self._try_to_read, name="countersign-keys", daemon=True).start()

    def _read_if_changed(self) -> None:
        try:
            stamp = self._source.stamp()
        except OSError as error:
            self._complain(error.strerror or "missing", error.strerror or "missing")
            return
        if stamp != self._stamp:
            self._try_to_read()

    def _try_to_read(self) -> None:
        """Read the secrets; if that is impossible, say so in the log once, and go on with the keys that were read before.

        A key file that is lost or damaged while serving fails no sign-in. `doctor` and the next start report it too.
        """
        with self._reading:
            try:
                self.read_again()
            except SettingsError as error:
                self._complain(self._stamp_now() or str(error), str(error))

    def _complain(self, of: Stamp | str, why: str) -> None:
        if of != self._complained_of:
            self._complained_of = of
            _log.warning("keys_not_read", why=why)

    def _stamp_now(self) -> Stamp | None:
        try:
            return self._source.stamp()
        except OSError:
            return None

    def _read(self, before: _Secrets | None) -> _Secrets:
        stamp = self._stamp_now()  # before reading: what is written meanwhile is read the next time
        stored = read_secrets(self._source)
        first = secret_bytes(stored.index, "index", self._source)
        if before is not None:
            if first != before.first_index:
                raise SettingsError(
                    f"The key file {self._source} was replaced by another installation's; put the right one back."
                )
            if len(stored.indexes) < len(before.stored.indexes) or {key.kid for key in stored.keys} < set(before.keys):
                raise SettingsError(
                    f"The key file {self._source} is an older one: keys that it held before are missing. Put the newest one back."
                )
        keys = {
            key.kid: (before.keys.get(key.kid) if before is not None else None)
            or DerivedKey(
                key.kid, key.active_from, secret_bytes(key.secret, key.kid, self._source), by_record=key.by_record
            )
            for key in stored.keys
        }
        if before is not None:
            keys = {**before.keys, **keys}
            missing = [key for key in before.stored.keys if key.kid not in {one.kid for one in stored.keys}]
            stored = msgspec.structs.replace(stored, keys=(*missing, *stored.keys))
        if before is not None and stored.indexes == before.stored.indexes:
            # The same hash keys go on, with the earlier forms that they remember.
            made = msgspec.structs.replace(before, stored=stored, keys=keys)
        else:
            made = self._with_hashes(_Secrets(stored, keys, HashKeys(first, (), 0), first, 0))
        self._stamp, self._complained_of = stamp, None
        return made

    def _with_hashes(self, found: _Secrets) -> _Secrets:
        """Return the secrets with the hash keys of this moment: of the indexes that are active by now."""
        now, indexes = self._clock(), found.stored.indexes
        active = [index for index in indexes if index.active_from <= now]
        later = [LaterIndex(index.number, secret_bytes(index.secret, "index", self._source)) for index in active]
        moments = [index.active_from for index in indexes]
        moments += [index.alone_from for index in indexes if index.alone_from is not None]
        return msgspec.structs.replace(
            found,
            hashes=HashKeys(found.first_index, later, _open_from(active, now)),
            hashes_until=min((at for at in moments if at > now), default=_NEVER),
        )


def _open_from(active: list[StoredIndex], now: int) -> int:
    """Return the position of the oldest index whose hashes are still found."""
    alone = [index.number for index in active if index.alone_from is not None and index.alone_from <= now]
    return max(alone, default=0)


def _state_of(key: StoredKey, primary: str, now: int) -> str:
    if key.closed_at is not None and now >= key.closed_at:
        return "closed"
    if key.retired_at is not None:
        return "retired"
    if key.kid == primary:
        return "in_use"
    return "to_come" if key.active_from > now else "reads"


def _verified(signed: str, public: list[dict[str, Any]]) -> dict[str, Any] | None:
    try:
        keys = jwk.KeySet([jwk.ECKey.import_key(key) for key in public])
        found = jws.deserialize_compact(signed, keys, algorithms=[PROOF_ALGORITHM])
        return msgspec.json.decode(found.payload, type=dict[str, Any])
    except (JoseError, ValueError, msgspec.DecodeError):
        return None


def to_hash(address: str) -> str:
    """Return the `to_hash` claim: base64url without padding of the SHA-256 of the canonical address in UTF-8."""
    return base64url(hashlib.sha256(address.encode()).digest()).decode()
