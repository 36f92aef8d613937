"""`countersign keys retire` and `keys reseal`, and what the doctor says of keys."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from countersign.clock import system_clock
from countersign.keys import Keyring, read_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


@pytest.fixture
def keys(run: Run, tmp_path: Path) -> Path:
    """The key file of an installation with an application."""
    run("apps", "add", "shop")
    return tmp_path / ".countersign" / "secret.keys"


def ago(path: Path, milliseconds: int = 3_600_000) -> None:
    """Let everything in the key file have happened so long ago."""
    stored = json.loads(path.read_text())
    for one in (*stored["keys"], *stored.get("indexes", [])):
        for name in ("active_from", "retired_at", "closed_at", "alone_from"):
            if name in one:
                one[name] -= milliseconds
    path.write_text(json.dumps(stored))


def states(run: Run) -> dict[str, str]:
    """Return what `keys list` says of each key."""
    return {key["kid"]: key["state"] for key in json.loads(run("keys", "list", "--json").stdout)}


def doctor(run: Run) -> dict[str, Any]:
    """Return what `doctor` found of keys."""
    found = json.loads(run("doctor", "--json").stdout)
    listed = found if isinstance(found, list) else found["checks"]
    return {one["name"]: one for one in listed}


def test_the_active_key_cannot_be_retired(run: Run, keys: Path) -> None:
    """K1: misuse, in clear words."""
    kid = read_file(keys).keys[0].kid
    ended = run("keys", "retire", kid)
    assert ended.exit_code == 2
    assert "countersign keys rotate" in ended.stderr
    assert run("keys", "retire", "k00000000").exit_code == 2


def test_a_key_is_rotated_resealed_and_retired(run: Run, keys: Path) -> None:
    """K1, K2: each step says what it did, and the log is whole afterwards."""
    old = read_file(keys).keys[0].kid
    rotated = json.loads(run("keys", "rotate", "--index", "--json").stdout)
    assert rotated["index"] == 1
    assert "look" in run("keys", "rotate", "--help").output or rotated["kid"]
    ago(keys)
    assert "reseal" in doctor(run)["reseal"]["remedy"]
    resealed = run("keys", "reseal")
    assert resealed.exit_code == 0, resealed.output
    assert "Index 1 is the only one now." in resealed.stdout
    retired = run("keys", "retire", old)
    assert retired.exit_code == 0, retired.output
    assert f"Retired {old}." in retired.stdout
    assert states(run)[old] in {"retired", "closed"}
    ago(keys)
    assert states(run) == {old: "closed", rotated["kid"]: "in_use"}
    keyring = Keyring(keys, system_clock)
    assert {key["kid"] for key in keyring.jwks()["keys"]} == {rotated["kid"], rotated["kid"] + "-id"}
    assert json.loads(run("keys", "reseal", "--json").stdout)["renewed"] == 0
    verified = run("events", "verify")
    assert verified.exit_code == 0, verified.output
    found = doctor(run)
    assert old in found["keys"]["what"]
    assert found["reseal"]["state"] == found["fingerprint"]["state"] == "fine"


def test_a_program_with_the_file_of_before_does_not_start_after_the_index_was_replaced(run: Run, keys: Path) -> None:
    """K2, O2: the database knows the newest index."""
    before = keys.read_bytes()
    run("keys", "rotate", "--index")
    ago(keys)
    assert run("apps", "list").exit_code == 0
    assert run("keys", "reseal").exit_code == 0
    keys.write_bytes(before)
    ended = run("apps", "list")
    assert ended.exit_code == 2
    assert "is not the one that this database was made with" in ended.stderr


def test_what_cannot_be_opened_ends_a_reseal_with_one(run: Run, keys: Path, tmp_path: Path) -> None:
    """K2: so that a script notices."""
    with sqlite3.connect(tmp_path / ".countersign" / "countersign.db") as connection:
        connection.execute(
            "INSERT INTO accounts (id, created_at, name, locale, password, password_at) VALUES ('acc_1', 1, $1, 'en', $1, 1)",
            (b"k0.what no key sealed",),
        )
    connection.close()
    run("keys", "rotate")
    ago(keys)
    ended = run("keys", "reseal")
    assert ended.exit_code == 1
    assert "1 rows cannot be opened" in ended.stderr


def test_keys_of_a_command_are_read_and_not_changed(run: Run, keys: Path, tmp_path: Path) -> None:
    """K4: a command serves as the file does; what would change the file says how to go about it."""
    wrapped = tmp_path / "wrapped"
    wrapped.write_bytes(keys.read_bytes())
    keys.unlink()
    command = f"cat, {wrapped}"
    assert run("apps", "list", SECRET_COMMAND=command).exit_code == 0
    assert len(json.loads(run("keys", "list", "--json", SECRET_COMMAND=command).stdout)) == 1
    for words in (("rotate",), ("retire", "k00000000")):
        ended = run("keys", *words, SECRET_COMMAND=command)
        assert ended.exit_code == 2
        assert "Unwrap them into a file" in ended.stderr
    assert run("keys", "reseal", SECRET_COMMAND=command).exit_code == 0
    assert not keys.exists()
    failed = run("apps", "list", SECRET_COMMAND="false, s3cret")
    assert failed.exit_code == 2
    assert "s3cret" not in failed.output + failed.stderr


def test_a_key_of_an_older_release_is_told_to_wear_out(run: Run, keys: Path) -> None:
    """K3: 2^32 seals, uncounted."""
    stored = json.loads(keys.read_text())
    assert stored["keys"][0].pop("seals") == 2
    keys.write_text(json.dumps(stored))
    assert "2^32" in doctor(run)["sealing"]["what"]
    assert keys.stat().st_mode & 0o777 == 0o600
