"""The report: figures as tables of Markdown, printed as they come and kept for the file."""

from __future__ import annotations

from collections.abc import Sequence

from bench.meter import Figure


class Report:
    """Lines that a person reads on the terminal while they are gathered."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, *lines: str) -> None:
        """Add lines."""
        for line in lines:
            print(line, flush=True)
        self.lines += lines

    def title(self, text: str, note: str = "") -> None:
        """Begin a part; `note` says what is measured and how."""
        self.say("", f"## {text}", "", *((note, "") if note else ()))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table; the first column is text, the others are figures."""
        self.say(
            f"| {' | '.join(columns)} |",
            f"|---|{'---:|' * (len(columns) - 1)}",
            *(f"| {' | '.join(row)} |" for row in rows),
        )


def cells(figure: Figure, *groups: str) -> list[str]:
    """Return a figure as cells: rate, p50, p99 (ms), and the CPU (µs) of each group of processes."""
    spent = [f"{figure.cpu[group]:,.0f}" if group in figure.cpu else "" for group in groups]
    return [f"{figure.rate:,.0f}", f"{figure.p50:.2f}", f"{figure.p99:.2f}", *spent]


def times(one: float, other: float) -> str:
    """Return a ratio; nothing where there is nothing to compare with."""
    return f"{one / other:.2f}" if other else ""
