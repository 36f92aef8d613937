"""The program's commands as processes that start at once: importing it costs a second of CPU, so one process imports it for all of them.

Each command is a process of its own, as `python -m countersign` starts it; only its imports were done before (tests.peers.warm_process).
An environment that works on the interpreter itself, such as LD_PRELOAD, or another release's PYTHONPATH, gets a new interpreter.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Final, Protocol

ROOT: Final = Path(__file__).resolve().parent.parent.parent
LOOK_AGAIN: Final = 0.01
"""Seconds between two looks at a process that is waited for."""


class Running(Protocol):
    """A command that was started: what `subprocess.Popen` and `Forked` have in common."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs; minus the number of the signal that killed it."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its exit code. Raises subprocess.TimeoutExpired."""
        ...

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""
        ...

    def terminate(self) -> None:
        """Send SIGTERM."""
        ...

    def kill(self) -> None:
        """Send SIGKILL."""
        ...


class WarmProcess:
    """The process that imported the program; one for each process of tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.peers.warm_process", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
                stdin=subprocess.DEVNULL,
            )

    def fork(self, words: Sequence[str], place: Path, environ: Mapping[str, str], streams: Sequence[int]) -> int:
        """Start a command and return its pid."""
        order = {"words": list(words), "place": str(place), "environ": dict(environ)}
        with self._lock:
            socket.send_fds(self._control, [json.dumps(order).encode()], list(streams))
            pid: int = json.loads(self._control.recv(100))
        return pid

    def ended(self, pid: int) -> int | None:
        """Return the exit code of a process, once; None while it runs."""
        with self._lock:
            self._control.send(json.dumps({"ended": pid}).encode())
            code: int | None = json.loads(self._control.recv(100))
        return code

    def close(self) -> None:
        """End it."""
        self._control.close()
        self._process.wait()


@cache
def _warm() -> WarmProcess:
    made = WarmProcess()
    atexit.register(made.close)
    return made


class Forked:
    """A command in a process that was forked; it is waited for as a `subprocess.Popen` is."""

    def __init__(self, pid: int, words: Sequence[str]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._words = list(words)
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs; minus the number of the signal that killed it."""
        with self._lock:
            if self.returncode is None:
                self.returncode = _warm().ended(self.pid)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its exit code. Raises subprocess.TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if timeout is not None and until is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired(self._words, timeout)
            time.sleep(LOOK_AGAIN)
        return code

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def start(
    words: Sequence[str], place: Path, environ: Mapping[str, str], *, stdout: IO[bytes] | int, stderr: IO[bytes] | int
) -> Running:
    """Start a command of the program in a folder, with an environment, writing to these files or descriptors."""
    if _is_cold(environ):
        command = [sys.executable, "-m", "countersign", *words]
        return subprocess.Popen(
            command, cwd=place, env=dict(environ), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device
        streams = [nothing.fileno(), *(each if isinstance(each, int) else each.fileno() for each in (stdout, stderr))]
        return Forked(_warm().fork(words, place, environ, streams), words)


def run(
    words: Sequence[str], place: Path, environ: Mapping[str, str], within: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it wrote. Raises subprocess.TimeoutExpired after `within` seconds."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = start(words, place, environ, stdout=out, stderr=err)
        try:
            code = started.wait(within)
        finally:
            if started.poll() is None:
                started.kill()
                started.wait()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(words), code, out.read().decode(), err.read().decode())


def _is_cold(environ: Mapping[str, str]) -> bool:
    """Say whether an environment works on the interpreter, which is there already in a process that is forked."""
    ours = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return sys.platform != "linux" or any(
        name.startswith(("LD_", "PYTHON")) and ours.get(name) != environ.get(name) for name in {*ours, *environ}
    )
