"""Countersign and the example shop beside it, as `make run` starts them, on two ports that are free."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

from tests.peers.program import PATIENCE, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_WITHIN: Final = 60.0


class Pair:
    """Both programs, by their addresses; `started` is what watches over them."""

    def __init__(self, port: int, started: subprocess.Popen[bytes]) -> None:
        self.provider = f"http://localhost:{port}"
        self.shop = f"http://localhost:{port + 1}"
        self.started = started

    def code(self, to: str, after: str = "") -> str:
        """Return the newest code that came to an address, other than the one before."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with urllib.request.urlopen(f"{self.provider}/inbox/messages?to={to}", timeout=5) as answer:  # noqa: S310
                for message in json.load(answer):
                    found = re.search(r"\b(\d{3}) (\d{3})\b", message["text"])
                    if found and found[1] + found[2] != after:
                        return found[1] + found[2]
            time.sleep(0.1)
        raise AssertionError(f"no code came to {to}")


@contextlib.contextmanager
def open_pair(home: Path) -> Iterator[Pair]:
    """Start both and stop both; neither is left over."""
    port = _two_free_ports()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")}
    with (home / "said").open("wb") as said:
        started = subprocess.Popen(
            [sys.executable, "tools/run.py", str(port)],
            cwd=ROOT,
            env={
                **clean,
                "COUNTERSIGN_ENVIRONMENT": "development",
                "COUNTERSIGN_HOME": str(home / "c"),
                "COUNTERSIGN_LIMITS_REQUESTER": "10000/1m",
            },
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    made = Pair(port, started)
    try:
        _wait_for(made.shop, home / "said")
        yield made
    finally:
        started.send_signal(signal.SIGTERM)
        assert started.wait(30) == 0
        for address in (made.provider, made.shop):
            with contextlib.suppress(urllib.error.URLError):
                urllib.request.urlopen(address, timeout=2).close()  # noqa: S310
                raise AssertionError(f"{address} still answers")


def _two_free_ports() -> int:
    for port in range(21_000, 29_000, 2):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no two ports are free")


def _wait_for(address: str, said: Path) -> None:
    until = time.monotonic() + START_WITHIN
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(address, timeout=2):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(said.read_text())
