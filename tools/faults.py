"""Faults that the tests must notice: read from `tests/faults`, found again in the program, and put in."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final, Literal

import msgspec

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = "src/countersign"
FAULTS: Final = ROOT / "tests" / "faults"

Verdict = Literal["harmful", "second line", "equivalent"]
"""What it means if no test fails: a hole in the tests; that another place holds the same; or that nobody could tell the difference."""


class DriftError(Exception):
    """A fault no longer fits the program: what it replaces is not there, or is there more than once."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault.

    - `at`: the module below `src/countersign`, and the function or class in it, such as `store/ledger/ledger.py::Ledger.submit`;
      without one, the whole module.
    - `old`: the text that is replaced, which occurs once in that function. `new`: what stands there instead.
    - `means`: what a person would suffer from it.
    - `tests`: files or folders that are tried first, in place of the module's own.
    - `needs`: markers of tests that are left out otherwise, such as `postgres`.
    - `verdict`: "harmful" must be caught. `why` says what makes another verdict right.
    """

    id: str
    at: str
    old: str
    new: str
    means: str
    tests: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    verdict: Verdict = "harmful"
    why: str = ""
    room: str = ""

    @property
    def file(self) -> str:
        """Return the module, below `src/countersign`."""
        return self.at.partition("::")[0]

    @property
    def function(self) -> str:
        """Return the function or class; empty for the whole module."""
        return self.at.partition("::")[2]

    @property
    def path(self) -> str:
        """Return the module's path in the checkout."""
        return f"{SOURCE}/{self.file}"

    def put_into(self, text: str) -> str:
        """Return a module's text with the fault in it. Raises DriftError if it does not fit."""
        start, end = span_of(text, self.function)
        found = text[start:end].count(self.old)
        if found != 1:
            raise DriftError(f"{self.id}: {found} times in {self.at}: {self.old!r}")
        at = text.index(self.old, start)
        return text[:at] + self.new + text[at + len(self.old) :]


class _Room(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its faults, and the tests that are tried first on those of a module, where no file of tests mirrors it alone."""

    fault: list[Fault]
    tests: dict[str, tuple[str, ...]] = {}


def span_of(text: str, function: str) -> tuple[int, int]:
    """Return where a function or class begins and ends in a module's text; `function` is its name, with its classes' before it."""
    if not function:
        return 0, len(text)
    body: list[ast.stmt] = ast.parse(text).body
    found: ast.stmt | None = None
    for name in function.split("."):
        named = [one for one in body if name == getattr(one, "name", "")]
        if len(named) != 1:
            raise DriftError(f"{len(named)} times: {function}")
        found = named[0]
        body = getattr(found, "body", [])
    assert found is not None  # noqa: S101 - a name has at least one part
    lines = text.splitlines(keepends=True)
    return sum(map(len, lines[: found.lineno - 1])), sum(map(len, lines[: found.end_lineno]))


def load(folder: Path = FAULTS) -> list[Fault]:
    """Return every fault of a folder, in the order of its files; a fault's room is the name of its file."""
    found: list[Fault] = []
    for path in sorted(folder.glob("*.toml")):
        room = msgspec.toml.decode(path.read_bytes(), type=_Room)
        for one in room.fault:
            tests = one.tests or room.tests.get(one.file, ())
            found.append(msgspec.structs.replace(one, room=path.stem, tests=tests))
    return found


def shard(faults: list[Fault], which: str) -> list[Fault]:
    """Return the part `i/n` of the faults, spread so that every part has some of each room."""
    number, _, of = which.partition("/")
    first, step = int(number), int(of)
    if not 1 <= first <= step:
        raise ValueError(f"no such part: {which}")
    return faults[first - 1 :: step]


_ALSO: Final = {
    "flows": ("tests/flows", "tests/threats"),
    "domain": ("tests/flows", "tests/threats"),
    "store": ("tests/flows",),
    "web": ("tests/web",),
    "keys": ("tests/flows", "tests/threats"),
    "config": ("tests/test_config.py", "tests/test_settings.py", "tests/test_wiring.py"),
}
"""Tests of other rooms that stand on a room, tried last."""
_LEFT_OUT: Final = ("tests/threats/test_a_name_is_asked_about.py", "tests/web/test_contract.py")
"""Tests that measure time, which a busy machine would fail, and those that take minutes."""


def stages_of(fault: Fault, root: Path = ROOT) -> list[tuple[str, ...]]:
    """Return the tests that are tried on a fault, the narrowest first.

    First its own, or else the file that mirrors its module; then the folder that mirrors the module's; then those that stand on it.
    """
    module = Path(fault.file)
    mirror = Path("tests") / module.parent / f"test_{module.name}"
    folder = (Path("tests") / module).parent
    while not (root / folder).is_dir():
        folder = folder.parent
    stages = [fault.tests or ((str(mirror),) if (root / mirror).is_file() else ())]
    stages.append((str(folder),) if folder.name != "tests" else ())
    stages.append(_ALSO.get(module.parts[0], ()))
    return list(dict.fromkeys(stage for stage in stages if stage))


def left_out() -> list[str]:
    """Return the options that leave out tests which measure time or take minutes."""
    return [f"--ignore={one}" for one in _LEFT_OUT]
