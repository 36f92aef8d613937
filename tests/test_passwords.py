"""Passwords: hashed as others hash them, compared in a time that tells nothing, on threads that never fall behind for long."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.domain.accounts.password import MAX_LENGTH, PasswordFault
from countersign.errors import OverloadedError, SettingsError, UnavailableError
from countersign.passwords import ITERATIONS, LANES, MEMORY_KIB, WAITING, Passwords, Verified

RIGHT, WRONG = Verified(right=True), Verified(right=False)
GOOD = "correct horse battery staple"
OTHERS = [f"a password of somebody else {number}" for number in range(2_000)]


@pytest.fixture(name="passwords")
def passwords_() -> Iterator[Passwords]:
    """Passwords on two threads, without a file."""
    made = Passwords(2)
    yield made
    made.close()


def by_the_library(password: str, *, memory: int = MEMORY_KIB, times: int = ITERATIONS, lanes: int = LANES) -> str:
    """Hash a password with nothing of ours."""
    made = Argon2id(salt=os.urandom(16), length=32, iterations=times, lanes=lanes, memory_cost=memory)
    return made.derive_phc_encoded(password.encode())


def digest(password: str) -> str:
    """Return what a file of breached passwords says of one."""
    return hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()


def digests(place: Path, lines: list[str], end: str = "\n", last: str = "\n") -> Path:
    """Write a file of digests."""
    path = place / "breached.txt"
    path.write_bytes((end.join(lines) + last).encode())
    return path


# ------------------------------------------------------------------------------------------------------- hash and verify


async def test_a_hash_has_the_parameters_that_are_promised_and_a_salt_of_its_own(passwords: Passwords) -> None:
    """S9: Argon2id, 19,456 KiB, 2 passes, 1 lane, 16 bytes of salt, 32 of hash."""
    first, second = await passwords.hash(GOOD), await passwords.hash(GOOD)
    _, kind, version, parameters, salt, made = first.split("$")
    assert (kind, version, parameters) == ("argon2id", "v=19", "m=19456,t=2,p=1")
    assert [len(base64.b64decode(part + "==")) for part in (salt, made)] == [16, 32]
    assert first.split("$")[4:] != second.split("$")[4:]


async def test_the_library_knows_our_hashes_and_we_know_its(passwords: Passwords) -> None:
    """S9: the PHC form is the one that others read."""
    ours = await passwords.hash(GOOD)
    Argon2id.verify_phc_encoded(GOOD.encode(), ours)
    with pytest.raises(InvalidKey):
        Argon2id.verify_phc_encoded(b"another", ours)
    assert await passwords.verify(GOOD, by_the_library(GOOD)) == RIGHT
    assert await passwords.verify("another", by_the_library(GOOD)) == WRONG


async def test_a_hash_is_the_one_that_its_salt_gives_when_derived_step_by_step(passwords: Passwords) -> None:
    """S9: no step of ours comes between the password and Argon2id."""
    salt, made = (base64.b64decode(part + "==") for part in (await passwords.hash(GOOD)).split("$")[4:])
    again = Argon2id(salt=salt, length=32, iterations=2, lanes=1, memory_cost=19_456)
    assert again.derive(GOOD.encode()) == made


@pytest.mark.parametrize(
    "password",
    ["", "\0", "a\0b", "🦉" * MAX_LENGTH, "\ud800", "\udfff\ud800", " leading and trailing ", "e\u0301"],
    ids=ascii,
)
async def test_every_text_can_be_a_password_and_only_itself(passwords: Passwords, password: str) -> None:
    """S9: NUL ends nothing, nothing is cut, and half a surrogate pair is a sign like any other."""
    hashed = await passwords.hash(password)
    assert await passwords.verify(password, hashed) == RIGHT
    for other in (password + "\0", password + " ", password[:-1] + "x"):
        assert await passwords.verify(other, hashed) == WRONG


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(), max_size=MAX_LENGTH), st.text(st.characters(), max_size=MAX_LENGTH))
def test_only_the_password_itself_is_right(password: str, typed: str) -> None:
    passwords = Passwords(1)
    try:
        found = asyncio.run(_verify_new(passwords, password, typed))
    finally:
        passwords.close()
    assert found.right is (password == typed)


async def _verify_new(passwords: Passwords, password: str, typed: str) -> Verified:
    return await passwords.verify(typed, await passwords.hash(password))


@pytest.mark.parametrize(
    ("memory", "times", "lanes", "stale"),
    [
        (19_456, 2, 1, False),
        (19_455, 2, 1, True),
        (19_456, 1, 1, True),
        (65_536, 1, 1, True),
        (9_216, 4, 1, True),
        (19_456, 3, 1, False),
        (65_536, 3, 4, False),
    ],
)
async def test_a_hash_below_todays_parameters_is_to_be_made_anew(
    passwords: Passwords,
    memory: int,
    times: int,
    lanes: int,
    stale: bool,  # noqa: FBT001 - a table
) -> None:
    """S9: any one that is lower; higher ones stay."""
    hashed = by_the_library(GOOD, memory=memory, times=times, lanes=lanes)
    assert await passwords.verify(GOOD, hashed) == Verified(right=True, stale=stale)


async def test_a_new_hash_is_not_stale(passwords: Passwords) -> None:
    """S9: else every sign-in would hash anew."""
    assert await passwords.verify(GOOD, await passwords.hash(GOOD)) == RIGHT


@pytest.mark.parametrize("hashed", ["", "x", "$argon2id$v=19$m=19456,t=2,p=1$AAAA", "$2b$12$abcdefghijklmnopqrstuv"])
async def test_what_is_no_hash_lets_nobody_in(passwords: Passwords, hashed: str) -> None:
    assert not (await passwords.verify("", hashed)).right
    assert not (await passwords.verify(hashed, hashed)).right


# -------------------------------------------------------------------------------------------------------------- S1: time


async def test_nobody_is_never_right(passwords: Passwords) -> None:
    """S1: without a hash there is nothing to match, and nothing to make anew."""
    for typed in ("", GOOD, passwords._decoy):
        assert await passwords.verify(typed, None) == WRONG


async def _low(passwords: Passwords, hashed: dict[str, str | None], rounds: int) -> dict[str, float]:
    """Return the lower quartile of the processor's time (s) that each takes, its thread's with it.

    What else the machine does costs no time of this process, and each comes first as often as the others.
    """
    samples: dict[str, list[float]] = {name: [] for name in hashed}
    turns = list(hashed.items())
    gc.disable()
    try:
        for _ in range(rounds):
            for name, one in turns:
                began = time.process_time()
                await passwords.verify("wrong", one)
                samples[name].append(time.process_time() - began)
            turns.append(turns.pop(0))
    finally:
        gc.enable()
    return {name: statistics.quantiles(times, n=4)[0] for name, times in samples.items()}


@pytest.mark.slow
async def test_nobody_costs_as_much_time_as_somebody(passwords: Passwords) -> None:
    """S1: against the noise of somebody against somebody else, in turns, on a machine that may be busy."""
    low = await _low(passwords, {"ada": by_the_library(GOOD), "nobody": None, "grace": by_the_library(GOOD)}, 40)
    noise = abs(low["ada"] - low["grace"])
    assert abs(low["nobody"] - low["ada"]) <= max(3 * noise, 0.1 * low["ada"])


@pytest.mark.slow
async def test_the_measure_of_time_would_notice_a_cheaper_nobody(passwords: Passwords) -> None:
    """S1: the control of the test above - a decoy of one pass instead of two."""
    cheap = by_the_library(GOOD, times=1)
    low = await _low(passwords, {"ada": by_the_library(GOOD), "nobody": cheap, "grace": by_the_library(GOOD)}, 40)
    noise = abs(low["ada"] - low["grace"])
    assert abs(low["nobody"] - low["ada"]) > max(3 * noise, 0.1 * low["ada"])


# --------------------------------------------------------------------------------------------------------------- threads


def held(passwords: Passwords, slots: int) -> threading.Event:
    """Keep every thread busy until the event is set."""
    go, busy = threading.Event(), threading.Semaphore(0)

    def wait() -> None:
        busy.release()
        go.wait(30)

    for _ in range(slots):
        passwords._threads.submit(wait)
    for _ in range(slots):
        assert busy.acquire(timeout=30)
    return go


async def test_one_more_than_may_wait_is_refused_and_the_others_are_served(passwords: Passwords) -> None:
    go = held(passwords, 2)
    waiting = [asyncio.create_task(passwords.known_fault(GOOD)) for _ in range(2 * WAITING)]
    await asyncio.sleep(0)
    try:
        for act in (passwords.hash(GOOD), passwords.verify(GOOD, None), passwords.known_fault(GOOD)):
            with pytest.raises(OverloadedError) as refused:
                await act
            assert refused.value.retry_after >= 1
    finally:
        go.set()
    assert await asyncio.gather(*waiting) == [""] * (2 * WAITING)
    assert (await passwords.verify(GOOD, await passwords.hash(GOOD))).right


async def test_who_leaves_the_queue_does_not_let_it_grow(passwords: Passwords) -> None:
    """Connecting and leaving, over and over, must not pile up what no thread has come to yet."""
    go = held(passwords, 2)
    try:
        for _ in range(5):
            callers = [asyncio.create_task(passwords.hash(GOOD)) for _ in range(2 * WAITING)]
            await asyncio.sleep(0)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
        assert passwords._threads._work_queue.qsize() == 2 * WAITING
    finally:
        go.set()
    # None of the 128 is hashed for nobody: that would take seconds.
    began = time.perf_counter()
    while passwords._waiting >= 2 * WAITING:  # noqa: ASYNC110 - the queue has no bell for tests
        await asyncio.sleep(0.001)
    assert await passwords.known_fault(GOOD) == ""
    assert time.perf_counter() - began < 1


async def test_the_loop_stays_free_while_every_thread_hashes(passwords: Passwords) -> None:
    hashing = asyncio.gather(*(passwords.hash(GOOD) for _ in range(6)))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert len(await hashing) == 6
    assert turns > 10, "six hashes on two threads take three times 50 ms, in which the loop goes on"


async def test_after_the_end_nothing_is_begun_and_what_waits_is_done() -> None:
    passwords = Passwords(1)
    waiting = [asyncio.create_task(passwords.known_fault(GOOD)) for _ in range(3)]
    await asyncio.sleep(0)
    passwords.close()
    assert await asyncio.gather(*waiting) == ["", "", ""]
    assert not any(thread.name.startswith("passwords") for thread in threading.enumerate())
    with pytest.raises(UnavailableError, match="stopping"):
        await passwords.verify(GOOD, None)
    passwords.close()


# ------------------------------------------------------------------------------------------------- common and breached


@pytest.mark.parametrize("password", ["password1", "PASSWORD1", "iloveyou", "12345678", "qwertyuiop", "P@ssw0rd"])
async def test_what_everybody_tries_is_common(passwords: Passwords, password: str) -> None:
    """S9: in whatever case."""
    assert await passwords.known_fault(password) == PasswordFault.COMMON.value


async def test_what_stands_in_no_list_is_taken(passwords: Passwords) -> None:
    """S9: without a file of breached passwords too."""
    assert await passwords.known_fault("marmots engrave quietly") == ""
    assert await passwords.known_fault("\ud800\0🦉") == ""


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("count", [":3", ""], ids=["counts", "bare"])
@pytest.mark.parametrize("lower", [False, True], ids=["upper", "lower"])
async def test_every_line_of_a_file_is_found_and_nothing_else(
    tmp_path: Path,
    end: str,
    count: str,
    lower: bool,  # noqa: FBT001 - a table
) -> None:
    """S9: the first and the last line as well, however the lines end."""
    lines = [line.lower() if lower else line for line in sorted(digest(one) + count for one in OTHERS)]
    passwords = Passwords(1, digests(tmp_path, lines, end, end))
    try:
        found = {one for one in OTHERS if await passwords.known_fault(one) == PasswordFault.BREACHED.value}
        assert found == set(OTHERS)
        for one in OTHERS[:500]:
            assert await passwords.known_fault(f"{one}, changed") == ""
    finally:
        passwords.close()


@settings(max_examples=50, deadline=None)
@given(st.sets(st.text(st.characters(), max_size=20), min_size=1, max_size=40), st.data())
def test_a_file_of_any_length_is_searched_rightly(
    tmp_path_factory: pytest.TempPathFactory, breached: set[str], data: st.DataObject
) -> None:
    """S9: lines of uneven length, with or without an end to the last."""
    lines = sorted(f"{digest(one)}:{data.draw(st.integers(1, 10**8))}" for one in breached)
    path = digests(tmp_path_factory.mktemp("b"), lines, last=data.draw(st.sampled_from(["", "\n"])))
    passwords = Passwords(1, path)
    try:
        assert passwords._breached is not None
        assert all(passwords._breached.holds(one) for one in breached)
        other = data.draw(st.text(max_size=20).filter(lambda one: one not in breached))
        assert not passwords._breached.holds(other)
    finally:
        passwords.close()


async def test_what_is_common_is_called_so_even_where_it_is_breached_too(tmp_path: Path) -> None:
    passwords = Passwords(1, digests(tmp_path, [f"{digest('password1')}:3000000"]))
    try:
        assert await passwords.known_fault("password1") == PasswordFault.COMMON.value
    finally:
        passwords.close()


def test_a_file_in_the_order_of_its_counts_stops_the_start(tmp_path: Path) -> None:
    """S9: it would be searched in vain, and nobody would notice."""
    lines = [f"{digest(one)}:{count}" for count, one in enumerate(OTHERS)]
    with pytest.raises(SettingsError, match="sorted by digest"):
        Passwords(1, digests(tmp_path, lines))


@pytest.mark.parametrize(
    "lines",
    [
        ["password1", "qwerty"],
        ["5F4DCC3B5AA765D61D8327DEB882CF99:10"],
        [digest("a") + "0:1"],
        [digest("a") + ":many"],
        ["\ufeff" + digest("a")],
        ["5BAA61E4"],
    ],
    ids=["passwords", "md5", "too-long", "no-count", "byte-order-mark", "too-short"],
)
def test_a_file_of_anything_else_stops_the_start(tmp_path: Path, lines: list[str]) -> None:
    path = digests(tmp_path, lines)
    with pytest.raises(SettingsError, match=r"passwords\.breached_file") as refused:
        Passwords(1, path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_missing_or_empty_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name in ("missing", "empty"):
        with pytest.raises(SettingsError, match="cannot be read"):
            Passwords(1, tmp_path / name)


async def test_no_error_and_no_repr_holds_a_password(passwords: Passwords) -> None:
    hashed = await passwords.hash(GOOD)
    shown = [repr(passwords), repr(await passwords.verify(GOOD, hashed)), repr(vars(passwords))]
    assert not any(GOOD in text for text in shown)
