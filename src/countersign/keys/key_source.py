"""Where the secrets come from: a file that others cannot read, or the output of a command such as the client of a key vault."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from countersign.errors import SettingsError

MAX_BYTES: Final = 1_048_576
"""Bytes that the secrets may have; what is longer is no key file."""

COMMAND_SECONDS: Final = 10.0
"""Seconds in which a command must have written the secrets."""

COMMAND_REREAD_AFTER: Final = 60.0
"""Seconds between two runs of a command."""

_SHARED: Final = 0o740
"""The most that the mode of a key file may allow: its group may read it."""

Stamp: TypeAlias = tuple[int, int, int]
"""Tells one state of a file from another: its inode, its size, and when it was written (ns)."""


class KeySource(Protocol):
    """Where the secrets are read. Its text names the place, and goes into errors."""

    def read(self) -> bytes:
        """Return the secrets as JSON. Raises SettingsError if that is impossible or unsafe."""

    def stamp(self) -> Stamp | None:
        """Return what tells one state from another without reading; None if only reading tells."""


class KeyFile:
    """A key file, which nobody but its owner can read, or a group that this program belongs to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        """Name the file."""
        return str(self.path)

    def read(self) -> bytes:
        """Return what the file holds. Raises SettingsError if it is missing, or others can read or replace it."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise SettingsError(
                f"The key file {self.path} cannot be read ({error.strerror}). Make one with `countersign keys new {self.path}`, or name another with COUNTERSIGN_SECRET_FILE."
            ) from error
        self._refuse_if_open(status)
        return _bounded(raw, f"The key file {self.path}")

    def stamp(self) -> Stamp | None:
        """Return the inode, the size and the time of the last write. Raises OSError."""
        status = self.path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _refuse_if_open(self, status: os.stat_result) -> None:
        mode = status.st_mode & 0o777
        if not mode & 0o077:
            return
        if mode & ~_SHARED or not _may_share(status):
            raise SettingsError(
                f"The key file {self.path} can be read by others (mode {mode:o}). Close it: chmod 600 {self.path}"
            )
        folder = self.path.resolve().parent
        found = folder.stat()
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            raise SettingsError(
                f"The key file {self.path} can be replaced by others: everybody can write to {folder}. Close it: chmod o-w {folder}"
            )


def _may_share(status: os.stat_result) -> bool:
    """Say whether a group may read a key file: it is root's or ours, and the group is one of ours.

    Kubernetes mounts a secret as root's, with mode 0440 and the group that `fsGroup` names.
    """
    return status.st_uid in {0, os.geteuid()} and status.st_gid in {os.getegid(), *os.getgroups()}


class KeyCommand:
    """A command that writes the secrets to its standard output. It runs without a shell, for a bounded time."""

    def __init__(self, arguments: Sequence[str], seconds: float = COMMAND_SECONDS) -> None:
        self._arguments = tuple(arguments)
        self._seconds = seconds

    def __str__(self) -> str:
        """Name the program, and none of its arguments: one of them may be secret."""
        return f"the command {self._arguments[0]}"

    def read(self) -> bytes:
        """Return what the command writes. Raises SettingsError if it fails, takes too long or writes too much.

        Neither its output nor what it says of errors is repeated: both may hold secrets.
        """
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own words, as a list; no shell reads them
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise SettingsError(f"The secrets cannot be read: {self} cannot be run ({error.strerror}).") from error
        try:
            return self._output_of(process)
        finally:
            _end(process)

    def stamp(self) -> Stamp | None:
        """Return None: only running the command tells whether there is something new."""
        return None

    def _output_of(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        ends_at, raw = time.monotonic() + self._seconds, b""
        while len(raw) <= MAX_BYTES:
            left = ends_at - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise SettingsError(f"The secrets cannot be read: {self} took more than {self._seconds:g} seconds.")
            piece = os.read(process.stdout.fileno(), 65_536)
            if not piece:
                break
            raw += piece
        raw = _bounded(raw, f"What {self} writes")
        try:
            status = process.wait(max(0.1, ends_at - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise SettingsError(
                f"The secrets cannot be read: {self} took more than {self._seconds:g} seconds."
            ) from error
        if status:
            raise SettingsError(f"The secrets cannot be read: {self} ended with status {status}.")
        return raw


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that still runs, with whatever it started."""
    if process.stdout is not None:
        process.stdout.close()
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _bounded(raw: bytes, what: str) -> bytes:
    if len(raw) > MAX_BYTES:
        raise SettingsError(f"{what} is longer than {MAX_BYTES} bytes: it is no key file.")
    return raw
