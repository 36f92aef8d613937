"""Where secrets come from: files of others are refused, mounted ones are taken, and a command is bounded."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from tests.clock import NOON, FixedClock

from countersign.config import load
from countersign.errors import SettingsError, UnavailableError
from countersign.keys import REREAD_AFTER, KeyCommand, KeyFile, Keyring, new_file, rotate_file
from countersign.keys import key_source as sources
from countersign.wiring import key_source_of

if TYPE_CHECKING:
    from pathlib import Path

ROOT = os.geteuid() == 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "keys.json"
    new_file(made, NOON)
    return made


def prints(path: Path) -> list[str]:
    return [sys.executable, "-c", f"print(open({str(path)!r}).read())"]


@pytest.mark.parametrize("mode", [0o440, 0o640])
def test_a_secret_that_is_mounted_for_our_group_is_taken(path: Path, mode: int) -> None:
    """O2: as Kubernetes mounts it, with `fsGroup`."""
    os.chown(path, -1, os.getegid())
    path.chmod(mode)
    assert Keyring(path, FixedClock()).primary.code


@pytest.mark.parametrize("mode", [0o444, 0o644, 0o660, 0o450, 0o441, 0o604])
def test_a_secret_that_the_world_may_read_or_the_group_may_write_is_refused(path: Path, mode: int) -> None:
    """O2: whoever its group is."""
    os.chown(path, -1, os.getegid())
    path.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        KeyFile(path).read()


@pytest.mark.skipif(not ROOT, reason="only root can give a file away")
@pytest.mark.parametrize(("owner", "group"), [(65534, 0), (0, 64_999), (65534, 64_999)])
def test_a_secret_of_a_stranger_or_of_a_group_that_is_not_ours_is_refused(path: Path, owner: int, group: int) -> None:
    """O2: others than we would read it, or could write it."""
    if group in os.getgroups():
        pytest.skip("the group is ours here")
    os.chown(path, owner, group)
    path.chmod(0o440)
    with pytest.raises(SettingsError, match="can be read by others"):
        KeyFile(path).read()


def test_a_shared_secret_in_a_folder_that_everybody_writes_to_is_refused(path: Path) -> None:
    """O2: it could be replaced by another."""
    path.chmod(0o440)
    path.parent.chmod(0o777)
    with pytest.raises(SettingsError, match="can be replaced by others"):
        KeyFile(path).read()
    path.parent.chmod(0o1777)
    assert KeyFile(path).read()


def test_a_file_that_is_no_key_file_is_not_read_to_its_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """K4: reading is bounded."""
    monkeypatch.setattr(sources, "MAX_BYTES", 100)
    with pytest.raises(SettingsError, match="longer than 100 bytes"):
        KeyFile(path).read()


def test_keys_come_from_a_command(path: Path) -> None:
    """K4: as a vault's client writes them; no shell reads the words."""
    assert Keyring(KeyCommand(prints(path)), FixedClock()).primary.kid == Keyring(path, FixedClock()).primary.kid
    assert KeyCommand(["echo", "$HOME;", "`id`"]).read() == b"$HOME; `id`\n"


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("import time; time.sleep(60)", "took more than 0.5 seconds"),
        ("import os, time; os.close(1); time.sleep(60)", "took more than 0.5 seconds"),
        ("import time\nwhile True: print('x' * 65536)", "longer than 1048576 bytes"),
        ("import sys; print('s3cret'); sys.exit(3)", "ended with status 3"),
        ("raise SystemExit('s3cret')", "ended with status 1"),
        ("print('s3cret')", "is not what `countersign keys new` writes"),
    ],
)
def test_a_command_that_fails_is_told_without_what_it_said(script: str, word: str) -> None:
    """K4: in bounded time, and nothing of it goes on running."""
    began = time.monotonic()
    with pytest.raises(SettingsError, match=word) as caught:
        Keyring(KeyCommand([sys.executable, "-c", script, "s3cret"], 0.5), FixedClock())
    assert time.monotonic() - began < 10
    assert "s3cret" not in str(caught.value)


def test_what_a_command_started_ends_with_it(tmp_path: Path) -> None:
    """K4: a child that keeps the pipe open."""
    mark = tmp_path / "alive"
    child = f"import time; time.sleep(1.5); open({str(mark)!r}, 'w')"
    parent = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    with pytest.raises(SettingsError, match="took more than"):
        KeyCommand([sys.executable, "-c", parent], 0.5).read()
    time.sleep(2)
    assert not mark.exists()


def test_a_command_that_is_not_there_is_told() -> None:
    """K4."""
    with pytest.raises(SettingsError, match="cannot be run"):
        KeyCommand(["/nowhere/vault", "s3cret"]).read()


def test_a_command_that_is_set_takes_the_place_of_the_file(path: Path) -> None:
    """K4: as a list in the file, or with commas in the environment."""
    settings = load(
        {"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_SECRET_COMMAND": f"cat, {path}"}, config_file=None
    )
    assert settings.secret_command == ("cat", str(path))
    assert key_source_of(settings).read() == path.read_bytes()
    assert str(path) not in str(key_source_of(settings)), "an argument may be secret, and goes into no error"


def test_a_key_that_a_command_has_since_written_is_read_beside_the_requests(path: Path) -> None:
    """K4: who asks for it at once is told to come again."""
    running = Keyring(KeyCommand(prints(path)), FixedClock())
    new, _ = rotate_file(path, NOON)
    running._looked_at -= REREAD_AFTER + 1
    with pytest.raises(UnavailableError):
        running.named(new)
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at and new not in [kid for kid, _ in running.kids()]:
        time.sleep(0.05)
    assert running.named(new).kid == new


@pytest.mark.parametrize("harm", ["gone", "open to others", "torn", "short", "older"])
def test_a_file_that_cannot_be_read_again_is_told_once_in_the_log(path: Path, harm: str) -> None:
    """K4: the keys that were read before stay."""
    older = path.read_bytes()
    rotate_file(path, NOON)
    running = Keyring(path, FixedClock(NOON + 120_000))
    kids = [kid for kid, _ in running.kids()]
    if harm == "gone":
        path.unlink()
    elif harm == "open to others":
        path.chmod(0o644)
        os.utime(path, ns=(1, 1))
    else:
        path.write_bytes({"torn": b"{", "short": path.read_bytes()[:100], "older": older}[harm])
    with capture_logs() as lines:
        for _ in range(3):
            running._looked_at -= REREAD_AFTER + 1
            assert running.primary.kid == kids[-1]
    assert [line["event"] for line in lines] == ["keys_not_read"]
    assert [kid for kid, _ in running.kids()] == kids
