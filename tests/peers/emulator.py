"""The emulator as a test of others has it: started from nothing, asked over HTTP, its clock moved."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from tests.peers import warm_start
from tests.peers.program import PATIENCE, ROOT, Answer, living

PAUSE: Final = 0.02


class Emulator:
    """Where a started one listens, and its test key; `cookies` are those of one browser."""

    def __init__(self, told: dict[str, Any], process: int) -> None:
        self.url: str = told["url"]
        self.key: str = told["key"]
        self._port = urlsplit(self.url).port
        self.cookies: dict[str, str] = {}
        self._process = process

    def serving(self) -> list[int]:
        """Return the processes that answer."""
        return [pid for pid, parent in living().items() if parent == self._process]

    def ask(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
        """Ask as an application."""
        headers = {"Authorization": f"Bearer {self.key if key is None else key}", "Content-Type": "application/json"}
        return self._sent(method, path, None if body is None else json.dumps(body), headers)

    def browse(self, method: str, path: str, **fields: str) -> Answer:
        """Ask as a browser that keeps its cookies."""
        headers = {"Host": urlsplit(self.url).netloc, "Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if method == "POST":
            body = urlencode(fields)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self._sent(method, path, body, headers)

    def answers(self) -> bool:
        """Say whether a request is answered now."""
        try:
            return self.ask("GET", "/health/live").status == 200
        except OSError:
            return False

    def begin(self, to: str) -> dict[str, Any]:
        """Begin a verification."""
        begun: dict[str, Any] = self.ask("POST", "/v1/verifications", {"to": to, "subject": to}).json
        assert begun["status"] == "pending", begun
        return begun

    def check(self, begun: dict[str, Any], code: str) -> dict[str, Any]:
        """Answer with a code."""
        told: dict[str, Any] = self.ask("POST", f"/v1/verifications/{begun['id']}/check", {"code": code}).json
        return told

    def look(self, begun: dict[str, Any]) -> dict[str, Any]:
        """Return a verification as it stands."""
        told: dict[str, Any] = self.ask("GET", f"/v1/verifications/{begun['id']}").json
        return told

    def advance(self, seconds: int) -> None:
        """Have time pass."""
        assert self.ask("POST", "/test/clock", {"advance": seconds}).status == 200

    def messages(self, to: str) -> list[dict[str, Any]]:
        """Return the messages to somebody, newest first."""
        found: list[dict[str, Any]] = self.ask("GET", f"/inbox/messages?to={quote(to, safe='')}").json
        return found

    def code_for(self, to: str, *, messages: int = 1) -> str:
        """Return the code of the newest message to somebody, once there are so many."""
        until = time.monotonic() + PATIENCE
        while len(found := self.messages(to)) < messages:
            assert time.monotonic() < until, f"{len(found)} messages"
            time.sleep(PAUSE)
        code = re.search(r"\b\d{3} ?\d{3}\b", found[0]["text"])
        assert code is not None
        return code[0]

    def until(self, begun: dict[str, Any], state: str, within: float = PATIENCE) -> dict[str, Any]:
        """Return the newest message's word once it has come to a state."""
        until = time.monotonic() + within
        while (delivery := self.look(begun)["deliveries"][-1])["state"] != state:
            assert time.monotonic() < until, delivery
            time.sleep(PAUSE)
        word: dict[str, Any] = delivery
        return word

    def _sent(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port or 0, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            for name, value in response.getheaders():
                if name.lower() == "set-cookie":
                    cookie, _, rest = value.partition(";")
                    kept, _, what = cookie.partition("=")
                    self.cookies.pop(kept, None)
                    if what and "max-age=0" not in rest.lower():
                        self.cookies[kept] = what
            return Answer(response)
        finally:
            connection.close()


@contextlib.contextmanager
def emulated() -> Iterator[Emulator]:
    """Start one, and end it with the block."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    reads, writes = os.pipe()
    with open(reads, encoding="utf-8") as told:  # noqa: PTH123 - a descriptor
        process = warm_start.start(["emulate", "--json"], ROOT, environ, stdout=writes, stderr=2)
        os.close(writes)
        try:
            yield Emulator(json.loads(told.readline()), process.pid)
        finally:
            process.terminate()
            process.wait(PATIENCE)
