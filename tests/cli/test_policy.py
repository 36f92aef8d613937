"""What a changed policy would have done, at the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def test_without_sign_ins_nothing_would_change(run: Run, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_text("[risk]\nfailures = 1\n")
    ended = run("policy", "test", "strict.toml", "--json")
    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["sign_ins"] == 0
    plain = run("policy", "test", "strict.toml", "--since", "1")
    assert "0 of 0 sign-ins" in plain.stderr


def test_a_bad_policy_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[risk]\nfailures = 99\n")
    ended = run("policy", "test", "bad.toml")
    assert ended.exit_code == 2
    assert "risk.failures" in ended.stderr
