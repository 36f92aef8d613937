"""What a benchmark counts: operations, latencies, and the CPU and memory that processes use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

_TICK: Final = os.sysconf("SC_CLK_TCK")


class Figure(msgspec.Struct, frozen=True):
    """One measurement: `rate` in operations a second, latencies in ms, CPU in µs an operation by group of processes."""

    name: str
    clients: int
    rate: float
    p50: float
    p99: float
    cpu: dict[str, float] = {}

    def __str__(self) -> str:
        """Show it on one line."""
        cpu = "  ".join(f"{group} {spent:.0f} µs" for group, spent in self.cpu.items())
        return (
            f"{self.name:<34}{self.clients:>5}{self.rate:>9.0f}/s  p50 {self.p50:>7.2f}  p99 {self.p99:>7.2f} ms  {cpu}"
        )


def figure(name: str, clients: int, seconds: float, latencies: list[float], cpu: dict[str, float]) -> Figure:
    """Make a figure of latencies (seconds each) collected over `seconds`; `cpu` in seconds by group."""
    ordered = sorted(latencies)
    count = max(1, len(ordered))
    return Figure(
        name,
        clients,
        count / seconds,
        at(ordered, 0.50) * 1_000,
        at(ordered, 0.99) * 1_000,
        {group: spent / count * 1e6 for group, spent in cpu.items()},
    )


def middle(figures: Sequence[Figure]) -> Figure:
    """Return the figure with the median rate: one run, whole, rather than medians of what was measured apart."""
    return sorted(figures, key=lambda one: one.rate)[len(figures) // 2]


def at(ordered: Sequence[float], part: float) -> float:
    """Return the quantile `part` of sorted values."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds that a process and its descendants have spent, those that ended and were waited for included."""
    total = 0.0
    for member in _tree(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        # utime, stime, and both of the children that it has waited for: the living are counted themselves.
        total += sum(map(int, fields[11:15])) / _TICK
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
