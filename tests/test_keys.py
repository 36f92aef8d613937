"""The keyring: one file of secrets that rotates under way, refuses what is unsafe, and shows nothing."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jwt
from joserfc.errors import BadSignatureError
from tests.clock import MINUTE, NOON, FixedClock

from countersign.errors import SettingsError, UnavailableError
from countersign.keys import (
    ACTIVATION_DELAY,
    REREAD_AFTER,
    DerivedKey,
    Keyring,
    new_file,
    read_file,
    rotate_file,
    rotate_index,
    to_hash,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLAIMS = {"iss": "https://verify.example", "sub": "user-42", "iat": 1_795_435_200}
NEW_KEY = DerivedKey("k1", 0, bytes(32))
OLDER_KEY = DerivedKey("k1", 0, bytes(32), by_record=False)
SECRET = base64.b64encode(bytes(32)).decode()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "keys.json"
    new_file(made, NOON)
    return made


@pytest.fixture
def keyring(path: Path, clock: FixedClock) -> Keyring:
    return Keyring(path, clock)


def look_again(keyring: Keyring) -> None:
    """Let the time pass after which a program looks at the file."""
    keyring._looked_at -= REREAD_AFTER + 1


def written(path: Path, stored: Any, mode: int = 0o600) -> Path:
    path.write_text(stored if isinstance(stored, str) else json.dumps(stored))
    path.chmod(mode)
    return path


def stored(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_new_file_is_its_owners_alone_and_holds_fresh_secrets(tmp_path: Path) -> None:
    for name in ("a", "b"):
        new_file(tmp_path / "new" / name, NOON)
    assert stat.S_IMODE((tmp_path / "new" / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    first, second = stored(tmp_path / "new" / "a"), stored(tmp_path / "new" / "b")
    secrets = {found["index"] for found in (first, second)} | {found["keys"][0]["secret"] for found in (first, second)}
    assert len(secrets) == 4
    assert all(len(base64.b64decode(secret)) == 32 for secret in secrets)
    assert sorted(child.name for child in (tmp_path / "new").iterdir()) == ["a", "b"], "no draft is left behind"


def test_a_key_file_is_never_overwritten(path: Path) -> None:
    """O2: nothing that is stored could be read without it."""
    before = path.read_bytes()
    with pytest.raises(SettingsError, match="never overwritten"):
        new_file(path, NOON)
    assert path.read_bytes() == before


def test_programs_that_start_at_once_agree_on_one_file(tmp_path: Path) -> None:
    def start(_: int) -> bool:
        try:
            new_file(tmp_path / "keys.json", NOON)
        except SettingsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(16))) == 1
    assert len(read_file(tmp_path / "keys.json").keys) == 1


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "not what"),
        ("{", "not what"),
        ("[]", "not what"),
        ("\x00\xff", "not what"),
        ({"index": SECRET}, "keys"),
        ({"index": SECRET, "keys": []}, "holds no key"),
        ({"index": SECRET, "keys": [{"kid": "a", "active_from": 0, "secret": SECRET}], "extra": 1}, "extra"),
        ({"index": SECRET, "keys": [{"kid": "a", "active_from": "now", "secret": SECRET}]}, "active_from"),
        (
            {"index": "AAAA", "keys": [{"kid": "a", "active_from": 0, "secret": SECRET}]},
            "index in .* has 3 bytes; expected 32",
        ),
        (
            {"index": SECRET, "keys": [{"kid": "a", "active_from": 0, "secret": "AAAA"}]},
            "a in .* has 3 bytes; expected 32",
        ),
        ({"index": SECRET, "keys": [{"kid": "a", "active_from": 0, "secret": "not base64!"}]}, "not base64"),
        ({"index": SECRET, "keys": [{"kid": "a", "active_from": 0, "secret": SECRET}] * 2}, "twice"),
        (
            {
                "index": SECRET,
                "keys": [{"kid": "a", "active_from": 0, "secret": SECRET}],
                "indexes": [{"number": number, "active_from": 0, "secret": SECRET} for number in (2, 1)],
            },
            "does not number its indexes",
        ),
        (
            {"index": SECRET, "keys": [{"kid": "a", "active_from": 0, "secret": SECRET, "retired_at": 1}]},
            "has retired every key",
        ),
    ],
)
def test_a_bad_key_file_stops_the_start_with_a_clear_word(
    tmp_path: Path, clock: FixedClock, content: Any, word: str
) -> None:
    """O2: missing, short, malformed."""
    path = written(tmp_path / "keys.json", content)
    with pytest.raises(SettingsError, match=word) as caught:
        Keyring(path, clock)
    assert str(path) in str(caught.value)
    assert "not base64!" not in str(caught.value), "an error shows no secret, not even a bad one"


def test_a_missing_key_file_stops_the_start_and_says_how_to_make_one(tmp_path: Path, clock: FixedClock) -> None:
    """O2: with the command that helps."""
    with pytest.raises(SettingsError, match="countersign keys new"):
        Keyring(tmp_path / "keys.json", clock)


@pytest.mark.parametrize("mode", [0o604, 0o660, 0o650, 0o444, 0o666, 0o644, 0o601])
def test_a_key_file_that_others_can_open_stops_the_start(path: Path, clock: FixedClock, mode: int) -> None:
    """O2: and says how to close it."""
    path.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        Keyring(path, clock)


def test_a_new_key_takes_over_once_every_program_has_had_time_to_read_it(path: Path, clock: FixedClock) -> None:
    """O2: until then, what is made can be read by those that have not looked yet."""
    running = Keyring(path, clock)
    old = running.primary.kid
    new, active_from = rotate_file(path, clock())
    assert active_from == NOON + ACTIVATION_DELAY
    assert ACTIVATION_DELAY > 2 * REREAD_AFTER * 1_000
    look_again(running)
    assert running.primary.kid == old
    assert [kid for kid, _ in running.kids()] == [old, new]
    clock.forward(ACTIVATION_DELAY - 1)
    assert running.primary.kid == old
    clock.forward(1)
    assert running.primary.kid == new
    assert Keyring(path, clock).primary.kid == new


def test_what_the_old_key_made_can_still_be_read_after_a_rotation(path: Path, clock: FixedClock) -> None:
    """O2: challenges that are under way go on."""
    running = Keyring(path, clock)
    old = running.primary
    sealed, signed, code = old.seal(b"ada@example.org", b"ver_1"), old.sign(CLAIMS), old.code
    rotate_file(path, clock())
    clock.forward(MINUTE)
    look_again(running)
    for keyring in (running, Keyring(path, clock)):
        assert keyring.primary.kid != old.kid
        assert keyring.named(old.kid).unseal(sealed, b"ver_1") == b"ada@example.org"
        assert keyring.named(old.kid).code == code
        assert keyring.verified(signed) == CLAIMS


def test_blind_indexes_survive_every_rotation(path: Path, clock: FixedClock) -> None:
    """O2: contacts, limits and clients are found as before."""
    before = Keyring(path, clock)
    rotate_file(path, clock())
    clock.forward(MINUTE)
    after = Keyring(path, clock)
    assert before.blind_index("twin", "a", "b") == after.blind_index("twin", "a", "b")
    assert before.hash_secret("csk_live_x") == after.hash_secret("csk_live_x")
    assert before.link(b"entry") == after.link(b"entry")
    assert before.fingerprint() == after.fingerprint()


def test_a_key_that_another_program_used_first_is_found_by_reading_again(path: Path, clock: FixedClock) -> None:
    """O2: a record made with a key that this program has not seen."""
    running = Keyring(path, clock)
    new, _ = rotate_file(path, clock())
    assert running.named(new).kid == new


def test_a_record_of_a_key_that_is_gone_says_which_key_is_missing(keyring: Keyring) -> None:
    with pytest.raises(UnavailableError, match="Key k00000000 is needed"):
        keyring.named("k00000000")


@pytest.mark.parametrize("harm", ["gone", "open to others", "torn", "another installation's"])
def test_a_running_program_goes_on_with_the_keys_it_has_read(
    path: Path, clock: FixedClock, tmp_path: Path, harm: str
) -> None:
    """O2: a file that is spoilt under way stops the next start, not the people who are signing in."""
    running = Keyring(path, clock)
    kid, index = running.primary.kid, running.fingerprint()
    if harm == "gone":
        path.unlink()
    elif harm == "open to others":
        path.chmod(0o644)
        os.utime(path, ns=(1, 1))
    elif harm == "torn":
        written(path, "{")
    else:
        new_file(tmp_path / "other.json", NOON + 5)
        (tmp_path / "other.json").replace(path)
    for _ in range(3):
        look_again(running)
        assert running.primary.kid == kid
        assert running.fingerprint() == index
        assert [key["kid"] for key in running.jwks()["keys"]] == [kid, f"{kid}-id"]
    if harm != "another installation's":
        with pytest.raises(SettingsError):
            Keyring(path, clock)


def test_a_clock_behind_the_first_key_uses_it_all_the_same(path: Path) -> None:
    assert Keyring(path, FixedClock(NOON - MINUTE)).primary.kid == stored(path)["keys"][0]["kid"]


def test_what_is_sealed_opens_beside_its_own_record_only(keyring: Keyring) -> None:
    """C4: a contact moved to another row is worth nothing there."""
    key = keyring.primary
    sealed = key.seal(b"ada@example.org", b"ver_1")
    assert b"ada" not in sealed
    assert key.seal(b"ada@example.org", b"ver_1") != sealed, "the same contact never looks the same twice"
    for spoilt, bound_to in [
        (sealed, b"ver_2"),
        (sealed[:-1] + bytes([sealed[-1] ^ 1]), b"ver_1"),
        (bytes([sealed[0] ^ 1]) + sealed[1:], b"ver_1"),
        (sealed[:11], b"ver_1"),
        (sealed[:20], b"ver_1"),
        (b"", b"ver_1"),
    ]:
        with pytest.raises(SettingsError, match="cannot be opened"):
            key.unseal(spoilt, bound_to)
    with pytest.raises(SettingsError, match="another installation"):
        DerivedKey(key.kid, 0, bytes(32)).unseal(sealed, b"ver_1")


@given(st.binary(max_size=400), st.binary(max_size=40))
def test_whatever_is_sealed_comes_back(plain: bytes, bound_to: bytes) -> None:
    for key in (NEW_KEY, OLDER_KEY):
        assert key.unseal(key.seal(plain, bound_to), bound_to) == plain


@pytest.mark.parametrize("by_record", [True, False])
def test_no_two_records_share_a_nonce(*, by_record: bool) -> None:
    """K3: under one key and one nonce, two sealed values would tell what they differ in (NIST SP 800-38D, 8)."""
    key = DerivedKey("k1", 0, bytes(32), by_record=by_record)
    sealed = [key.seal(b"ada@example.org", b"ver_1") for _ in range(20)]
    assert len({one[:12] for one in sealed}) == 20
    assert len({one[-16:] for one in sealed}) == 20
    assert {key.unseal(one, b"ver_1") for one in sealed} == {b"ada@example.org"}


def test_a_proof_is_verified_from_the_published_keys_alone(keyring: Keyring, path: Path, clock: FixedClock) -> None:
    """O2: by a library that is not ours, and before and after a rotation."""
    signed = keyring.primary.sign(CLAIMS)
    rotate_file(path, clock())
    look_again(keyring)
    published = json.loads(json.dumps(keyring.jwks()))
    assert len(published["keys"]) == 4, (
        "the next keys are published before they sign: one for proofs and one for ID tokens"
    )
    found = jwt.decode(signed, jwk.KeySet.import_key_set(published), algorithms=["ES256"])
    assert found.claims == CLAIMS
    assert found.header == {"alg": "ES256", "kid": keyring.primary.kid, "typ": "JWT"}
    header, _, signature = signed.split(".")
    forged = base64.urlsafe_b64encode(json.dumps({**CLAIMS, "sub": "eve"}).encode()).rstrip(b"=").decode()
    with pytest.raises(BadSignatureError):
        jwt.decode(f"{header}.{forged}.{signature}", jwk.KeySet.import_key_set(published), algorithms=["ES256"])


def test_the_published_keys_hold_nothing_secret(keyring: Keyring) -> None:
    """C8: public halves only."""
    for key in keyring.jwks()["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_the_same_claims_are_signed_with_the_same_bytes(path: Path, clock: FixedClock) -> None:
    """H2: an answer that is given again is the same."""
    assert Keyring(path, clock).primary.sign(CLAIMS) == Keyring(path, clock).primary.sign(CLAIMS)


@pytest.mark.parametrize("spoil", ["", ".", "a.b.c", "none", "other key"])
def test_what_our_keys_did_not_sign_is_not_verified(keyring: Keyring, spoil: str) -> None:
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    signed = {
        "none": f"{none}.{keyring.primary.sign(CLAIMS).split('.')[1]}.",
        "other key": DerivedKey(keyring.primary.kid, 0, bytes(32)).sign(CLAIMS),
    }.get(spoil, spoil)
    assert keyring.verified(signed) is None


def test_uses_of_the_index_are_kept_apart(keyring: Keyring) -> None:
    made = {
        keyring.blind_index("a", "b", "c"),
        keyring.blind_index("a", "bc"),
        keyring.blind_index("ab", "c"),
        keyring.hash_secret("b")[:16],
        keyring.link(b"b")[:16],
        keyring.fingerprint()[:16],
    }
    assert len(made) == 6


def test_no_repr_shows_a_secret(path: Path, keyring: Keyring) -> None:
    """C8: neither the file's, nor what is made of it."""
    file = read_file(path)
    shown = " ".join(
        [repr(keyring), repr(keyring.primary), repr(file), repr(file.keys), str(file.keys[0]), f"{keyring.primary}"]
    )
    secrets = [file.index, *(key.secret for key in file.keys), keyring.primary.code.hex(), repr(keyring.primary.code)]
    assert not any(secret in shown for secret in secrets)


def test_the_hash_of_a_contact_is_one_that_a_site_can_compute_itself() -> None:
    expected = (
        base64.urlsafe_b64encode(hashlib.sha256("j\u00fcrgen@example.org".encode()).digest()).rstrip(b"=").decode()
    )
    assert to_hash("j\u00fcrgen@example.org") == expected


def test_two_rotations_at_once_lose_no_key(path: Path) -> None:
    with ThreadPoolExecutor(8) as crowd:
        added = {kid for kid, _ in crowd.map(lambda _: rotate_file(path, 1_000), range(8))}
    assert added < {key.kid for key in read_file(path).keys}
    assert len(added) == 8


def test_a_rotation_waits_for_one_that_is_under_way(path: Path) -> None:
    """O2: both read the file before they write it."""
    folder = os.open(path.parent, os.O_RDONLY)
    with ThreadPoolExecutor(1) as other:
        fcntl.flock(folder, fcntl.LOCK_EX)
        waiting = other.submit(rotate_file, path, 1_000)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        assert len(read_file(path).keys) == 1
        os.close(folder)
        assert waiting.result(60)[0] == read_file(path).keys[-1].kid


@pytest.mark.parametrize("rotate", [rotate_file, rotate_index])
def test_an_older_file_that_is_put_back_is_refused(
    path: Path, clock: FixedClock, rotate: Callable[[Path, int], object]
) -> None:
    """K2: what was made meanwhile would be lost at the next start. The keys that were read before stay."""
    before = path.read_bytes()
    rotate(path, clock())
    clock.forward(MINUTE)
    running = Keyring(path, clock)
    kids, number = running.kids(), running.hashes.number
    path.write_bytes(before)
    with pytest.raises(SettingsError, match="older one"):
        running.read_again()
    assert (running.kids(), running.hashes.number) == (kids, number)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_rotation_by_root_leaves_the_file_to_who_serves(path: Path) -> None:
    """O2: else no program could read the new key, and none would start again."""
    os.chown(path, 65534, 65534)
    rotate_file(path, 0)
    assert (path.stat().st_uid, path.stat().st_gid, path.stat().st_mode & 0o777) == (65534, 65534, 0o600)
