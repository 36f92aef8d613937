"""Imports point down, neighbours never meet, and every module has its place: import-linter says so."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from tools.import_picture import PACKAGES, arrows_of, layers_of, picture_of

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


def make_package(place: Path, modules: dict[str, str], *rooms: str) -> Path:
    """Write a package named countersign with these modules, under the contracts of the real one.

    Contracts on the rooms of a package are left out, but for those of the packages in `rooms`, whose rooms are made too.
    """
    head, *contracts = (ROOT / "pyproject.toml").read_text().split("[[tool.importlinter.contracts]]")
    kept = [one for one in contracts if '-rooms"' not in one or any(f'id = "{room}-rooms"' in one for room in rooms)]
    (place / "pyproject.toml").write_text("[[tool.importlinter.contracts]]".join([head, *kept]))
    made = {"__init__": "", "domain/__init__": "", "flows/__init__": ""}
    made |= {
        f"{package}/{room}": "" for package in rooms for room in ("__init__", *arrows_of(PACKAGE / package, package))
    }
    for name, text in {**made, **modules}.items():
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


@pytest.mark.parametrize("line", ["import sqlite3", "import falcon", "from time import time", "import secrets"])
def test_a_driver_or_a_clock_in_the_domain_is_found(tmp_path: Path, line: str) -> None:
    outcome = lint_imports(make_package(tmp_path, {"domain/code": f"{line}\n"}))
    assert outcome.returncode == 1
    assert "2 kept, 1 broken" in outcome.stdout


def test_a_flow_that_imports_a_room_above_its_own_is_found(tmp_path: Path) -> None:
    modules = {"flows/accounts": "from countersign.flows import changes\n"}
    outcome = lint_imports(make_package(tmp_path, modules, "flows"))
    assert outcome.returncode == 1
    assert "countersign.flows.accounts is not allowed to import countersign.flows.changes" in outcome.stdout


def test_neighbours_among_the_flows_that_meet_are_found(tmp_path: Path) -> None:
    modules = {"flows/delivery": "from countersign.flows import accounts\n"}
    outcome = lint_imports(make_package(tmp_path, modules, "flows"))
    assert outcome.returncode == 1
    assert "countersign.flows.delivery is not allowed to import countersign.flows.accounts" in outcome.stdout


def test_a_room_of_the_domain_that_imports_one_above_it_is_found(tmp_path: Path) -> None:
    modules = {"domain/shared": "from countersign.domain import accounts\n"}
    outcome = lint_imports(make_package(tmp_path, modules, "domain"))
    assert outcome.returncode == 1
    assert "countersign.domain.shared is not allowed to import countersign.domain.accounts" in outcome.stdout


def test_a_provider_that_imports_another_is_found(tmp_path: Path) -> None:
    modules = {"providers/sms": "from countersign.providers import email\n", "providers/email": ""}
    outcome = lint_imports(make_package(tmp_path, modules, "providers"))
    assert outcome.returncode == 1
    assert "countersign.providers.sms is not allowed to import countersign.providers.email" in outcome.stdout


def test_the_picture_of_the_imports_in_the_documents_is_that_of_the_code() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = text.split("<!-- imports:begin -->")[1].split("<!-- imports:end -->")[0]
    assert drawn.strip() == f"```text\n{picture_of()}```", "run `python tools/import_picture.py --write`"


def test_flows_are_few_rooms_with_few_arrows() -> None:
    arrows = arrows_of(PACKAGE / "flows", "countersign.flows")
    assert len(arrows) <= 8
    assert sum(len(targets) for targets in arrows.values()) <= 15


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_never_import_each_other_in_a_circle(package: str) -> None:
    assert layers_of(arrows_of(PACKAGE / package, f"countersign.{package}"))


def test_a_circle_of_rooms_is_found(tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text("def late():\n    from countersign.flows.second import x\n")
    (tmp_path / "second.py").write_text("if TYPE_CHECKING:\n    from countersign.flows import first\n")
    arrows = arrows_of(tmp_path, "countersign.flows")
    assert arrows == {"first": {"second"}, "second": {"first"}}
    with pytest.raises(ValueError, match="circle: first, second"):
        layers_of(arrows)


def test_the_layers_name_every_module_at_the_top_of_the_package() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = next(c["layers"] for c in config["tool"]["importlinter"]["contracts"] if c["id"] == "layers")
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
