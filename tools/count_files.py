"""Counts the source files that run for one act, in process and on SQLite: `python tools/count_files.py [--list]`.

The requests of an act go through the whole program, from the web application to the database. A file counts if a function of it was
called on any thread; templates do not count. The fewer files, the less a newcomer has to open to follow the act.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import threading
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

import msgspec  # noqa: E402

from countersign.config import load  # noqa: E402 - the package is on the path only now
from countersign.domain.verifications.code import derive  # noqa: E402
from countersign.store.engine.database import Sql  # noqa: E402
from countersign.store.tables import challenges  # noqa: E402
from countersign.web.app import make_app  # noqa: E402
from countersign.wiring import Runtime, close_runtime, open_runtime  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from types import FrameType

SOURCE: Final = ROOT / "src" / "countersign"
ADA: Final = {"name": "Ada", "identifier": "ada@example.org", "password": "correct horse battery"}


class Recorder:
    """Keeps the names of the files whose functions are called while it is on."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self._on = False

    def install(self) -> None:
        """Watch every thread that is started from now on, and this one."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if self._on and event == "call":
            self.files.add(frame.f_code.co_filename)

    def start(self) -> None:
        """Begin a new act."""
        self.files = set()
        self._on = True

    def pause(self) -> None:
        """Leave out what comes until `go_on`."""
        self._on = False

    def go_on(self) -> None:
        """Count again."""
        self._on = True

    def stop(self) -> list[str]:
        """End the act; return its files, as paths below the package."""
        self._on = False
        return sorted(_below_package(self.files))


def _below_package(files: set[str]) -> Iterator[str]:
    for name in files:
        path = Path(name)
        if path.suffix == ".py" and path.is_relative_to(SOURCE):
            yield str(path.relative_to(SOURCE))


class Begun(msgspec.Struct):
    """What is read of a verification that was begun."""

    id: str


class Caller:
    """Calls the web application directly. It keeps its cookies as a browser does, or sends the key of an application."""

    def __init__(self, app: Callable[..., Awaitable[None]], key: str = "") -> None:
        self._app = app
        self._headers = {"host": "localhost:8000"} | ({"authorization": f"Bearer {key}"} if key else {})
        self._cookies: dict[str, str] = {}

    async def get(self, path: str) -> str:
        """Open a page; return its text."""
        return await self._send("GET", path, b"", {})

    async def post_form(self, path: str, fields: Mapping[str, str]) -> None:
        """Post a form."""
        headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        await self._send("POST", path, urlencode(fields).encode(), headers)

    async def post_json(self, path: str, body: object) -> str:
        """Post JSON; return the JSON that comes back."""
        return await self._send("POST", path, msgspec.json.encode(body), {"content-type": "application/json"})

    async def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> str:
        cookie = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        sent = self._headers | headers | {"content-length": str(len(body))} | ({"cookie": cookie} if cookie else {})
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": ("127.0.0.1", 40_000),
            "server": ("127.0.0.1", 8000),
        }
        answer: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: dict[str, Any]) -> None:
            answer.append(event)

        await self._app(scope, receive, send)
        if answer[0]["status"] not in {200, 201, 303}:
            raise RuntimeError(f"{method} {path} was answered with {answer[0]['status']}")
        for name, value in answer[0]["headers"]:
            if name == b"set-cookie":
                cookie, _, content = value.decode().partition(";")[0].partition("=")
                self._cookies[cookie] = content
        return b"".join(event.get("body", b"") for event in answer[1:]).decode()


class Acts:
    """The acts that are measured, on one installation."""

    def __init__(self, runtime: Runtime, recorder: Recorder) -> None:
        self._runtime = runtime
        self._recorder = recorder
        self._app = make_app(runtime, worker_alive=lambda: True)
        self._api = Caller(self._app, runtime.demo_key or "")

    async def measure(self) -> dict[str, list[str]]:
        """Return the files of each act."""
        found: dict[str, list[str]] = {}
        await self._begin("warm@example.org")
        self._recorder.start()
        challenge = await self._begin("eve@example.org")
        found["begin a verification"] = self._recorder.stop()
        code = await self._code(challenge)
        self._recorder.start()
        await self._api.post_json(f"/v1/verifications/{challenge}/check", {"code": code})
        found["check its code"] = self._recorder.stop()
        await self._sign_up()
        browser = Caller(self._app)
        found["sign in with password and code"] = await self._sign_in(browser)
        found["change a mail address"] = await self._change_address(browser)
        return found

    async def _begin(self, address: str) -> str:
        return msgspec.json.decode(await self._api.post_json("/v1/verifications", {"to": address}), type=Begun).id

    async def _sign_up(self) -> None:
        browser = Caller(self._app)
        await browser.post_form("/sign-up", ADA)
        await browser.post_form("/verify", {"code": await self._newest_code()})

    async def _sign_in(self, browser: Caller) -> list[str]:
        self._recorder.start()
        await browser.post_form("/sign-in", {name: ADA[name] for name in ("identifier", "password")})
        await browser.get("/verify")
        await browser.post_form("/verify", {"code": await self._newest_code()})
        return self._recorder.stop()

    async def _change_address(self, browser: Caller) -> list[str]:
        """Replace the address: the form, the code that approves it, and the code to the new address."""
        page = await browser.get("/account/contacts")
        contact = re.search(r'value="(con_\w+)"', page)
        if contact is None:
            raise RuntimeError("the page shows no contact")
        self._recorder.start()
        await browser.post_form("/account/contacts", {"contact": "new@example.org", "replaces": contact[1]})
        await browser.post_form("/verify", {"code": await self._newest_code()})
        await browser.post_form("/verify", {"code": await self._newest_code()})
        return self._recorder.stop()

    async def _newest_code(self) -> str:
        """Return the code that was sent last; reading it is no part of the act."""
        self._recorder.pause()
        rows = await self._runtime.core.database.read(_newest_challenge)
        code = await self._code(rows)
        self._recorder.go_on()
        return code

    async def _code(self, challenge: str) -> str:
        found = await self._runtime.core.database.read(challenges.find, challenge)
        if found is None:
            raise RuntimeError(f"there is no challenge {challenge}")
        key = self._runtime.core.keyring.named(found.terms.kid).code
        return derive(key, found.id, found.round, found.terms.policy.shape).reveal()


async def _newest_challenge() -> str:
    rows = await Sql("SELECT id FROM challenges ORDER BY id DESC LIMIT 1", ())
    newest: str = rows[0][0]
    return newest


@asynccontextmanager
async def installation() -> AsyncIterator[Runtime]:
    """Open an installation of development in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"ENVIRONMENT": "development", "LOG_LEVEL": "error", "HOME": f"{folder}/home"}
        runtime = await open_runtime(load({f"COUNTERSIGN_{name}": value for name, value in settings.items()}))
        # What a process does in the background beside any act is no part of one.
        runtime.stats_writer.cancel()
        try:
            yield runtime
        finally:
            await close_runtime(runtime)


async def count() -> dict[str, list[str]]:
    """Return the files of each act, as paths below the package."""
    recorder = Recorder()
    recorder.install()
    try:
        async with installation() as runtime:
            return await Acts(runtime, recorder).measure()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def table(found: dict[str, list[str]]) -> str:
    """Return the counts as a table, one act a line, by package."""
    packages = ("web", "flows", "domain", "store", "messages")
    lines = [f"{'':32}{'files':>6}" + "".join(f"{name:>10}" for name in packages)]
    for act, files in found.items():
        counted = Counter(file.partition("/")[0] for file in files)
        lines.append(f"{act:32}{len(files):>6}" + "".join(f"{counted[name]:>10}" for name in packages))
    return "\n".join(lines)


if __name__ == "__main__":
    counted = asyncio.run(count())
    print(table(counted))
    if "--list" in sys.argv:
        for act, files in counted.items():
            print(f"\n{act}:\n  " + "\n  ".join(files))
