"""Every decision says whether it still holds and which one replaced it, and the list of decisions says the same."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "decisions"
DECISIONS = sorted(FOLDER.glob("[0-9]*.md"))
HEAD = re.compile(
    r"# (?P<number>\d{4}): (?P<title>.+)\n\n"
    r"Status: (?P<status>accepted|superseded|superseded in part)\n"
    r"(?:\nSuccessor: \[(?P<successor>\d{4})\]\((?P<file>[\w.-]+)\).*\n)?"
    r"\n"
)
REPLACED = {"superseded", "superseded in part"}


def head(path: Path) -> re.Match[str]:
    """Return the number, title, status and successor with which a decision opens."""
    found = HEAD.match(path.read_text(encoding="utf-8"))
    assert found, f"{path.name} does not open with a title, a status, and a successor if it has one"
    return found


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: str(path.name))
def test_a_decision_says_whether_it_still_holds(path: Path) -> None:
    opening = head(path)
    assert path.name.startswith(f"{opening['number']}-")
    assert (opening["status"] in REPLACED) == bool(opening["successor"])


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: str(path.name))
def test_a_successor_is_a_later_decision_that_holds(path: Path) -> None:
    opening = head(path)
    if opening["successor"]:
        successor = FOLDER / opening["file"]
        assert successor in DECISIONS
        assert successor.name.startswith(f"{opening['successor']}-")
        assert opening["successor"] > opening["number"]


def test_the_list_names_every_decision_with_its_title_and_its_status() -> None:
    rows = []
    for path in DECISIONS:
        opening = head(path)
        by = f" by {opening['successor']}" if opening["successor"] else ""
        rows.append(f"| [{opening['number']}]({path.name}) | {opening['title']} | {opening['status']}{by} |")
    listed = re.findall(r"^\| \[\d.*$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert listed == rows


def test_no_two_decisions_have_one_number() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert len(set(numbers)) == len(numbers) > 36
