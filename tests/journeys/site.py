"""The site that a browser visits: the real program, served in a folder of its own, with what a journey asks of it beside the browser."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.peers.program import PATIENCE, Program, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Site:
    """A server of development, by its address and its demo key."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = f"http://localhost:{server.port}"
        self.demo_key = server.key

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request with the demo key and return the answer's JSON, whatever its status; None if it is empty."""
        answer = self._server.ask(method, path, body, self.demo_key)
        return answer.json if answer.body else None

    def letter(self, to: str) -> dict[str, Any]:
        """Return the newest message to an address, once it has arrived."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found: list[dict[str, Any]] = self.call("GET", f"/inbox/messages?to={quote(to)}")
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"No message came to {to}: {self._server.logged}")


@contextlib.contextmanager
def open_site(folder: Path, settings: str, **environment: str) -> Iterator[Site]:
    """Serve in `folder` with the text of a countersign.toml until the block ends."""
    (folder / "countersign.toml").write_text(settings)
    program = Program(folder, ENVIRONMENT="development", **environment)
    with program.serving() as server:
        yield Site(server)
