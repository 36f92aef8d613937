"""The map of the source has a line for each folder, and names no folder that is not there."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| `([\w./-]+)/` \| (.+) \|$", re.MULTILINE)
# One folder for each language, those of tests that bear the name of a folder of the program, and parts need no line of their own.
WITHOUT_A_LINE = re.compile(
    r"src/countersign/messages/locale/.|tests/(?:domain|flows|messages|migrations|providers|store|web)/.|examples/shop/.|\.github/."
)


def folders() -> set[str]:
    """Return every folder in which git keeps a file, directly or further below."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = [Path(path) for path in listed.split("\0") if path and (ROOT / path).is_file()]
    return {str(parent) for path in paths for parent in path.parents if str(parent) != "."}


def rows() -> list[tuple[str, str]]:
    """Return each folder on the map with what is said of it."""
    return ROW.findall((ROOT / "docs" / "map.md").read_text(encoding="utf-8"))


def test_every_folder_has_its_line_on_the_map() -> None:
    expected = {folder for folder in folders() if not WITHOUT_A_LINE.match(folder)} - {"src"}
    assert expected - {folder for folder, _ in rows()} == set()


def test_every_folder_on_the_map_is_there_and_stands_once() -> None:
    named = [folder for folder, _ in rows()]
    assert len(named) > 40
    assert [folder for folder in named if not (ROOT / folder).is_dir()] == []
    assert len(set(named)) == len(named)


def test_every_line_of_the_map_is_a_sentence() -> None:
    assert [said for _, said in rows() if not re.match(r"[A-Z\"`].*\.$", said)] == []
