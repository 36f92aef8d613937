"""A write that is not awaited is never made; the type checker says so before anybody can run it (decision 0004)."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).resolve().parent.parent


class Write(msgspec.Struct, frozen=True):
    """A write in a flow, as it stands in the source."""

    module: str
    line: str


WRITES = (
    # S8: whoever was signed in on this browser before is signed out.
    Write("flows/sign_in/start_session.py", "await sessions.end(context.token_hash(start.browser.session))"),
    # S4: no browser is trusted after a change.
    Write("flows/changes/epoch.py", "await devices.end_trust(account.id)"),
    # A restored contact is an identifier no more.
    Write("flows/changes/undo.py", "await accounts.delete_identifier(contact)"),
)


def copy_of_the_source(folder: Path) -> Path:
    """Copy the package, and what the type checker remembers of it if it ran before."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    if (ROOT / ".mypy_cache").is_dir():
        shutil.copytree(ROOT / ".mypy_cache", folder / ".mypy_cache")
    return folder / "src" / "countersign"


def type_check(folder: Path, modules: Sequence[str]) -> str:
    """Return what mypy, as strict as everywhere, says of these modules."""
    words = [f"src/countersign/{module}" for module in modules]
    outcome = subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    return outcome.stdout + outcome.stderr


@pytest.mark.slow  # a fresh machine has no cache of the type checker
def test_an_await_that_is_struck_before_a_write_is_an_error_of_the_type_checker(tmp_path: Path) -> None:
    package = copy_of_the_source(tmp_path)
    expected = []
    for write in WRITES:
        path = package / write.module
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        numbers = [number for number, line in enumerate(lines, 1) if line.strip() == write.line]
        assert len(numbers) == 1, f"{write.module} has no single line {write.line!r}"
        lines[numbers[0] - 1] = lines[numbers[0] - 1].replace("await ", "")
        path.write_text("".join(lines), encoding="utf-8")
        expected.append(f"src/countersign/{write.module}:{numbers[0]}: error: ")
    said = type_check(tmp_path, [write.module for write in WRITES]).splitlines()
    for place in expected:
        assert any(line.startswith(place) and "[unused-coroutine]" in line for line in said), "\n".join(said)
