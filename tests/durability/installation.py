"""An installation as an operator has it: keys, a database, applications, a configuration, and processes that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import asyncpg
import psutil
from tests.peers import warm_start
from tests.peers.program import Program, free_port

from countersign.domain.shared.event import Event, decode_page
from countersign.domain.verifications.code import CodeShape, derive
from countersign.keys import Keyring, new_file
from countersign.store.engine.migrate import migrate

START: Final = 60.0
"""Seconds in which a process must be up."""


class Installation:
    """Production with live keys in a folder of its own. `database_url` empty is the SQLite file in its home."""

    def __init__(self, place: Path, database_url: str = "", *, config: str = "", **settings: str) -> None:
        self.place = place
        self.home = place / "home"
        self.database_url = database_url or f"sqlite:///{self.home / 'countersign.db'}"
        (place / "countersign.toml").write_text(config)
        self.program = Program(
            place,
            PUBLIC_URL="https://verify.example.org",
            HOME=str(self.home),
            DATABASE_URL=self.database_url,
            **settings,
        )
        self.port = free_port()
        self._logs: list[IO[bytes]] = []
        self._started: list[Started] = []
        # What the commands `keys new` and `migrate` do, without a process for each.
        self.home.mkdir(mode=0o700, exist_ok=True)
        new_file(self.home / "secret.keys", _clock())
        migrate(self.database_url)
        self.key = self.ran("apps", "add", "shop")
        self.keyring = Keyring(self.home / "secret.keys", _clock)

    @property
    def sqlite(self) -> bool:
        """Say which database it is."""
        return self.database_url.startswith("sqlite:")

    def ran(self, *words: str) -> str:
        """Run a command, which must succeed, and return what it said."""
        ended = self.program.run(*words)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def serve(self, *words: str) -> Started:
        """Start serving, on the same port each time, and wait until it answers."""
        started = self._start("serve", "--port", str(self.port), *words)
        started.wait_for(self.port)
        return started

    def work(self) -> Started:
        """Start a worker alone; it is at work a moment later."""
        return self._start("work")

    def code_of(self, id_: str, shape: CodeShape = CodeShape(), kid: str = "") -> str:  # noqa: B008 - frozen
        """Return the code of a verification, as its message shows it."""
        key = self.keyring.named(kid) if kid else self.keyring.primary
        return derive(key.code, id_, 0, shape).reveal()

    def wrong_for(self, id_: str) -> str:
        """Return a code of the right shape that is not the verification's."""
        code = self.code_of(id_)
        return code[:-1] + ("0" if code[-1] != "0" else "1")

    async def rows(self, sql: str) -> list[Any]:
        """Return what the database holds, past the program."""
        if self.sqlite:
            return await asyncio.to_thread(self._sqlite_rows, sql)
        connection = await asyncpg.connect(self.database_url)
        try:
            return [tuple(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    async def change(self, sql: str) -> None:
        """Change the database, past the program."""
        await self.rows(sql)

    async def events(self) -> list[Event]:
        """Return the whole event log."""
        return [event for (page,) in await self.rows("SELECT page FROM events") for event in decode_page(page)]

    def end(self) -> None:
        """Kill what still runs."""
        for started in self._started:
            started.kill()
        for log in self._logs:
            log.close()

    def logged(self) -> bytes:
        """Return all that its processes ever said."""
        return b"".join(path.read_bytes() for path in sorted(self.place.glob("*.log")))

    def _sqlite_rows(self, sql: str) -> list[Any]:
        with (
            contextlib.closing(sqlite3.connect(self.database_url.removeprefix("sqlite:///"), timeout=10)) as connection,
            connection,
        ):
            return connection.execute(sql).fetchall()

    def _start(self, *words: str) -> Started:
        log = (self.place / f"{words[0]}-{len(self._started)}.log").open("wb")
        self._logs.append(log)
        started = Started(words, self.place, self.program.environ, log)
        self._started.append(started)
        return started


class Started:
    """A command that runs, with the processes that it started."""

    def __init__(self, words: Sequence[str], place: Path, environ: dict[str, str], log: IO[bytes]) -> None:
        self._log = Path(log.name)
        self.popen = warm_start.start(words, place, environ, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        """Return what it said so far."""
        return self._log.read_text()

    def children(self) -> list[int]:
        """Return the processes that it started and that live."""
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.popen.pid).children()
            return [child.pid for child in found if child.status() != psutil.STATUS_ZOMBIE]
        return []

    def kill(self) -> None:
        """Kill -9 of it and of every process that it started; the one that would replace them goes first."""
        if self.popen.poll() is None:
            left = self.children()
            self.popen.kill()
            self.popen.wait()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _wait_until_gone(left)

    def stop(self, within: float = START) -> int:
        """SIGTERM; return its exit code, which must come within so many seconds."""
        self.popen.terminate()
        return self.popen.wait(within)

    def wait_for(self, port: int) -> None:
        """Wait until it answers on a port."""
        until = time.monotonic() + START
        while time.monotonic() < until and self.popen.poll() is None:
            with (
                contextlib.suppress(OSError, http.client.HTTPException),
                contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection,
            ):
                connection.request("GET", "/health/live")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(self.log)


@contextlib.contextmanager
def installed(place: Path, database_url: str = "", *, config: str = "", **settings: str) -> Iterator[Installation]:
    """Give an installation; whatever of it still runs at the end is killed."""
    made = Installation(place, database_url, config=config, **settings)
    try:
        yield made
    finally:
        made.end()


def webhook_config(url: str, secret: str, more: str = "") -> str:
    """Return a configuration in which one sender carries mail and SMS, and nothing is limited that is not under test."""
    return f"""
[limits]
destination = []
requester = []
[fraud]
mode = "off"
[routes]
email = ["gateway"]
sms = ["gateway"]
[providers.gateway]
kind = "webhook"
url = "{url}"
secret = "{secret}"
allow_http = true
allow_private = true
{more}"""


def _wait_until_gone(pids: Sequence[int]) -> None:
    until = time.monotonic() + START
    for pid in pids:
        while time.monotonic() < until:
            with contextlib.suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    time.sleep(0.005)
                    continue
            break


def _clock() -> int:
    return time.time_ns() // 1_000_000
