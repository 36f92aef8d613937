"""The keyring: one file of master secrets, and every key that is made of them.

The file is JSON of mode 0600: an `index` secret, which never changes (blind indexes and hashes of client secrets are looked
up by it), and one or more `keys`, each `{"kid", "active_from", "secret"}`. The newest active one derives new codes, seals and
signs; all of them still read. Secrets are 32 random bytes in base64.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwk, jws
from joserfc.errors import JoseError

from countersign.errors import SettingsError, UnavailableError

SECRET_BYTES: Final = 32
ACTIVATION_DELAY: Final = 60_000
"""Milliseconds from a rotation until the new key is used, so that every program has read it by then."""

REREAD_AFTER: Final = 5.0
"""Seconds after which a program looks whether the file has changed."""

PROOF_ALGORITHM: Final = "ES256"
ID_SUFFIX: Final = "-id"
"""What the names of keys for ID tokens end in."""
_NONCE_BYTES: Final = 12
_BLIND_BYTES: Final = 16
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-5, curve P-256
_P256_BYTES: Final = 32
_DETERMINISTIC: Final = ec.ECDSA(
    SHA256(), deterministic_signing=True
)  # RFC 6979: a repeated answer is the same to the byte


class StoredKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One master secret of the file; `active_from` in ms."""

    kid: str
    active_from: int
    secret: str

    def __repr__(self) -> str:
        """Hide the secret."""
        return f"StoredKey({self.kid})"


class StoredKeyring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it stands on disk."""

    index: str
    keys: tuple[StoredKey, ...]

    def __repr__(self) -> str:
        """Hide the secrets."""
        return f"StoredKeyring({', '.join(key.kid for key in self.keys)})"


class Signer:
    """A pair of keys for one use, derived from a master secret."""

    def __init__(self, kid: str, master: bytes, use: bytes) -> None:
        self._kid = kid
        wide = int.from_bytes(_made(master, use, 48))
        self._key = ec.derive_private_key(wide % (_P256_ORDER - 1) + 1, ec.SECP256R1())
        self._header = _base64url(msgspec.json.encode({"alg": PROOF_ALGORITHM, "kid": kid, "typ": "JWT"}))

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a compact JWS (RFC 7515) of the claims; the same claims give the same bytes."""
        signed = self._header + b"." + _base64url(msgspec.json.encode(claims))
        r, s = decode_dss_signature(self._key.sign(signed, _DETERMINISTIC))
        signature = r.to_bytes(_P256_BYTES) + s.to_bytes(_P256_BYTES)
        return (signed + b"." + _base64url(signature)).decode()

    def public_jwk(self) -> dict[str, Any]:
        """Return the public half as a JWK (RFC 7517)."""
        key = jwk.ECKey.import_key(self._key.public_key(), {"kid": self._kid, "use": "sig", "alg": PROOF_ALGORITHM})
        return dict(key.as_dict(private=False))


class DerivedKey:
    """What one master secret gives: a key for codes, one for sealing, a pair for proofs and one for ID tokens."""

    def __init__(self, kid: str, active_from: int, master: bytes) -> None:
        self.kid = kid
        self.active_from = active_from
        self.code = _made(master, b"countersign code v1")
        self._sealing = AESGCM(_made(master, b"countersign seal v1"))
        self._proofs = Signer(kid, master, b"countersign proof v1")
        # A pair of its own: a proof is never taken for an ID token, nor an ID token for a proof.
        self._identities = Signer(kid + ID_SUFFIX, master, b"countersign id token v1")

    def __repr__(self) -> str:
        """Hide the keys."""
        return f"MadeKey({self.kid})"

    def seal(self, plain: bytes, bound_to: bytes) -> bytes:
        """Return `plain` under AES-256-GCM, worth nothing beside anything but `bound_to`."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._sealing.encrypt(nonce, plain, bound_to)

    def unseal(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Return what was sealed; raises SettingsError if the key, the bytes or the binding is another."""
        try:
            return self._sealing.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as error:  # ValueError: too short for a nonce
            raise SettingsError(
                f"A record sealed with key {self.kid} cannot be opened: it was changed, or the key file is another installation's."
            ) from error

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a proof: a compact JWS (RFC 7515) of the claims; the same claims give the same bytes."""
        return self._proofs.sign(claims)

    def sign_identity(self, claims: dict[str, Any]) -> str:
        """Return an ID token: a compact JWS of the claims under a key that signs nothing else."""
        return self._identities.sign(claims)

    def public_jwk(self) -> dict[str, Any]:
        """Return the public half of the key of proofs as a JWK (RFC 7517)."""
        return self._proofs.public_jwk()

    def public_identity_jwk(self) -> dict[str, Any]:
        """Return the public half of the key of ID tokens as a JWK."""
        return self._identities.public_jwk()


class Keyring:
    """All keys of an installation; the file is read again when it changes, so a rotation needs no restart."""

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        self._path = path
        self._clock = clock
        self._made: dict[str, DerivedKey] = {}
        self._index = b""
        self._stamp: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._primary: tuple[DerivedKey, int] | None = None
        self._read()

    def __repr__(self) -> str:
        """Hide the keys."""
        return f"Keyring({', '.join(self._made)})"

    @property
    def primary(self) -> DerivedKey:
        """Return the key that new things are made with: the newest that is active."""
        self._look()
        now = self._clock()
        if self._primary is None or now >= self._primary[1]:
            active = [key for key in self._made.values() if key.active_from <= now] or list(self._made.values())[:1]
            later = [key.active_from for key in self._made.values() if key.active_from > now]
            self._primary = (max(active, key=lambda key: key.active_from), min(later, default=1 << 62))
        return self._primary[0]

    def named(self, kid: str) -> DerivedKey:
        """Return the key that something older was made with; raises UnavailableError if this program has not got it (yet)."""
        found = self._made.get(kid)
        if found is None:
            self._read()
            found = self._made.get(kid)
        if found is None:
            raise UnavailableError(
                f"Key {kid} is needed for records that were made with it, and is not in {self._path}: bring the key file of all programs to the same state."
            )
        return found

    def seal(self, text: str, bound_to: str) -> bytes:
        """Return `text` sealed under the present key, worth nothing beside anything but `bound_to`; the key's name travels with it."""
        key = self.primary
        return key.kid.encode() + b"." + key.seal(text.encode("utf-8", "surrogatepass"), bound_to.encode())

    def unseal(self, sealed: bytes, bound_to: str) -> str:
        """Return what `seal` was given; raises SettingsError for other bytes or another binding, UnavailableError without the key."""
        kid, _, rest = sealed.partition(b".")
        return (
            self.named(kid.decode("ascii", "replace")).unseal(rest, bound_to.encode()).decode("utf-8", "surrogatepass")
        )

    def blind_index(self, what: str, *values: str) -> bytes:
        """Return the keyed hash (16 bytes) by which `values` are found without being stored; `what` keeps uses apart."""
        told = "\0".join((what, *values)).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(
            told, key=self._index, digest_size=_BLIND_BYTES
        ).digest()  # RFC 7693: a keyed hash in one pass

    def hash_secret(self, secret: str) -> bytes:
        """Return the keyed hash (32 bytes) that stands for a secret a client holds: it has chance enough to need no stretching."""
        return hmac.digest(self._index, b"client secret\0" + secret.encode("utf-8", "surrogatepass"), "sha256")

    def link(self, entry: bytes) -> bytes:
        """Return the keyed hash (32 bytes) of an event log entry."""
        return hmac.digest(self._index, b"event\0" + entry, "sha256")

    def fingerprint(self) -> bytes:
        """Return what a database remembers, to tell that the keys are those it was made with."""
        return hmac.digest(self._index, b"fingerprint", "sha256")

    def kids(self) -> list[tuple[str, int]]:
        """Return each key's name and the time (ms) from which it is used, oldest first."""
        self._look()
        return sorted(((key.kid, key.active_from) for key in self._made.values()), key=lambda pair: pair[1])

    def jwks(self) -> dict[str, Any]:
        """Return the public keys of proofs and of ID tokens (RFC 7517), those to come included."""
        self._look()
        made = self._made.values()
        return {"keys": [key.public_jwk() for key in made] + [key.public_identity_jwk() for key in made]}

    def verified(self, signed: str) -> dict[str, Any] | None:
        """Return the claims of a proof or a checkpoint that one of these keys signed, or None."""
        return _verified(signed, [key.public_jwk() for key in self._made.values()])

    def verified_identity(self, signed: str) -> dict[str, Any] | None:
        """Return the claims of an ID token that one of these keys signed, however old, or None."""
        return _verified(signed, [key.public_identity_jwk() for key in self._made.values()])

    def _look(self) -> None:
        if time.monotonic() - self._looked_at > REREAD_AFTER:
            self._looked_at = time.monotonic()
            # A file that was lost or spoilt under way fails nobody's sign-in: what was read still serves; `doctor` and the next start tell.
            with contextlib.suppress(OSError, SettingsError):
                stat = self._path.stat()
                if (stat.st_mtime_ns, stat.st_size) != self._stamp:
                    self._read()

    def _read(self) -> None:
        stored = read_file(self._path)
        stat = self._path.stat()
        index = _made(_secret(stored.index, "index", self._path), b"countersign index v1")
        if self._index and self._index != index:
            raise SettingsError(
                f"The key file {self._path} was replaced by another installation's; put the right one back."
            )
        self._stamp = (stat.st_mtime_ns, stat.st_size)
        self._index = index
        for key in stored.keys:
            if key.kid not in self._made:
                self._made[key.kid] = DerivedKey(key.kid, key.active_from, _secret(key.secret, key.kid, self._path))
        self._primary = None


def _verified(signed: str, public: list[dict[str, Any]]) -> dict[str, Any] | None:
    try:
        keys = jwk.KeySet([jwk.ECKey.import_key(key) for key in public])
        found = jws.deserialize_compact(signed, keys, algorithms=[PROOF_ALGORITHM])
        return msgspec.json.decode(found.payload, type=dict[str, Any])
    except (JoseError, ValueError, msgspec.DecodeError):
        return None


def read_file(path: Path) -> StoredKeyring:
    """Return what the key file holds; raises SettingsError with a clear word if it is missing, open to others, or bad."""
    try:
        raw = path.read_bytes()
        mode = path.stat().st_mode
    except OSError as error:
        raise SettingsError(
            f"The key file {path} cannot be read ({error.strerror}). Make one with `countersign keys new {path}`, or name another with COUNTERSIGN_SECRET_FILE."
        ) from error
    if mode & 0o077:
        raise SettingsError(
            f"The key file {path} can be read by others (mode {mode & 0o777:o}). Close it: chmod 600 {path}"
        )
    try:
        stored = msgspec.json.decode(raw, type=StoredKeyring)
    except msgspec.DecodeError as error:
        raise SettingsError(
            f"The key file {path} is not what `countersign keys new` writes: {_about(error)}."
        ) from error
    if not stored.keys:
        raise SettingsError(
            f"The key file {path} holds no key. Restore it from your backup; a new one would not open what is stored."
        )
    _secret(stored.index, "index", path)
    for key in stored.keys:
        _secret(key.secret, key.kid, path)
    if len({key.kid for key in stored.keys}) != len(stored.keys):
        raise SettingsError(f"The key file {path} names one key twice.")
    return stored


def new_file(path: Path, now: int) -> None:
    """Write a key file with fresh secrets, mode 0600; raises SettingsError if there is one already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    stored = StoredKeyring(index=_fresh(), keys=(StoredKey(_kid(), now, _fresh()),))
    # A link to a file that is complete: two programs that start at once agree on one, and a crash leaves none that is half.
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
    """Add a key that takes over after `delay` (ms); return its name and that time (ms). Older keys stay and still read."""
    with _alone(path):
        stored = read_file(path)
        added = StoredKey(_kid(), now + delay, _fresh())
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            _write(draft, StoredKeyring(stored.index, (*stored.keys, added)))
            _belong_alike(path, draft)
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise SettingsError(
                f"The key file {path} cannot be written: {error.strerror}. Nothing was changed."
            ) from error
    return added.kid, added.active_from


def to_hash(address: str) -> str:
    """Return the `to_hash` claim: base64url of SHA-256 over the canonical address in UTF-8, without padding."""
    return _base64url(hashlib.sha256(address.encode()).digest()).decode()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Have two rotations of one file take turns: each writes it anew, and the second would lose the first one's key."""
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
    """Give `draft` the owner of `path`: a rotation by root must not take the file from the user that serves."""
    there, made = path.stat(), draft.stat()
    if (there.st_uid, there.st_gid) != (made.st_uid, made.st_gid):
        os.chown(draft, there.st_uid, there.st_gid)


def _secret(text: str, name: str, path: Path) -> bytes:
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SettingsError(f"The secret {name} in {path} is not base64.") from error
    if len(secret) < SECRET_BYTES:
        raise SettingsError(f"The secret {name} in {path} has {len(secret)} bytes; expected {SECRET_BYTES} or more.")
    return secret


def _about(error: msgspec.DecodeError) -> str:
    # msgspec names types and paths, never values; malformed JSON it describes by position.
    return str(error).rstrip(".")


def _made(master: bytes, use: bytes, length: int = SECRET_BYTES) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=use).derive(master)


def _fresh() -> str:
    return base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _kid() -> str:
    return "k" + secrets.token_hex(4)


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
