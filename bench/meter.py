"""What a benchmark counts: operations, latencies, and the CPU that processes spent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

_TICK: Final = os.sysconf("SC_CLK_TCK")


class Figure(msgspec.Struct, frozen=True):
    """One measurement: `rate` in operations a second, latencies in ms, CPU in µs an operation by process group."""

    name: str
    clients: int
    rate: float
    p50: float
    p99: float
    cpu: dict[str, float] = {}


def figure(name: str, clients: int, seconds: float, latencies: list[float], cpu: dict[str, float]) -> Figure:
    """Make a figure of latencies (seconds each) collected over `seconds`; `cpu` in seconds by group."""
    ordered = sorted(latencies)
    count = max(1, len(ordered))
    return Figure(
        name,
        clients,
        count / seconds,
        _at(ordered, 0.50) * 1_000,
        _at(ordered, 0.99) * 1_000,
        {group: spent / count * 1e6 for group, spent in cpu.items()},
    )


def cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds that a process and its children have spent, those that ended included."""
    total = 0.0
    for member in _tree(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        # utime, stime; and of the children it has reaped, for the root alone: the living are counted themselves
        spent = int(fields[11]) + int(fields[12]) + (int(fields[13]) + int(fields[14]))
        total += spent / _TICK
    return total


def memory_of(pid: int) -> float:
    """Return the proportional share of memory (MiB) of one process: shared pages are counted once among their users."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def children_of(pid: int) -> list[int]:
    """Return the processes that `pid` started and that live."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def _tree(pid: int) -> list[int]:
    members = [pid]
    for member in members:
        try:
            members.extend(children_of(member))
        except OSError:
            continue
    return members


def _at(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0
