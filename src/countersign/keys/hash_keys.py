"""The keyed hashes by which records are found: of contacts and counters, of client secrets, and of pages of the event log.

The secret of these hashes can be replaced like any other. A later one does not hash the values anew, which nobody keeps. It hashes the
hashes that are stored: each index wraps the result of the one before it. So every stored hash can be rewritten from itself, and somebody
who knows an earlier secret alone can compute none that is stored now.

A hash of the first index has 16 bytes, or 32 for a secret. One of a later index begins with a further byte, the number of the index.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from countersign.keys.derived_key import derive_key

BLIND_BYTES: Final = 16
SECRET_HASH_BYTES: Final = 32
MAX_INDEX: Final = 255

MAX_REMEMBERED: Final = 100_000
"""Hashes whose earlier forms are remembered while an index is being replaced."""


class LaterIndex:
    """The keys of an index after the first one. Its number is the first byte of what it makes."""

    def __init__(self, number: int, secret: bytes) -> None:
        self.number = number
        self.link_key = derive_key(secret, b"countersign link v2")
        self.fingerprint_key = derive_key(secret, b"countersign fingerprint v2")
        self._wrap_key = derive_key(secret, b"countersign wrap v2")

    def wrap(self, before: bytes) -> bytes:
        """Return the hash of a hash that the index before this one made."""
        head = bytes([self.number])
        if len(before) <= BLIND_BYTES + 1:
            return head + hashlib.blake2b(before, key=self._wrap_key, digest_size=BLIND_BYTES).digest()
        return head + hmac.digest(self._wrap_key, before, "sha256")


class HashKeys:
    """Every index that there is: the first one and those after it, in the order of their numbers.

    `open_from` is the position of the oldest index under which stored hashes are still found. While it is not the newest one, the earlier
    forms of each hash that is computed are remembered, so that the store can find and rewrite it.
    """

    def __init__(self, first: bytes, later: Sequence[LaterIndex], open_from: int) -> None:
        self._first = derive_key(first, b"countersign index v1")
        self._later = tuple(later)
        self._open_from = open_from
        self._earlier: OrderedDict[bytes, tuple[bytes, ...]] = OrderedDict()

    def __repr__(self) -> str:
        """Hide the keys."""
        return f"HashKeys({len(self._later) + 1})"

    @property
    def number(self) -> int:
        """Return the number of the newest index: 0 for the first one."""
        return self._later[-1].number if self._later else 0

    @property
    def replacing(self) -> bool:
        """Say whether hashes of an earlier index are still found."""
        return self._open_from < len(self._later)

    def blind_index(self, what: str, *values: str) -> bytes:
        """Return the keyed hash that finds `values` without storing them; `what` separates uses."""
        joined = "\0".join((what, *values)).encode("utf-8", "surrogatepass")
        # RFC 7693: a keyed hash in one pass
        return self._wrapped(hashlib.blake2b(joined, key=self._first, digest_size=BLIND_BYTES).digest(), 0)

    def hash_secret(self, secret: str) -> bytes:
        """Return the keyed hash that is stored for a secret of a client."""
        inner = b"client secret\0" + secret.encode("utf-8", "surrogatepass")
        return self._wrapped(hmac.digest(self._first, inner, "sha256"), 0)

    def renew(self, stored: bytes, *, remember: bool = True) -> bytes:
        """Return the form that a stored hash has under the newest index; other bytes are returned as they are.

        With `remember` its earlier forms are kept in mind, since rows may be looked up by it.
        """
        position = self.position_of(stored)
        if position is None or position == len(self._later):
            return stored
        return self._wrapped(stored, position, remember=remember)

    def position_of(self, stored: bytes) -> int | None:
        """Return which index made a stored hash, as its position; None for bytes that are no hash of ours."""
        if len(stored) in {BLIND_BYTES, SECRET_HASH_BYTES}:
            return 0
        if len(stored) not in {BLIND_BYTES + 1, SECRET_HASH_BYTES + 1}:
            return None
        return next((place for place, one in enumerate(self._later, 1) if one.number == stored[0]), None)

    def earlier_forms(self, hash_: bytes) -> tuple[bytes, ...]:
        """Return the forms under which a hash may still be stored, newest first; empty unless an index is being replaced."""
        return self._earlier.get(hash_, ())

    def is_hash_of(self, given: bytes, what: str, *values: str) -> bool:
        """Say in constant time whether `given` is the blind index of these values, under any index that is still found."""
        expected = self.blind_index(what, *values)
        forms = (expected, *self.earlier_forms(expected))
        # A list, so that every form is compared, whichever is right.
        return any([hmac.compare_digest(given, form) for form in forms])  # noqa: C419

    def link(self, entry: bytes) -> bytes:
        """Return the keyed hash that links an event log page to its predecessor."""
        return self.link_of(len(self._later), entry)

    def link_of(self, position: int, entry: bytes) -> bytes:
        """Return the link that the index at this position makes."""
        key = self._later[position - 1].link_key if position else self._first
        return hmac.digest(key, b"event\0" + entry, "sha256")

    def positions(self) -> range:
        """Return the positions of all indexes, oldest first."""
        return range(len(self._later) + 1)

    def is_open(self, position: int) -> bool:
        """Say whether hashes of the index at this position are still found."""
        return position >= self._open_from

    def fingerprints(self) -> list[bytes]:
        """Return the fingerprints by which a database knows these keys, newest first: of each index that is still found."""
        return [self._fingerprint(position) for position in reversed(self.positions()) if self.is_open(position)]

    def all_fingerprints(self) -> list[bytes]:
        """Return the fingerprint of every index, newest first."""
        return [self._fingerprint(position) for position in reversed(self.positions())]

    def _fingerprint(self, position: int) -> bytes:
        key = self._later[position - 1].fingerprint_key if position else self._first
        return hmac.digest(key, b"fingerprint", "sha256")

    def _wrapped(self, made: bytes, position: int, *, remember: bool = True) -> bytes:
        """Wrap a hash of the index at `position` by every index after it."""
        if position == len(self._later):
            return made
        forms = [made]
        for one in self._later[position:]:
            forms.append(one.wrap(forms[-1]))
        *earlier, newest = forms
        if remember and self.replacing:
            open_ = tuple(form for place, form in enumerate(earlier, position) if place >= self._open_from)
            self._remember(newest, open_)
        return newest

    def _remember(self, newest: bytes, earlier: tuple[bytes, ...]) -> None:
        if earlier:
            self._earlier[newest] = earlier[::-1]
            self._earlier.move_to_end(newest)
            if len(self._earlier) > MAX_REMEMBERED:
                self._earlier.popitem(last=False)
