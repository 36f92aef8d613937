"""Imports point down, neighbours never meet, and every module has its place: import-linter says so."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "countersign"

BROKEN = "from countersign.flows import upward\n"


def lint_imports(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run import-linter in `place`, which holds a pyproject.toml and src/countersign."""
    program = "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-I", "-c", program, "--no-cache", *words],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def contracts() -> list[dict[str, Any]]:
    """Return the contracts of the real package."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert isinstance(found, list)
    return found


def rooms_of_contracts() -> list[str]:
    """Return the folders that must be there, since a contract inside the package names them and their required layers."""
    found: list[str] = []
    for contract in contracts():
        for container in contract.get("containers", ()):
            room = "/".join(container.split(".")[1:])
            layers = {name.strip() for line in contract["layers"] for name in line.split("|")}
            found += [f"{room}/{name}" for name in ("", *layers) if room and not name.startswith("(")]
    return [room.rstrip("/") for room in found]


def make_package(place: Path, modules: dict[str, str]) -> Path:
    """Write a package named countersign with these modules, under the contracts of the real one."""
    (place / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    rooms = {f"{room}/__init__": "" for room in rooms_of_contracts()}
    for name, text in {"__init__": "", "domain/__init__": "", "flows/__init__": "", **rooms, **modules}.items():
        path = place / "src" / "countersign" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place


def test_imports_point_down_and_neighbours_never_meet() -> None:
    outcome = lint_imports(ROOT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "0 broken" in outcome.stdout


def test_the_contracts_let_a_house_in_order_pass(tmp_path: Path) -> None:
    place = make_package(
        tmp_path, {"flows/begin": "from countersign.domain import code\n", "domain/code": "import hmac\n"}
    )
    assert lint_imports(place).returncode == 0


def test_an_import_that_points_up_is_found(tmp_path: Path) -> None:
    outcome = lint_imports(make_package(tmp_path, {"flows/upward": "", "domain/code": BROKEN}))
    assert outcome.returncode == 1
    assert "countersign.domain is not allowed to import countersign.flows" in outcome.stdout


def test_neighbours_that_meet_are_found(tmp_path: Path) -> None:
    modules = {"store/__init__": "from countersign import keys\n", "keys": ""}
    outcome = lint_imports(make_package(tmp_path, modules))
    assert outcome.returncode == 1
    assert "countersign.store is not allowed to import countersign.keys" in outcome.stdout


def test_a_module_without_a_place_is_found(tmp_path: Path) -> None:
    outcome = lint_imports(make_package(tmp_path, {"stray": ""}))
    assert outcome.returncode == 1
    assert "stray" in outcome.stdout


def test_a_provider_that_imports_another_is_found(tmp_path: Path) -> None:
    modules = {"providers/sms/__init__": "from countersign.providers import email\n", "providers/email/__init__": ""}
    outcome = lint_imports(make_package(tmp_path, modules))
    assert outcome.returncode == 1
    assert "countersign.providers.sms is not allowed to import countersign.providers.email" in outcome.stdout


@pytest.mark.parametrize("line", ["import sqlite3", "import falcon", "from time import time", "import secrets"])
def test_a_driver_or_a_clock_in_the_domain_is_found(tmp_path: Path, line: str) -> None:
    outcome = lint_imports(make_package(tmp_path, {"domain/code": f"{line}\n"}))
    assert outcome.returncode == 1
    assert f"{len(contracts()) - 1} kept, 1 broken" in outcome.stdout


def test_the_layers_name_every_module_at_the_top_of_the_package() -> None:
    layers = next(contract["layers"] for contract in contracts() if contract["id"] == "layers")
    placed = {name.strip(" ()") for line in layers for name in line.split("|")}
    found = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert found - {"__init__"} <= placed


@pytest.mark.parametrize("folder", ["domain", "flows"])
def test_the_domain_and_the_flows_write_no_address_of_their_own(folder: str) -> None:
    written = {
        f"{path.relative_to(PACKAGE)}: {node.value!r}"
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith(("/", "http://", "https://"))
    }
    assert written == set()
