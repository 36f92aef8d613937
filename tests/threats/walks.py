"""A stranger's browser, which walks through whole flows over HTTP and writes down every answer, to be compared with another's."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec
from tests.flows.people import CARRIER
from tests.flows.place import Place, place_at
from tests.threats.work import CountedDatabase, CountedKeyring, CountedPasswords, Work

from countersign.clock import Clock
from countersign.config import load
from countersign.flows.maintenance.applications import ApplicationDirectory
from countersign.metrics import Metrics
from countersign.providers.inbox import Inbox
from countersign.web.app import make_app
from countersign.wiring import Runtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from countersign.domain.policy import InstallationPolicy
    from countersign.web.http.application import WebApplication

ISSUER: Final = "https://verify.example"
BEGUN: Final = "The waiting time has started"
STRANGER: Final = "198.51.100.23"
_FORM: Final = "application/x-www-form-urlencoded"
_RANDOM: Final = (
    (re.compile(r"(acc|app|con|ver|ses|dev|fac|chg)_[0-9A-Za-z]{20,}"), r"\1_ID"),
    (re.compile(r"(__Host-\w+)=[\w-]{20,}"), r"\1=SECRET"),
    (re.compile(r'name="flow" value="[0-9a-f]+"'), 'name="flow" value="MARK"'),
    (re.compile(r'"challenge": ?"[\w-]+"'), '"challenge":"RANDOM"'),
    (re.compile(r'data-challenge="[\w-]+"'), 'data-challenge="RANDOM"'),
)
"""What is drawn anew each time. An empty value stays empty, so that a secret or an id that is missing shows."""

_SIX_DIGITS: Final = re.compile(r"\b\d{6}\b")


@dataclass
class Walk:
    """One browser of a stranger: it keeps cookies as browsers do, and every answer with them."""

    place: Place
    app: WebApplication
    ip: str = STRANGER
    cookies: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    work: Work = field(default_factory=Work)
    costs: list[list[str]] = field(default_factory=list)

    async def get(self, path: str, language: str = "en") -> int:
        """Open a page."""
        return await self._ask("GET", path, b"", language)

    async def post(self, path: str, /, **fields: str) -> int:
        """Send a form."""
        return await self._ask("POST", path, urlencode(fields).encode(), "en")

    async def stream(self, *, until: int = 1, between: Callable[[], Awaitable[object]] | None = None) -> None:
        """Follow the progress of the message for so many events; `between` is done after each but the last."""
        gone = asyncio.Event()
        events: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(event: dict[str, Any]) -> None:
            events.append(event)
            told = [one for one in events if one.get("body")]
            if len(told) >= until or (event["type"] == "http.response.body" and not event.get("more_body", False)):
                gone.set()
            elif event.get("body") and between is not None:
                await between()

        async with asyncio.timeout(20):
            await self.app(self._scope("GET", "/verify/events", b"", "en"), receive, send)
        self._keep("GET /verify/events", events)

    async def deliver(self) -> None:
        """Let the worker send what is due."""
        while await self.place.deliver():
            pass
        self.work.take()

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.place.clock.forward(ms)
        self.work.take()

    def forget(self) -> None:
        """Go on in a browser without cookies."""
        self.cookies.clear()

    async def _ask(self, method: str, path: str, body: bytes, language: str) -> int:
        events: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(event: dict[str, Any]) -> None:
            events.append(event)

        await self.app(self._scope(method, path, body, language), receive, send)
        return self._keep(f"{method} {path} {_SIX_DIGITS.sub('CODE', body.decode())}", events)

    def _scope(self, method: str, path: str, body: bytes, language: str) -> dict[str, Any]:
        path, _, query = path.partition("?")
        headers = {
            "host": "verify.example",
            "user-agent": "Firefox",
            "accept-language": language,
            "sec-fetch-site": "same-origin",
        }
        if method == "POST":
            headers |= {"content-type": _FORM, "content-length": str(len(body)), "origin": ISSUER}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": (self.ip, 40_000),
            "server": ("127.0.0.1", 8000),
        }

    def _keep(self, asked: str, events: list[dict[str, Any]]) -> int:
        start, *rest = events
        headers = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
        for name, value in headers:
            if name == "set-cookie":
                self._keep_cookie(value)
        lines = [f"== {len(self.answers)}: {asked}", str(start["status"])]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [event.get("body", b"").decode() for event in rest]
        text = "\n".join(lines)
        for pattern, shown in _RANDOM:
            text = pattern.sub(shown, text)
        self.answers.append(text)
        self.costs.append(self.work.take())
        status: int = start["status"]
        self.statuses.append(status)
        return status

    def _keep_cookie(self, written: str) -> None:
        pair, *attributes = (part.strip() for part in written.split(";"))
        name, _, value = pair.partition("=")
        if "Max-Age=0" in attributes:
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value


@contextlib.asynccontextmanager
async def open_world(
    url: str,
    folder: Path,
    rules: InstallationPolicy,
    *,
    settings: dict[str, str] | None = None,
    work: Work | None = None,
) -> AsyncIterator[tuple[Place, WebApplication]]:
    """Open a place with the real web application on it; its clock stands still, and its own pages can send by a carrier."""
    work = work or Work()
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - once, before anything runs
    loaded = load(
        {
            "COUNTERSIGN_ENVIRONMENT": "development",
            "COUNTERSIGN_HOME": str(folder),
            "COUNTERSIGN_PUBLIC_URL": ISSUER,
            **(settings or {}),
        }
    )
    async with place_at(
        url, folder, rules=rules, live=(CARRIER,), through=lambda database: CountedDatabase(database, work)
    ) as place:
        place.accounts.passwords.close()
        place.core = msgspec.structs.replace(
            place.core, keyring=CountedKeyring(folder / "keys.json", place.clock, work)
        )
        accounts = msgspec.structs.replace(
            place.accounts,
            core=place.core,
            passwords=CountedPasswords(2, work),
            sign_in_policy=loaded.sign_in.policy,
            password_min_length=loaded.passwords.least,
        )
        place.accounts = accounts
        inbox = Inbox(folder / "inbox.db")
        runtime = Runtime(
            settings=loaded,
            core=place.core,
            delivery=place.delivery,
            accounts=accounts,
            applications=ApplicationDirectory(place.database, place.keyring, place.clock),
            inbox=inbox,
            receivers={},
            metrics=Metrics(),
            demo_key=None,
            clock=Clock(place.clock),
            stopping=asyncio.Event(),
            stats_writer=asyncio.create_task(asyncio.sleep(0)),
        )
        try:
            yield place, make_app(runtime, worker_alive=lambda: True)
        finally:
            accounts.passwords.close()
            await inbox.close()


def assert_alike(known: Walk, unknown: Walk) -> None:
    """Compare all that two browsers were answered, and show what differs."""
    assert len(known.answers) == len(unknown.answers)
    for one, other in zip(known.answers, unknown.answers, strict=True):
        if one != other:
            shown = difflib.unified_diff(other.splitlines(), one.splitlines(), "unknown", "known", lineterm="", n=2)
            raise AssertionError(
                "An answer tells who has an account:\n" + one.splitlines()[0] + "\n" + "\n".join(shown)
            )


def assert_as_costly(known: Walk, unknown: Walk, *, rows: bool = True) -> None:
    """Compare the work that each answer cost. Without `rows`, writes are counted, and what they write is not compared.

    Where a delayed recovery begins, which the page after it says, an account that is there has a notice written for each of its contacts.
    There it is enough that something is written for one that is not there.
    """
    assert len(known.costs) == len(unknown.costs)
    following = (*known.answers[1:], "")
    for answer, after, one, other in zip(known.answers, following, known.costs, unknown.costs, strict=True):
        if BEGUN in after:
            assert any(what.startswith("Write") for what in other), other
            continue
        mine, theirs = (one, other) if rows else (_without_rows(one), _without_rows(other))
        if mine != theirs:
            shown = difflib.unified_diff(theirs, mine, "unknown", "known", lineterm="", n=0)
            raise AssertionError(
                "The work for an answer tells who has an account:\n" + answer.splitlines()[0] + "\n" + "\n".join(shown)
            )


def _without_rows(cost: list[str]) -> list[str]:
    return [what.partition(" ")[0] if what.startswith("Write") else what for what in cost]
