"""Puts faults into copies of the checkout, one at a time, and says which ones no test notices.

`python -m tools.mutate --room flows-sign-in` tries one room, `--only ID` one fault, `--shard 1/4` a quarter of all.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from tools.faults import FAULTS, ROOT, Fault, left_out, load, shard, stages_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BUILD: Final = ROOT / "build" / "mutants"
LEFT_OUT: Final = ("postgres", "browser", "slow", "peers")
"""Markers of tests that take too long for each fault; a fault may need one of them."""
_PASSED, _FAILED, _BROKEN, _NOTHING_RUN = 0, 1, 2, 5


class Found(StrEnum):
    """What became of a fault."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    BROKEN = "broken"


class Result(msgspec.Struct, frozen=True):
    """What became of one fault: `by` is the first test that failed, `seconds` how long it took, `digest` names what was tried."""

    id: str
    room: str
    verdict: str
    found: Found
    by: str
    seconds: float
    digest: str


class Run(msgspec.Struct, frozen=True):
    """One run of pytest: its exit status (-1 if it took too long), and the end of what it said."""

    status: int
    said: str


class Copy(msgspec.Struct, frozen=True):
    """A copy of the checkout, into which faults are put. `root` is where it is, `limit` the seconds that one run of tests may take."""

    root: Path
    limit: float

    def write(self, path: str, text: str) -> None:
        """Write a module, and drop its bytecode: it would be taken for that of the text before, which has the same second and size."""
        target = self.root / path
        target.write_text(text, encoding="utf-8")
        for stale in (target.parent / "__pycache__").glob(f"{target.stem}.*.pyc"):
            stale.unlink()

    def test(self, tests: Sequence[str], needs: Sequence[str] = ()) -> Run:
        """Run tests until the first that fails."""
        markers = " or ".join(marker for marker in LEFT_OUT if marker not in needs)
        words = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", "-m", f"not ({markers})"]
        # Plugins that no test of these needs take half of the time that a run takes to begin.
        words += [word for name in ("cacheprovider", "xdist", "schemathesis") for word in ("-p", f"no:{name}")]
        words += [*left_out(), *tests]
        paths = os.pathsep.join(str(self.root / one) for one in ("src", "."))
        process = subprocess.Popen(
            words,
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=self.limit)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return Run(-1, "it takes too long")
        return Run(process.returncode, said)

    def judge(self, fault: Fault) -> tuple[Found, str]:
        """Put a fault in, run its tests from the narrowest to the widest, and take it out again."""
        before = (self.root / fault.path).read_text(encoding="utf-8")
        self.write(fault.path, fault.put_into(before))
        try:
            for tests in stages_of(fault, self.root):
                run = self.test(tests, fault.needs)
                if run.status in {_PASSED, _NOTHING_RUN}:
                    continue
                if run.status in {_FAILED, _BROKEN, -1}:
                    return Found.CAUGHT, first_failure(run)
                return Found.BROKEN, run.said[-400:]
        finally:
            self.write(fault.path, before)
        return Found.SURVIVED, ""


def first_failure(run: Run) -> str:
    """Return the first test that failed, or the end of what was said if none is named."""
    lines = (line for line in run.said.splitlines() if line.startswith(("FAILED ", "ERROR ")))
    return next((line.split()[1] for line in lines), run.said.strip()[-80:])


def digest_of(fault: Fault, root: Path = ROOT) -> str:
    """Return what names a fault in the module as it is now: when either changes, it is tried anew."""
    module = (root / fault.path).read_bytes()
    return hashlib.sha256(f"{fault.at}\0{fault.old}\0{fault.new}\0".encode() + module).hexdigest()[:16]


def copy_tree(target: Path, root: Path = ROOT) -> None:
    """Copy every file that git keeps, and those that it would."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout
    shutil.rmtree(target, ignore_errors=True)
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target / name)
    # Some tests ask git for the files of the checkout.
    subprocess.run(["git", "init", "-q"], cwd=target, check=True)


class Book:
    """The results so far, kept in a file after each fault, so that a run that was stopped goes on where it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results: dict[str, Result] = {}
        if path.exists():
            kept = msgspec.json.decode(path.read_bytes(), type=list[Result])
            self.results = {one.id: one for one in kept}

    def is_settled(self, fault: Fault) -> bool:
        """Return True if the fault was caught in the module as it is now. One that survived is tried again: there may be a test."""
        kept = self.results.get(fault.id)
        return kept is not None and kept.found is Found.CAUGHT and kept.digest == digest_of(fault)

    def add(self, result: Result) -> None:
        """Keep a result, and write all of them."""
        self.results[result.id] = result
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(msgspec.json.format(msgspec.json.encode(list(self.results.values()))))


def table(faults: Iterable[Fault], results: dict[str, Result]) -> str:
    """Return the results in Markdown: counts for each room, then every fault that no test noticed."""
    rooms: dict[str, Counter[str]] = {}
    lines = ["| fault | where | what it means | verdict | found | why |", "|---|---|---|---|---|---|"]
    for fault in faults:
        if (result := results.get(fault.id)) is None:
            continue
        rooms.setdefault(fault.room, Counter())[result.found] += 1
        if result.found is not Found.CAUGHT:
            cells = (fault.id, fault.at, fault.means, fault.verdict, result.found, fault.why)
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    head = ["| room | " + " | ".join(Found) + " |", "|---|" + "---|" * len(Found)]
    head += [f"| {room} | " + " | ".join(str(counts[one]) for one in Found) + " |" for room, counts in rooms.items()]
    return "\n".join([*head, "", *lines]) + "\n"


def try_all(faults: Sequence[Fault], book: Book, *, jobs: int, limit: float) -> None:
    """Try faults in `jobs` copies of the checkout at once, and keep each result."""
    copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    for number in range(min(jobs, len(faults))):
        copy_tree(BUILD / f"copy-{os.getpid()}-{number}")
        copies.put(Copy(BUILD / f"copy-{os.getpid()}-{number}", limit))

    def one(fault: Fault) -> Result:
        copy, begun = copies.get(), time.monotonic()
        try:
            found, by = copy.judge(fault)
        finally:
            copies.put(copy)
        took = round(time.monotonic() - begun, 1)
        return Result(fault.id, fault.room, fault.verdict, found, by, took, digest_of(fault))

    try:
        with ThreadPoolExecutor(jobs) as pool:
            for number, result in enumerate(pool.map(one, faults), 1):
                book.add(result)
                print(
                    f"{number}/{len(faults)} {result.id}: {result.found} {result.by} ({result.seconds} s)", flush=True
                )
    finally:
        while not copies.empty():
            shutil.rmtree(copies.get().root, ignore_errors=True)


def unmutated_fail(faults: Sequence[Fault], limit: float) -> str:
    """Return what the narrow tests say if one of them fails without any fault; empty if all pass."""
    tests = sorted({test for fault in faults for test in stages_of(fault)[0]})
    copy = Copy(BUILD / f"copy-{os.getpid()}-whole", limit * 10)
    copy_tree(copy.root)
    try:
        run = copy.test(tests, [marker for fault in faults for marker in fault.needs])
    finally:
        shutil.rmtree(copy.root, ignore_errors=True)
    return "" if run.status in {_PASSED, _NOTHING_RUN} else run.said[-2_000:]


def main(words: Sequence[str] | None = None) -> int:
    """Try faults; 1 if a harmful one survived, or if one could not be tried."""
    asked = argparse.ArgumentParser(prog="mutate", description=__doc__)
    asked.add_argument("--only", nargs="+", metavar="ID", help="these faults")
    asked.add_argument("--room", nargs="+", help="the faults of these files of tests/faults")
    asked.add_argument("--shard", default="1/1", help="the part i/n")
    asked.add_argument("--jobs", type=int, default=2, help="how many at once")
    asked.add_argument("--limit", type=float, default=180.0, help="seconds for one run of tests")
    asked.add_argument("--results", type=Path, default=BUILD / "results.json")
    asked.add_argument("--again", action="store_true", help="also those that were caught before")
    asked.add_argument("--trusting", action="store_true", help="do not run the tests without a fault first")
    asked.add_argument("--list", action="store_true", help="only say which")
    given = asked.parse_args(words)
    faults = load(FAULTS)
    chosen = [
        one
        for one in shard(faults, given.shard)
        if (not given.only or one.id in given.only) and (not given.room or one.room in given.room)
    ]
    book = Book(given.results)
    left = [one for one in chosen if given.again or given.only or not book.is_settled(one)]
    if given.list:
        print("\n".join(f"{one.room} {one.id}: {one.means}" for one in left))
        return 0
    if left and not given.trusting and (said := unmutated_fail(left, given.limit)):
        print(f"The tests fail without any fault:\n{said}", file=sys.stderr)
        return 1
    try_all(left, book, jobs=given.jobs, limit=given.limit)
    report = table(chosen, book.results)
    given.results.with_suffix(".md").write_text(report, encoding="utf-8")
    print(report)
    unseen = [one for one in chosen if one.verdict == "harmful" and book.results[one.id].found is not Found.CAUGHT]
    broken = [one for one in chosen if book.results[one.id].found is Found.BROKEN]
    return 1 if unseen or broken else 0


if __name__ == "__main__":
    sys.exit(main())
