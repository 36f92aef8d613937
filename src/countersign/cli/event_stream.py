"""Writes an export of the event log to standard output: whole lines, at once, and never longer than somebody reads them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import select
import signal
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click
import msgspec

from countersign.cli.output import Stopped, remark
from countersign.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countersign.config import Settings
    from countersign.flows.maintenance.export_events import EventExport, ExportedEvent

POLL_S: Final = 1.0
"""Seconds between two looks at whether there is more."""
AWAY_S: Final = 5.0
"""Seconds until a database that is away is asked again."""
FULL_S: Final = 0.02
"""Seconds between two looks at whether a full pipe has room again."""

_encode: Final = msgspec.json.Encoder().encode


class EndOfExportError(Exception):
    """Nobody wants more: a signal came, or the other end of the pipe was closed."""


class LineWriter:
    """Standard output, written without ever waiting for a reader longer than until `stopping` is set."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        self._fd: int | None = None
        self._poll = select.poll()
        with contextlib.suppress(io.UnsupportedOperation, AttributeError, ValueError):
            self._fd = sys.stdout.fileno()
            self._poll.register(self._fd, select.POLLOUT)

    async def write(self, data: bytes) -> None:
        """Write and flush. Raises EndOfExportError if the reader is gone, or if it does not read and the program must stop."""
        if self._fd is None:
            click.echo(data, nl=False)
            return
        at = 0
        while at < len(data):
            if not any(found & select.POLLOUT for _, found in self._poll.poll(0)):
                self.check()
                if self._stopping.is_set():
                    raise EndOfExportError
                await asyncio.sleep(FULL_S)
                continue
            try:
                # A pipe that can be written takes as much as this without blocking.
                at += os.write(self._fd, data[at : at + select.PIPE_BUF])
            except BrokenPipeError as error:
                raise EndOfExportError from error

    def check(self) -> None:
        """Raise EndOfExportError if the reader is gone."""
        if self._fd is not None and any(found & (select.POLLERR | select.POLLNVAL) for _, found in self._poll.poll(0)):
            raise EndOfExportError


async def export_to_stdout(settings: Settings, format_: str, after: str, *, follow: bool) -> int:
    """Write an export, and return how many pages are missing in it. Raises what `EventExport` raises."""
    from countersign.flows.maintenance.export_events import EventExport, read_cursor
    from countersign.wiring import installation_of

    cursor = read_cursor(after) if after else None
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stopping.set)
    async with installation_of(settings) as ground:
        export = EventExport(ground.database, ground.log(), ground.keyring, ground.clock)
        await export.start(cursor)
        writer = LineWriter(stopping)
        with contextlib.suppress(EndOfExportError):
            while True:
                away = await _write_all(export, writer, stopping, format_, follow=follow)
                if not follow or stopping.is_set():
                    break
                writer.check()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(AWAY_S if away else POLL_S):
                        await stopping.wait()
    if stopping.is_set() and not follow:
        raise Stopped("The export was stopped before its end. Go on with the cursor of the last line.", 1)
    if export.unordered and not follow:
        remark("This database takes no writes. What no worker has put in order yet is not in this export.")
    return export.missing


async def _write_all(
    export: EventExport, writer: LineWriter, stopping: asyncio.Event, format_: str, *, follow: bool
) -> bool:
    """Write all events that there are. Returns whether the database is away; then, with `follow`, the export goes on later."""
    try:
        async with contextlib.aclosing(export.read_on()) as pages:
            async for page in pages:
                await writer.write(b"".join(_lines(page, format_)))
                if stopping.is_set():
                    break
    except UnavailableError as error:
        if not follow:
            raise
        remark(str(error))
        return True
    return False


def _lines(page: list[ExportedEvent], format_: str) -> Iterator[bytes]:
    from countersign.flows.maintenance.ocsf import to_ocsf

    for one in page:
        if format_ == "ocsf":
            yield _encode(to_ocsf(one.event, one.id, one.cursor)) + b"\n"
            continue
        at = datetime.fromtimestamp(one.event.at / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        yield (
            _encode(
                {
                    "cursor": one.cursor,
                    "id": one.id,
                    "at": at,
                    "kind": one.event.kind,
                    "application": one.event.application,
                    "owner": one.event.owner,
                    "facts": one.event.facts,
                }
            )
            + b"\n"
        )
