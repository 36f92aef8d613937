"""The program itself, as an operator runs it: its command line, and a server with its processes, on a port that the system chose."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.peers import warm_start

ROOT: Final = warm_start.ROOT
PATIENCE: Final = 60.0
"""Seconds until a server that should answer, or end, has failed to."""


class Answer:
    """What a server said: status, headers by name in lower case, body."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Program:
    """Countersign in a working directory of its own, with an environment of its own."""

    def __init__(self, place: Path, **settings: str) -> None:
        self.place = place
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("COUNTERSIGN_", "PROMETHEUS_"))
        }
        self.environ = {
            **clean,
            "PYTHONPATH": str(ROOT / "src"),
            **{f"COUNTERSIGN_{name}": value for name, value in settings.items()},
        }

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        environ = {**self.environ, **{f"COUNTERSIGN_{name}": value for name, value in settings.items()}}
        return warm_start.run(words, self.place, environ, PATIENCE)

    def command(self, *words: str) -> list[str]:
        """Return what starts a command."""
        return [sys.executable, "-m", "countersign", *words]

    @contextlib.contextmanager
    def serving(self, *words: str, **settings: str) -> Iterator[Server]:
        """Serve on a free port until the block ends."""
        with self.serving_with_log(None, *words, **settings) as server:
            yield server

    @contextlib.contextmanager
    def serving_with_log(self, log: int | None, *words: str, **settings: str) -> Iterator[Server]:
        """Do the same with a descriptor for its log; None is a file."""
        server = Server(self, free_port(), words, settings, log)
        try:
            server.wait_until_it_answers()
            yield server
        finally:
            server.end()


class Server:
    """A server that was started: the process that watches, and those that serve."""

    def __init__(
        self,
        program: Program,
        port: int,
        words: tuple[str, ...],
        settings: Mapping[str, str],
        logs_to: int | None = None,
    ) -> None:
        self.port = port
        self._said = program.place / f"said-{port}"
        self._logged = program.place / f"logged-{port}"
        with self._said.open("wb") as said, self._logged.open("wb") as logged:
            self.started = warm_start.start(
                ("serve", "--port", str(port), *words),
                program.place,
                {**program.environ, **{f"COUNTERSIGN_{name}": value for name, value in settings.items()}},
                stdout=said,
                stderr=logged if logs_to is None else logs_to,
            )
        self._inbox = program.place / ".countersign" / "inbox.db"

    @property
    def said(self) -> str:
        """What it printed for a person."""
        return self._said.read_text()

    @property
    def logged(self) -> str:
        """What it logged."""
        return self._logged.read_text()

    @property
    def key(self) -> str:
        """The key in the curl line that it printed."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if found := re.search(r"csk_test_\w+", self.said):
                return found[0]
            time.sleep(0.01)
        raise AssertionError(self.said + self.logged)

    def processes(self) -> list[int]:
        """Return the processes that serve."""
        return [pid for pid, parent in living().items() if parent == self.started.pid]

    def ask(self, method: str, path: str, body: object = None, key: str = "", **headers: str) -> Answer:
        """Ask on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            sent = {**headers, **({"Authorization": f"Bearer {key}"} if key else {})}
            if body is not None:
                sent["Content-Type"] = "application/json"
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def wait_until_it_answers(self) -> None:
        """Wait; fail with its log if it ends first."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if self.started.poll() is not None:
                break
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/health/live").status < 500:
                    return
            time.sleep(0.02)
        raise AssertionError(self.said + self.logged)

    def code_for(self, to: str) -> str:
        """Return the code of the newest message to somebody, once it is in the inbox's own file."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with (
                contextlib.closing(sqlite3.connect(self._inbox)) as inbox,
                contextlib.suppress(sqlite3.OperationalError),
            ):
                rows = inbox.execute(
                    "SELECT text FROM messages WHERE recipient = ? ORDER BY number DESC", (to,)
                ).fetchall()
                if rows and (found := re.search(r"\b\d{3} ?\d{3}\b", rows[0][0])):
                    return found[0]
            time.sleep(0.02)
        raise AssertionError(f"no message to {to}: {self.logged}")

    def end(self) -> int:
        """Stop it in order and return its exit code; what is left of it is killed."""
        left = self.processes() if self.started.poll() is None else []
        if self.started.poll() is None:
            self.started.terminate()
        try:
            return self.started.wait(PATIENCE)
        finally:
            if self.started.poll() is None:
                self.started.kill()
                self.started.wait()
            for pid in left:
                if pid in living():
                    os.kill(pid, signal.SIGKILL)


def curl_line(said: str) -> tuple[str, dict[str, str], bytes]:
    """Return the address, the headers and the body of the curl line in what was printed."""
    words = shlex.split(next(line for line in said.splitlines() if line.startswith("curl ")))
    headers = dict(words[n + 1].split(": ", 1) for n, word in enumerate(words) if word == "-H")
    address = next(word for word in words if word.startswith("http"))
    return address, headers, words[words.index("-d") + 1].encode()


def living() -> dict[int, int]:
    """Return every process that has not ended, with its parent."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
