"""Servers under load: the program as an operator starts it, and the bare echo, each in processes of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bench.meter import children_of
from countersign.serving.server import free_port

PATIENCE: Final = 20.0
"""Seconds a server may take to start."""

_ASKED: Final = b"POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
_PROGRAM: Final = (sys.executable, "-c", "from countersign.cli import main; main()")


class Server(msgspec.Struct, frozen=True):
    """A server that answers on `port`; `pid` is the parent of the processes that do."""

    port: int
    pid: int
    key: str = ""

    @property
    def workers(self) -> list[int]:
        """The processes that answer."""
        return children_of(self.pid)


@contextlib.contextmanager
def countersign(database_url: str | None, workers: int, *, delivers: bool = False) -> Iterator[Server]:
    """Start the program in production, on a database that is migrated first (None: SQLite), with one application of a test key."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as home:
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")},
            "COUNTERSIGN_HOME": home,
            "COUNTERSIGN_PUBLIC_URL": "https://verify.example.org",
            "COUNTERSIGN_LOG_LEVEL": "warning",
            **({} if database_url is None else {"COUNTERSIGN_DATABASE_URL": database_url}),
        }
        _run(environ, "keys", "new", str(Path(home) / "secret.keys"))
        _run(environ, "migrate")
        key = _run(environ, "apps", "add", "bench", "--test").strip()
        port = free_port("127.0.0.1")
        words = ["serve", "--port", str(port), "--workers", str(workers), *(() if delivers else ("--no-worker",))]
        with _started([*_PROGRAM, *words], environ, port) as pid:
            yield Server(port, pid, key)


@contextlib.contextmanager
def development() -> Iterator[Server]:
    """Start the program as on a developer's machine, with its inbox, on SQLite."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as home:
        port = free_port("127.0.0.1")
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")},
            "COUNTERSIGN_HOME": home,
            "COUNTERSIGN_ENVIRONMENT": "development",
            "COUNTERSIGN_LOG_LEVEL": "warning",
        }
        with _started([*_PROGRAM, "serve", "--port", str(port)], environ, port) as pid:
            yield Server(port, pid)


@contextlib.contextmanager
def echo(workers: int) -> Iterator[Server]:
    """Start the bare echo."""
    port = free_port("127.0.0.1")
    with _started([sys.executable, "-m", "bench.echo", str(port), str(workers)], dict(os.environ), port) as pid:
        yield Server(port, pid)


def _run(environ: dict[str, str], *words: str) -> str:
    ended = subprocess.run([*_PROGRAM, *words], env=environ, check=True, capture_output=True, text=True)
    return ended.stdout


@contextlib.contextmanager
def _started(words: list[str], environ: dict[str, str], port: int) -> Iterator[int]:
    running = subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL)
    try:
        _wait_for(port, running)
        yield running.pid
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _wait_for(port: int, running: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while running.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE) as asking:
            asking.sendall(_ASKED)  # a port that listens may have nobody behind it yet
            if asking.recv(1):
                return
        time.sleep(0.05)
    raise SystemExit(f"A server did not start within {PATIENCE:g} s; what it said stands above.")
