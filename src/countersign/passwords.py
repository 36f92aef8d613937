"""Passwords: hashed and verified by Argon2id on a bounded number of threads, and looked up among those that everybody tries."""

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
"""The least that OWASP's Password Storage Cheat Sheet allows for Argon2id; about 47 ms of one core."""

WAITING: Final = 64
"""Passwords that may wait for a thread, each; more are refused as overload. At about 20 a second and thread none waits longer than 3 s."""

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_PARAMETERS: Final = re.compile(r"\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$")
_DIGEST: Final = 40
_DIGEST_LINE: Final = re.compile(rb"[0-9A-Fa-f]{40}(:\d+)?\r?")
_SAMPLES: Final = 64
"""Lines that are looked at when a file is opened: hardly any other order is a rising one at all of them."""


class Verified(msgspec.Struct, frozen=True):
    """Whether a password was right, and whether its hash should be made anew with today's parameters."""

    right: bool
    stale: bool = False


class Passwords:
    """Hashes and verifies on `slots` threads; the interpreter's lock is free meanwhile.

    `breached` is a file of SHA-1 digests in order, one `HEX:COUNT` a line, as the Pwned Passwords downloader writes it. Raises
    SettingsError if it is none.
    """

    def __init__(self, slots: int, breached: Path | None = None) -> None:
        self._breached = _Digests(breached) if breached is not None else None
        # Who names nobody costs as much time as who names somebody (semantics S1).
        self._decoy = _hashed(os.urandom(_SALT_BYTES).hex())
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="passwords")
        self._bound = slots * WAITING
        self._waiting = 0
        self._counting = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """End the threads, once what somebody still waits for is done. A second time does nothing."""
        with self._counting:
            self._closed = True
        self._threads.shutdown(wait=True)
        if self._breached is not None:
            self._breached.close()

    async def hash(self, password: str) -> str:
        """Return the hash of a password in PHC form. Raises OverloadedError if too many wait, UnavailableError once closed."""
        return await self._on_thread(_hashed, password)

    async def verify(self, password: str, hashed: str | None) -> Verified:
        """Compare a password with a hash in PHC form; with None it takes as long and is wrong. Raises as `hash` does."""
        right = await self._on_thread(_verified, password, self._decoy if hashed is None else hashed)
        return Verified(right and hashed is not None, hashed is not None and _is_stale(hashed))

    async def known_fault(self, password: str) -> str:
        """Return `common` or `breached` for a password that stands in a list of those, else nothing. Raises as `hash` does."""
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
            if outcome.done():  # its caller has left
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
            # The loop may have ended while the thread was at work; then nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, error)

        with self._counting:
            if self._closed:
                raise UnavailableError("Passwords are no longer verified: the program is stopping.")
            if self._waiting >= self._bound:
                raise OverloadedError("Too many passwords wait to be verified. Try again shortly.")
            self._waiting += 1
            # Who leaves keeps the place in the queue until a thread comes to it: else connecting and leaving makes it grow.
            self._threads.submit(turn)
        return await outcome


class _Digests:
    """A file of SHA-1 digests in order, searched by halving; nothing of it is read before it is needed."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: an empty file
            raise SettingsError(
                f"passwords.breached_file: {path} cannot be read ({error}); expected lines of SHA-1 digests in order."
            ) from error
        # The same passwords can be had in the order of their counts: there nearly nothing would be found, and nobody would notice.
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
        """Say whether the digest of a password stands in the file."""
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
        """Return the line that `at` lies in: where it begins, and what it says."""
        start = self._map.rfind(b"\n", 0, at) + 1
        end = self._map.find(b"\n", start)
        end = len(self._map) if end < 0 else end
        return start, self._map[start:end]


def _bytes_of(password: str) -> bytes:
    """Return what is hashed; half of a surrogate pair, which a browser may send in JSON, is as good as any other sign."""
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
    """Say whether any parameter of a hash is lower than today's."""
    found = _PARAMETERS.match(hashed)
    today = (MEMORY_KIB, ITERATIONS, LANES)
    return found is None or any(int(was) < now for was, now in zip(found.groups(), today, strict=True))


@cache
def _common() -> frozenset[str]:
    """Return the 30,000 passwords that are met most, in lower case."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])
