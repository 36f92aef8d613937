"""The table of docs/ways-on.md: every screen against every exit, each cell with a journey that is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = (ROOT / "docs" / "ways-on.md").read_text(encoding="utf-8")
EXITS: Final = (
    "success", "back", "cancel", "reload", "reopened tab", "expired", "exhausted", "no cookies", "other browser",
    "second tab", "wrong contact", "lost thing", "signed in already",
)  # fmt: skip


def rows() -> list[list[str]]:
    """Return the cells of both tables, row by row."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def journeys() -> dict[str, tuple[Path, str]]:
    """Return the file and the name of each journey by its number."""
    found = re.findall(r"^\| (\d+) \| `([\w/.]+)::(\w+)` \|$", PAGE, re.MULTILINE)
    return {number: (ROOT / file, name) for number, file, name in found}


def test_every_screen_has_a_journey_for_every_exit() -> None:
    """J1: no cell is empty, and each number has its test."""
    known = journeys()
    head, *screens = [row for row in rows() if len(row) == len(EXITS) + 1]
    assert tuple(head[1:]) == EXITS
    assert len(screens) >= 8
    for screen, *cells in screens:
        for where, cell in zip(EXITS, cells, strict=True):
            assert cell in known, (screen, where, cell)


def test_every_journey_of_the_table_is_there_and_used() -> None:
    """J1: a test that is renamed or removed leaves no gap unnoticed."""
    used = {cell for row in rows() if len(row) == len(EXITS) + 1 for cell in row[1:]}
    for number, (file, name) in journeys().items():
        assert number in used, name
        assert re.search(rf"^async def {name}\(", file.read_text(encoding="utf-8"), re.MULTILINE), name
