"""Every file and every name that a recipe gives exists, so that nobody looks for a place that was moved."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
# A path of this checkout; `NAME` in capitals stands for what the reader chooses, and such a path is not looked for.
PATH = re.compile(r"`((?:src|tests|docs|tools|bench|examples|requirements)/[\w./-]+)`")
CHOSEN = re.compile(r"[A-Z]{3,}")
# `Name` in `path`: the name is looked for in that file.
NAME_IN = re.compile(r"`(\w+)`(?:,? (?:and|or) `(\w+)`)? (?:in|of) `(src/[\w./-]+\.py)`")


def shown(path: Path) -> str:
    """Return the name of a recipe."""
    return path.stem


@pytest.mark.parametrize("path", RECIPES, ids=shown)
def test_every_file_that_a_recipe_names_is_there(path: Path) -> None:
    named = [name for name in PATH.findall(path.read_text()) if not CHOSEN.search(name)]
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", RECIPES, ids=shown)
def test_every_name_that_a_recipe_looks_for_in_a_file_is_defined_there(path: Path) -> None:
    lost = [
        f"{name} in {file}"
        for *names, file in NAME_IN.findall(path.read_text())
        for name in names
        if name and name not in _names(ROOT / file)
    ]
    assert lost == []


def _names(path: Path) -> set[str]:
    """Return every name that a module defines or imports, members of its classes included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name)
    return found


def test_every_recipe_stands_in_the_list_and_ends_with_how_to_see_that_it_works() -> None:
    listed = (ROOT / "docs" / "how-to" / "README.md").read_text()
    recipes = [path for path in RECIPES if path.name != "README.md"]
    assert len(recipes) >= 7
    for path in recipes:
        assert f"({path.name})" in listed
        assert "\n## See that it works\n" in path.read_text()
