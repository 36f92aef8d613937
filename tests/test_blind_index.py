"""A keyed hash by which something is found says for which use it was made, and where one value ends and the next begins."""

from __future__ import annotations

from pathlib import Path

from countersign.keys import HashKeys, Keyring, new_file
from countersign.keys.hash_keys import LaterIndex


def keyring(folder: Path) -> Keyring:
    """Return the keys of a new installation."""
    folder.mkdir(exist_ok=True)
    new_file(folder / "keys.json", 0)
    return Keyring(folder / "keys.json", lambda: 1)


def test_each_use_has_hashes_of_its_own(tmp_path: Path) -> None:
    """C4: the reference of one use is worth nothing for another."""
    keys = keyring(tmp_path)
    assert keys.blind_index("not me", "ver_1") != keys.blind_index("bounce", "ver_1")
    assert keys.blind_index("contact", "a") != keys.blind_index("suppressed", "a")
    assert keys.blind_index("x") != keys.blind_index("", "x")


def test_values_do_not_run_together(tmp_path: Path) -> None:
    keys = keyring(tmp_path)
    assert keys.blind_index("use", "ab", "c") != keys.blind_index("use", "a", "bc")
    assert keys.blind_index("use", "a", "") != keys.blind_index("use", "a")
    assert keys.blind_index("use", "a") == keys.blind_index("use", "a")


def test_each_installation_has_hashes_of_its_own(tmp_path: Path) -> None:
    one, other = keyring(tmp_path / "one"), keyring(tmp_path / "other")
    assert one.blind_index("use", "a") != other.blind_index("use", "a")
    assert one.hash_secret("a") != other.hash_secret("a")
    assert one.fingerprint() != other.fingerprint()
    assert len({one.hash_secret("a"), one.link(b"a"), one.fingerprint(), one.blind_index("a")}) == 4


SECRETS = [bytes([number]) * 32 for number in range(3)]
LATER = [LaterIndex(number, SECRETS[number]) for number in (1, 2)]


def hashes(later: int, open_from: int = 0) -> HashKeys:
    """Return the first index and this many after it; `open_from` is the oldest whose hashes are still found."""
    return HashKeys(SECRETS[0], LATER[:later], open_from)


def test_a_hash_names_its_index() -> None:
    """K2: so that it is renewed from where it stands."""
    made = [hashes(later).blind_index("contact", "ada") for later in range(3)]
    assert [hash_[0] for hash_ in made[1:]] == [1, 2]
    assert [hashes(2).position_of(hash_) for hash_ in made] == [0, 1, 2]
    assert [hashes(2).renew(hash_) for hash_ in made] == [made[2]] * 3


def test_earlier_forms_are_found_while_their_index_is_open_and_no_longer() -> None:
    """K2: while an index is replaced everybody signs in; afterwards nothing of the leaked secret is worth anything."""
    made = [hashes(later).blind_index("contact", "ada") for later in range(3)]
    for open_from, forms in ((0, (made[1], made[0])), (1, (made[1],)), (2, ())):
        keys = hashes(2, open_from)
        assert keys.earlier_forms(keys.blind_index("contact", "ada")) == forms
        assert [keys.is_hash_of(one, "contact", "ada") for one in made] == [one in (*forms, made[2]) for one in made]
        assert len(keys.fingerprints()) == len(forms) + 1
        assert len(keys.all_fingerprints()) == 3
        assert keys.replacing is bool(forms)
