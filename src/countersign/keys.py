"""The keyring: a file of master secrets, and every key derived from them.

The file is JSON with mode 0600. It holds an `index` secret, which never changes because blind indexes and hashes of client secrets depend
on it, and one or more `keys`, each `{"kid", "active_from", "secret"}`. The newest active key derives new codes, seals and signs. All
keys still read what they made. A secret is 32 random bytes in base64.
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
"""Milliseconds between a rotation and the first use of the new key. By then every process has read the file again."""

REREAD_AFTER: Final = 5.0
"""Seconds between two looks at whether the file has changed."""

PROOF_ALGORITHM: Final = "ES256"
ID_SUFFIX: Final = "-id"
"""Suffix of the key ids of ID tokens."""
_NONCE_BYTES: Final = 12
_BLIND_BYTES: Final = 16
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-5, curve P-256
_P256_BYTES: Final = 32
_DETERMINISTIC: Final = ec.ECDSA(
    SHA256(), deterministic_signing=True
)  # RFC 6979: signing the same claims twice gives the same bytes


class StoredKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One master secret of the file. `active_from` is in ms."""

    kid: str
    active_from: int
    secret: str

    def __repr__(self) -> str:
        """Hide the secret."""
        return f"StoredKey({self.kid})"


class StoredKeyring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The key file as it is on disk."""

    index: str
    keys: tuple[StoredKey, ...]

    def __repr__(self) -> str:
        """Hide the secrets."""
        return f"StoredKeyring({', '.join(key.kid for key in self.keys)})"


class Signer:
    """A signing key pair for one purpose, derived from a master secret."""

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
        """Return the public key as a JWK (RFC 7517)."""
        key = jwk.ECKey.import_key(self._key.public_key(), {"kid": self._kid, "use": "sig", "alg": PROOF_ALGORITHM})
        return dict(key.as_dict(private=False))


class DerivedKey:
    """The keys derived from one master secret: for codes, for sealing, for signing proofs and for signing ID tokens."""

    def __init__(self, kid: str, active_from: int, master: bytes) -> None:
        self.kid = kid
        self.active_from = active_from
        self.code = _made(master, b"countersign code v1")
        self._sealing = AESGCM(_made(master, b"countersign seal v1"))
        self._proofs = Signer(kid, master, b"countersign proof v1")
        # Proofs and ID tokens have separate key pairs, so that one is never accepted as the other.
        self._identities = Signer(kid + ID_SUFFIX, master, b"countersign id token v1")

    def __repr__(self) -> str:
        """Hide the keys."""
        return f"MadeKey({self.kid})"

    def seal(self, plain: bytes, bound_to: bytes) -> bytes:
        """Return `plain` encrypted with AES-256-GCM. `bound_to` is the associated data: only the same value opens it."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._sealing.encrypt(nonce, plain, bound_to)

    def unseal(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Return what was sealed. Raises SettingsError if the key, the bytes or `bound_to` differ."""
        try:
            return self._sealing.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError) as error:  # ValueError: shorter than a nonce
            raise SettingsError(
                f"A record sealed with key {self.kid} cannot be opened: it was changed, or the key file is another installation's."
            ) from error

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a proof: a compact JWS (RFC 7515) of the claims. The same claims give the same bytes."""
        return self._proofs.sign(claims)

    def sign_identity(self, claims: dict[str, Any]) -> str:
        """Return an ID token: a compact JWS of the claims, signed by the key pair for ID tokens."""
        return self._identities.sign(claims)

    def public_jwk(self) -> dict[str, Any]:
        """Return the public key for proofs as a JWK (RFC 7517)."""
        return self._proofs.public_jwk()

    def public_identity_jwk(self) -> dict[str, Any]:
        """Return the public key for ID tokens as a JWK (RFC 7517)."""
        return self._identities.public_jwk()


class Keyring:
    """All keys of an installation. The file is read again when it changes, so a rotation needs no restart."""

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
        """Return the key for new codes, seals and signatures: the newest active one."""
        self._look()
        now = self._clock()
        if self._primary is None or now >= self._primary[1]:
            active = [key for key in self._made.values() if key.active_from <= now] or list(self._made.values())[:1]
            later = [key.active_from for key in self._made.values() if key.active_from > now]
            self._primary = (max(active, key=lambda key: key.active_from), min(later, default=1 << 62))
        return self._primary[0]

    def named(self, kid: str) -> DerivedKey:
        """Return the key with the id `kid`, which made something earlier. Raises UnavailableError if this process has not read it yet."""
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
        """Return the keyed hash (16 bytes) that finds `values` in the database without storing them. `what` separates uses."""
        joined = "\0".join((what, *values)).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(
            joined, key=self._index, digest_size=_BLIND_BYTES
        ).digest()  # RFC 7693: a keyed hash in one pass

    def hash_secret(self, secret: str) -> bytes:
        """Return the keyed hash (32 bytes) stored for a client's secret. The secret is random, so the hash needs no stretching."""
        return hmac.digest(self._index, b"client secret\0" + secret.encode("utf-8", "surrogatepass"), "sha256")

    def link(self, entry: bytes) -> bytes:
        """Return the keyed hash (32 bytes) that links an event log page to its predecessor."""
        return hmac.digest(self._index, b"event\0" + entry, "sha256")

    def fingerprint(self) -> bytes:
        """Return the fingerprint that a database stores to recognise its own key file."""
        return hmac.digest(self._index, b"fingerprint", "sha256")

    def kids(self) -> list[tuple[str, int]]:
        """Return each key's id and the time (ms) from which it is used, oldest first."""
        self._look()
        return sorted(((key.kid, key.active_from) for key in self._made.values()), key=lambda pair: pair[1])

    def jwks(self) -> dict[str, Any]:
        """Return the public keys for proofs and ID tokens (RFC 7517), including keys that are not active yet."""
        self._look()
        made = self._made.values()
        return {"keys": [key.public_jwk() for key in made] + [key.public_identity_jwk() for key in made]}

    def verified(self, signed: str) -> dict[str, Any] | None:
        """Return the claims of a proof or checkpoint signed by one of these keys, or None."""
        return _verified(signed, [key.public_jwk() for key in self._made.values()])

    def verified_identity(self, signed: str) -> dict[str, Any] | None:
        """Return the claims of an ID token signed by one of these keys, however old it is, or None."""
        return _verified(signed, [key.public_identity_jwk() for key in self._made.values()])

    def _look(self) -> None:
        if time.monotonic() - self._looked_at > REREAD_AFTER:
            self._looked_at = time.monotonic()
            # A key file that is lost or damaged while serving fails no sign-in: the keys already read still work. `doctor` and the next
            # start report it.
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
    """Return the contents of the key file. Raises SettingsError if it is missing, readable by others, or invalid."""
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
    """Write a key file with new secrets and mode 0600. Raises SettingsError if the file exists."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    stored = StoredKeyring(index=_fresh(), keys=(StoredKey(_kid(), now, _fresh()),))
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
    """Return the `to_hash` claim: base64url without padding of the SHA-256 of the canonical address in UTF-8."""
    return _base64url(hashlib.sha256(address.encode()).digest()).decode()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one rotation run at a time. Each rewrites the file, so a second one at the same time would lose the first one's key."""
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
    """Give `draft` the owner of `path`, so that a rotation by root does not take the file from the user that serves."""
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
    # msgspec names types and paths, never values. For malformed JSON it names the position.
    return str(error).rstrip(".")


def _made(master: bytes, use: bytes, length: int = SECRET_BYTES) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=use).derive(master)


def _fresh() -> str:
    return base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _kid() -> str:
    return "k" + secrets.token_hex(4)


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
