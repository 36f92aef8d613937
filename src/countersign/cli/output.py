"""The output of commands: colour on a terminal, plain text in a pipe, JSON for scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

import click
import msgspec

from countersign import logs
from countersign.config import Settings, load
from countersign.config.sources import CONFIG

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Stopped(click.ClickException):
    """A command could not be carried out. Holds the reason and the exit code."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the exception that it got

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the text unchanged: it is written for the person who can act."""
        lines = self.message.splitlines()
        click.secho(
            lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines), fg="red", err=True, file=file
        )


def config_option(command: F) -> F:
    """Add the option --config."""
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Settings file instead of countersign.toml.",
    )(command)


def json_option(command: F) -> F:
    """Add the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for a script.")(command)


def settings_of(config: Path | None, **overrides: object) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and an environment that gives a child process the same settings.

    An override of None leaves a setting unchanged.
    """
    environ = dict(os.environ)
    if config is not None:
        environ[CONFIG] = str(config.absolute())
    environ |= {f"COUNTERSIGN_{name.upper()}": str(value) for name, value in overrides.items() if value is not None}
    settings = load(environ)
    logs.configure(settings.log.level, settings.log.format)
    return settings, environ


def wait_for(act: Awaitable[T]) -> T:
    """Run a coroutine to its end in an event loop of its own."""
    import asyncio

    async def run() -> T:
        return await act

    return asyncio.run(run())


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their columns: a table on a terminal, tab-separated fields in a pipe.

    A pipe gets no header, so that programs can read it. A person at the terminal behind a pipe gets the header on stderr.
    """
    if not sys.stdout.isatty():
        if sys.stderr.isatty():
            remark("\t".join(columns))
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def remark(text: str) -> None:
    """Print a remark to stderr, apart from the output of the command."""
    click.echo(text, err=True)


def moment(ms: int) -> str:
    """Return a time in ms as text in UTC that people and programs can read."""
    return datetime.fromtimestamp(ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
