"""An application: a site that requests verifications. It authenticates with a key that is shown once."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

KEY_PREFIXES: Final = {"live": "csk_live_", "test": "csk_test_"}
KEY_BYTES: Final = 24
"""192 random bits in a key. They follow a prefix that secret scanners can look for."""

ROTATION_OVERLAP: Final = 24 * 3_600_000
"""Milliseconds for which the previous key still works after a rotation."""

# Android's SMS Retriever: the first 11 characters of the base64 of a digest of the package's name and signing certificate.
_APP_HASH: Final = re.compile(r"[A-Za-z0-9+/]{11}")


class ApplicationMode(StrEnum):
    """Whether the messages of an application are sent (live), or only reach the inbox of this installation (test)."""

    LIVE = "live"
    TEST = "test"


class ApplicationDraft(msgspec.Struct, frozen=True):
    """The details that an operator enters for a new application. Fields as in Application."""

    name: str
    mode: ApplicationMode
    site: str = ""
    host: str = ""
    purposes: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    app_hash: str = ""
    jwks: str = ""
    requires_pushed: bool = False


class Application(msgspec.Struct, frozen=True):
    """A site that requests verifications.

    `site` is its name in messages. `host` is the domain on which its codes are entered. `purposes` are those it may request; empty means
    all. `redirect_uris` and `post_logout_redirect_uris` (OpenID Connect) are compared character by character. `app_hash` identifies its
    Android app to the SMS Retriever; it is empty if there is none. `jwks` are the public keys (RFC 7517, as JSON) with which it signs
    requests and assertions; it is empty if there are none. `requires_pushed`: it takes part only in pushed authorization requests
    (RFC 9126). While it is suspended, since `suspended_at`, nothing is sent for it. Times are in ms since the epoch.
    """

    id: str
    created_at: int
    name: str
    mode: ApplicationMode
    site: str
    host: str
    purposes: tuple[str, ...]
    key_hash: bytes
    old_key_hash: bytes | None = None
    old_until: int | None = None
    removed_at: int | None = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    app_hash: str = ""
    jwks: str = ""
    requires_pushed: bool = False
    suspended_at: int | None = None

    @property
    def is_stopped(self) -> bool:
        """Return True if nothing is sent for it: it is suspended, or was removed."""
        return self.suspended_at is not None or self.removed_at is not None

    @property
    def live(self) -> bool:
        """Return True if messages are sent to people, not only to the inbox."""
        return self.mode is ApplicationMode.LIVE

    def accepts(self, key_hash: bytes, now: int) -> bool:
        """Return True if the key with this keyed hash is valid at `now` (ms)."""
        if self.removed_at is not None:
            return False
        if key_hash == self.key_hash:
            return True
        return key_hash == self.old_key_hash and self.old_until is not None and now < self.old_until


def is_app_hash(app_hash: str) -> bool:
    """Return True if `app_hash` has the form of an app hash of Android's SMS Retriever."""
    return _APP_HASH.fullmatch(app_hash) is not None
