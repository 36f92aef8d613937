"""An application: a site that asks for verifications, known by a key that is shown once."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

KEY_PREFIXES: Final = {"live": "csk_live_", "test": "csk_test_"}
KEY_BYTES: Final = 24
"""192 bits of chance in a key, in front of a prefix that secret scanners can look for."""

ROTATION_OVERLAP: Final = 24 * 3_600_000
"""Milliseconds for which the key before a rotation still works."""

# Android's SMS Retriever: the first 11 characters of the base64 of a digest of the package's name and signing certificate.
_APP_HASH: Final = re.compile(r"[A-Za-z0-9+/]{11}")


class ApplicationMode(StrEnum):
    """Whether an application's messages go out (live) or reach the inbox alone (test)."""

    LIVE = "live"
    TEST = "test"


class ApplicationDraft(msgspec.Struct, frozen=True):
    """An application as its operator wants it, before it has an id and a key; see Application."""

    name: str
    mode: ApplicationMode
    site: str = ""
    host: str = ""
    purposes: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    app_hash: str = ""


class Application(msgspec.Struct, frozen=True):
    """A site: `site` is its name in messages, `host` the domain where its codes are typed, `purposes` what it may ask for (empty: all).

    `redirects` are the addresses that a person may be sent back to signed in, `sign_outs` signed out; each to the letter.
    `app_hash` is by what Android knows the SMS that are for its app; empty if it has none.
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

    @property
    def live(self) -> bool:
        """Say whether messages really go out."""
        return self.mode is ApplicationMode.LIVE

    def accepts(self, key_hash: bytes, now: int) -> bool:
        """Say whether a key (by its keyed hash) opens this application at `now` (ms)."""
        if self.removed_at is not None:
            return False
        if key_hash == self.key_hash:
            return True
        return key_hash == self.old_key_hash and self.old_until is not None and now < self.old_until


def is_app_hash(app_hash: str) -> bool:
    """Say whether this is a hash by which Android's SMS Retriever knows an app."""
    return _APP_HASH.fullmatch(app_hash) is not None
