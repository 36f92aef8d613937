"""The real program, started as its operator would, in a home of its own and on a port that the system chose."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE: Final = 30.0
"""Seconds in which it must be ready, and seconds in which it must end."""
_START: Final = "from countersign.cli import main; main()"


class Program:
    """`countersign serve` as a process; `home` is its COUNTERSIGN_HOME, `settings` the text of its countersign.toml."""

    def __init__(self, home: Path, settings: str = "", environment: str = "development") -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.port = _free_port()
        self.url = f"http://localhost:{self.port}"
        self._file = home / "countersign.toml"
        self._file.write_text(settings)
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")},
            "COUNTERSIGN_ENVIRONMENT": environment,
            "COUNTERSIGN_HOME": str(home),
            "COUNTERSIGN_CONFIG": str(self._file),
        }
        if environment == "production":
            self._environ["COUNTERSIGN_PUBLIC_URL"] = "https://id.example.org"
            for words in (("keys", "new"), ("migrate",)):
                subprocess.run(
                    [sys.executable, "-c", _START, *words], env=self._environ, check=True, capture_output=True
                )
        self._log = (home / "program.log").open("wb")
        self._running = subprocess.Popen(
            [sys.executable, "-c", _START, "serve", "--port", str(self.port)],
            env=self._environ,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        """Wait until it answers; raises RuntimeError with its log if it does not."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._running.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health/ready", timeout=1) as answer:  # noqa: S310 - our own address
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        raise RuntimeError(f"The program did not become ready:\n{(self.home / 'program.log').read_text()}")

    def __exit__(self, *_: object) -> None:
        """End it in order, or by force when it takes too long."""
        self._running.terminate()
        try:
            self._running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()
        self._log.close()

    @property
    def demo_key(self) -> str:
        """Return the test key of the demo application."""
        return (self.home / "demo.key").read_text().strip()

    def call(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Any:
        """Send a JSON request with the demo key and return the answer's JSON (None if empty), whatever its status."""
        request = urllib.request.Request(  # noqa: S310 - our own address
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {key or self.demo_key}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                told = answer.read()
        except urllib.error.HTTPError as refused:
            told = refused.read()
        return json.loads(told) if told else None

    def letter(self, to: str) -> dict[str, Any]:
        """Return the newest message to an address, once it has arrived."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found: list[dict[str, Any]] = self.call("GET", f"/inbox/messages?to={to.replace('+', '%2B')}")
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"No message came to {to}.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
