"""The rules of style that a machine can check: opening sentences, size, names, nothing left undone, no machine's paths."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 420
NAMELESS = frozenset(
    {"util", "utils", "helper", "helpers", "manager", "managers", "base", "common", "misc"}
    | {"otp", "data", "info", "lib", "tools", "types", "const", "constants"}
)
UNDONE = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
# A folder of somebody's machine: its first part is one that no installation of Countersign has.
MACHINE_PATH = re.compile(r"(?<![\w.$~})/-])/(?:home|root|work|Users|mnt)/[\w.-]+")
# Whoever installs has their own; cut in two so that this line is no finding itself.
REGISTRY = re.compile(r"\bpy" r"pi\.\w+|python" r"hosted|npm" r"js\.\w+")


def tracked(*patterns: str) -> list[Path]:
    """Return the files that git keeps and that still exist, those that match the patterns if any are given."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / path for path in listed.split("\0") if path and (ROOT / path).is_file()]


def modules(*folders: str) -> list[Path]:
    """Return every module of ours, or those below these folders."""
    patterns = [f"{folder}/**.py" for folder in folders] if folders else ["*.py"]
    return tracked(*patterns)


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text())


def text_files() -> list[tuple[Path, str]]:
    """Return every file of text that git keeps, with its text."""
    found = []
    for path in tracked():
        try:
            found.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def shown(path: Path) -> str:
    """Return a path as a person would type it at the top of the checkout."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_a_module_opens_with_a_sentence_or_two_that_say_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    if path.name == "__init__.py" and not text.strip():
        return
    docstring = ast.get_docstring(parsed(path))
    assert docstring, "no docstring"
    opening = docstring.split("\n\n", maxsplit=1)[0]
    assert opening.endswith("."), "the first paragraph is not a sentence"
    assert len(re.findall(r"[.!?] [A-Z]", opening)) < 2, "the first paragraph is more than two sentences"


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_a_module_holds_one_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_no_name_of_a_module_could_mean_anything() -> None:
    ours = modules("src", "tests", "bench", "examples")
    assert ours
    vague = [shown(path) for path in ours if NAMELESS & {path.stem, *path.relative_to(ROOT).parts[:-1]}]
    assert vague == []


def test_no_two_classes_have_one_name() -> None:
    """Names of a module's own, with an underscore, may recur."""
    places: dict[str, list[str]] = {}
    for path in modules("src"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(shown(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_nothing_is_left_undone() -> None:
    left = [shown(path) for path, text in text_files() if UNDONE.search(text)]
    assert left == []


def test_no_file_knows_the_paths_of_the_machine_it_was_written_on() -> None:
    found = [f"{shown(path)}: {match[0]}" for path, text in text_files() for match in MACHINE_PATH.finditer(text)]
    assert found == []


def test_no_file_names_a_package_registry() -> None:
    found = [f"{shown(path)}: {match[0]}" for path, text in text_files() for match in REGISTRY.finditer(text)]
    assert found == []


@pytest.mark.parametrize("path", modules("tests"), ids=shown)
def test_a_test_is_a_sentence(path: Path) -> None:
    least_words = 3
    names = [node.name for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    short = [name for name in names if name.startswith("test_") and len(name.split("_")) - 1 < least_words]
    assert short == []
