"""Prints which rooms of the program import which, as the text that stands in docs/architecture.md; `--write` puts it there.

A room is a package or a module directly below one of these packages. Imports for types alone count like any other.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Final, TypeAlias

ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = ROOT / "docs" / "architecture.md"
BEGIN: Final = "<!-- imports:begin -->"
END: Final = "<!-- imports:end -->"
PACKAGES: Final = ("flows", "web", "store", "providers", "domain")

Arrows: TypeAlias = dict[str, set[str]]
"""The rooms of a package, each with those that it imports."""


def arrows_of(folder: Path, name: str) -> Arrows:
    """Return the rooms of one package and what they import from each other.

    Args:
        folder: The folder of the package.
        name: Its full name, such as "countersign.flows".
    """
    rooms = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    found: Arrows = {room: set() for room in sorted(rooms - {"__init__"})}
    for path in sorted(folder.rglob("*.py")):
        room = path.relative_to(folder).parts[0].removesuffix(".py")
        for target in _imported(path, name):
            if room in found and target in found and target != room:
                found[room].add(target)
    return found


def _imported(path: Path, name: str) -> set[str]:
    """Return the rooms that a module imports, and names that are no rooms."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {module.removeprefix(f"{name}.").split(".")[0] for module in modules if module.startswith(f"{name}.")}
    return found


def layers_of(arrows: Arrows) -> list[list[str]]:
    """Return the rooms in rows, each above all that it imports.

    Raises:
        ValueError: Rooms import each other in a circle; the message names those that are left.
    """
    layers: list[list[str]] = []
    left = dict(arrows)
    while left:
        row = sorted(room for room, targets in left.items() if not targets & left.keys())
        if not row:
            raise ValueError(f"rooms import each other in a circle: {', '.join(sorted(left))}")
        layers.insert(0, row)
        left = {room: targets for room, targets in left.items() if room not in row}
    return layers


def picture_of(root: Path = ROOT) -> str:
    """Return the picture of all packages; every arrow in it points down."""
    lines: list[str] = []
    for package in PACKAGES:
        arrows = arrows_of(root / "src" / "countersign" / package, f"countersign.{package}")
        layers = layers_of(arrows)
        count = sum(len(targets) for targets in arrows.values())
        lines += ["", f"{package}: {len(arrows)} rooms, {count} arrows, {len(layers)} layers"]
        width = max(len(room) for room in arrows)
        for row in layers:
            for room in row:
                targets = ", ".join(sorted(arrows[room]))
                lines.append(f"    {room:<{width}}  -> {targets}" if targets else f"    {room}")
    return "\n".join(lines[1:]) + "\n"


def write() -> None:
    """Put the picture into the document, between its two markers."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n```text\n{picture_of()}```\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    if "--write" in sys.argv:
        write()
    else:
        sys.stdout.write(picture_of())
