"""A keyed hash by which something is found says for which use it was made, and where one value ends and the next begins."""

from __future__ import annotations

from pathlib import Path

from countersign.keys import Keyring, new_file


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
