"""Passwords: hashing and verification by Argon2id on a bounded number of threads, and lists of common and breached passwords."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import mmap
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar, cast

import msgspec
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from countersign.domain.accounts.password import PasswordFault
from countersign.errors import OverloadedError, SettingsError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

P = ParamSpec("P")
T = TypeVar("T")

MEMORY_KIB: Final = 19_456
ITERATIONS: Final = 2
LANES: Final = 1
"""The minimum that OWASP's Password Storage Cheat Sheet allows for Argon2id: about 47 ms of one core."""

WAITING: Final = 64
"""Passwords that may wait for each thread. More are refused as overload. At about 20 a second for each thread, none waits over 3 s."""

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_PARAMETERS: Final = re.compile(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$")
_DIGEST: Final = 40
_DIGEST_LINE: Final = re.compile(rb"[0-9A-Fa-f]{40}(:\d+)?\r?")
_SAMPLES: Final = 64
"""Lines that are checked when a file is opened. A file in another order is very unlikely to be ascending at all of them."""


class Verified(msgspec.Struct, frozen=True):
    """The result of a verification. `stale` is true if the hash should be made again with today's parameters."""

    right: bool
    stale: bool = False


class Passwords:
    """Hashes and verifies passwords on `slots` threads. Argon2 releases the interpreter lock.

    `breached` is a file of SHA-1 digests in ascending order, one `HEX:COUNT` on each line, as the Pwned Passwords downloader writes it.
    Raises SettingsError if it has another form.
    """

    def __init__(self, slots: int, breached: Path | None = None) -> None:
        self._breached = _Digests(breached) if breached is not None else None
        # An unknown user costs as much time as a known one (semantics S1).
        self._decoy = _hashed(os.urandom(_SALT_BYTES).hex())
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="passwords")
        self._bound = slots * WAITING
        self._waiting = 0
        self._counting = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Stop the threads after the work that callers still wait for. Closing twice does nothing."""
        with self._counting:
            self._closed = True
        self._threads.shutdown(wait=True)
        if self._breached is not None:
            self._breached.close()

    async def hash(self, password: str) -> str:
        """Return the hash of a password in PHC form. Raises OverloadedError if too many wait, UnavailableError once closed."""
        return await self._on_thread(_hashed, password)

    async def verify(self, password: str, hashed: str | None) -> Verified:
        """Compare a password with a hash in PHC form. Without a hash it takes as long and returns wrong. Raises what `hash` raises."""
        right = await self._on_thread(_verified, password, self._decoy if hashed is None else hashed)
        return Verified(right and hashed is not None, hashed is not None and _is_stale(hashed))

    async def known_fault(self, password: str) -> str:
        """Return `common` or `breached` if a list contains the password, else an empty string. Raises what `hash` raises."""
        return await self._on_thread(self._fault_of, password)

    def _fault_of(self, password: str) -> str:
        if password.casefold() in _common():
            return PasswordFault.COMMON.value
        if self._breached is not None and self._breached.holds(password):
            return PasswordFault.BREACHED.value
        return ""

    async def _on_thread(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if outcome.done():  # the caller has gone
                return
            if error is not None:
                outcome.set_exception(error)
            else:
                outcome.set_result(cast("T", result))

        def turn() -> None:
            result, error = None, None
            try:
                if not outcome.cancelled():
                    result = work(*args, **kwargs)
            except BaseException as caught:  # noqa: BLE001 - it belongs to the caller, who awaits the outcome
                error = caught
            with self._counting:
                self._waiting -= 1
            # The event loop may have ended while the thread worked; then nobody waits for the result.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, error)

        with self._counting:
            if self._closed:
                raise UnavailableError("Passwords are no longer verified: the program is stopping.")
            if self._waiting >= self._bound:
                raise OverloadedError("Too many passwords wait to be verified. Try again shortly.")
            self._waiting += 1
            # A caller who disconnects keeps its place in the queue. Otherwise connecting and disconnecting would grow the queue without
            # bound.
            self._threads.submit(turn)
        return await outcome


class _Digests:
    """A file of SHA-1 digests in ascending order, searched by bisection. Nothing is read before it is needed."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: an empty file
            raise SettingsError(
                f"passwords.breached_file: {path} cannot be read ({error}); expected lines of SHA-1 digests in order."
            ) from error
        # The same passwords are also published in order of their counts. Bisection would find almost nothing there, unnoticed.
        before = b""
        for sample in range(_SAMPLES):
            line = self._line(len(self._map) * sample // _SAMPLES)[1]
            if not _DIGEST_LINE.fullmatch(line) or line[:_DIGEST].upper() < before:
                self.close()
                raise SettingsError(
                    f"passwords.breached_file: {path} does not hold SHA-1 digests in order; expected lines such as 5BAA61E4...:3861493,"
                    " sorted by digest."
                )
            before = line[:_DIGEST].upper()

    def close(self) -> None:
        self._map.close()

    def holds(self, password: str) -> bool:
        """Return True if the file contains the digest of a password."""
        wanted = hashlib.sha1(_bytes_of(password), usedforsecurity=False).hexdigest().upper().encode()
        low, high = 0, len(self._map)
        while low < high:
            start, line = self._line((low + high) // 2)
            found = line[:_DIGEST].upper()
            if found == wanted:
                return True
            if found < wanted:
                low = start + len(line) + 1
            else:
                high = start
        return False

    def _line(self, at: int) -> tuple[int, bytes]:
        """Return the start and the text of the line that contains byte `at`."""
        start = self._map.rfind(b"\n", 0, at) + 1
        end = self._map.find(b"\n", start)
        end = len(self._map) if end < 0 else end
        return start, self._map[start:end]


def _bytes_of(password: str) -> bytes:
    """Return the bytes to hash. A lone surrogate, which JSON from a browser may contain, is encoded like any other character."""
    return password.encode("utf-8", "surrogatepass")


def _hashed(password: str) -> str:
    made = Argon2id(
        salt=os.urandom(_SALT_BYTES), length=_HASH_BYTES, iterations=ITERATIONS, lanes=LANES, memory_cost=MEMORY_KIB
    )
    return made.derive_phc_encoded(_bytes_of(password))


def _verified(password: str, hashed: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(_bytes_of(password), hashed)
    except InvalidKey:
        return False
    return True


def _is_stale(hashed: str) -> bool:
    """Return True if any parameter of a hash is lower than today's."""
    found = _PARAMETERS.match(hashed)
    today = (MEMORY_KIB, ITERATIONS, LANES)
    return found is None or any(int(was) < now for was, now in zip(found.groups(), today, strict=True))


@cache
def _common() -> frozenset[str]:
    """Return the 30,000 most common passwords in lower case."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])
