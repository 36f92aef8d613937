"""The emulator: from nothing to a code in the inbox, and nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

from countersign.config.sources import PREFIX


def asked(url: str, key: str, body: dict[str, str] | None = None) -> object:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, headers), timeout=10) as answer:  # noqa: S310 - an address that we were just told
        found: object = json.load(answer)
        return found


def open_files(pid: str) -> set[str]:
    """Return the files that a process has open; one that it closes meanwhile is left out."""
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(file.readlink()))
    return found


def test_it_serves_from_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """Settings of the folder and of the environment are not read; as often as a test asks, it is answered."""
    (tmp_path / "countersign.toml").write_text("this is no settings file")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environ |= {"COUNTERSIGN_ENVIRONMENT": "production", "TMPDIR": str(temporary)}
    command = [sys.executable, "-m", "countersign", "emulate", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = json.loads(process.stdout.readline())
            for number in range(40):
                begun = asked(
                    f"{told['url']}/v1/verifications",
                    told["key"],
                    {"to": "ada@example.org", "purpose": "sign_in", "subject": str(number)},
                )
                assert isinstance(begun, dict)
                assert begun["status"] == "pending"
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            opened = {name for pid in children for name in open_files(pid)}
            kept = {Path(name).parent for name in opened if "/countersign-" in name}
        finally:
            process.terminate()
            process.wait(20)
    assert process.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["countersign.toml", "temporary"]
    assert list(temporary.iterdir()) == []
    assert kept
    assert not [folder for folder in kept if folder.exists()]
