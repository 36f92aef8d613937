"""A real PgBouncer in transaction mode before a PostgreSQL of the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, Protocol

from tests.peers.postgres import NOBODY
from tests.peers.program import free_port

PATIENCE: Final = 20.0
"""Seconds in which it must answer."""


class MissingPgBouncerError(Exception):
    """PgBouncer cannot run here; the text says why."""


class Listens(Protocol):
    """A PostgreSQL on a port of loopback."""

    port: int


class PgBouncer:
    """A pooler with `pool` connections to each database of a server, on a port of loopback; it asks for no password."""

    def __init__(self, server: Listens, *, pool: int = 4) -> None:
        program = shutil.which("pgbouncer") or ("/usr/sbin/pgbouncer" if Path("/usr/sbin/pgbouncer").exists() else None)
        if program is None:
            raise MissingPgBouncerError("pgbouncer is not installed (apt-get install pgbouncer)")
        self._home = Path(tempfile.mkdtemp(prefix="countersign-pgbouncer-", dir="/tmp"))
        self.port = free_port()
        config = self._home / "pgbouncer.ini"
        config.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port} user=tester\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
            f"default_pool_size = {pool}\nmax_client_conn = 500\nquery_wait_timeout = 10\n"
            "server_login_retry = 1\n"
        )
        as_nobody: list[str] = []
        if os.geteuid() == 0:
            os.chown(self._home, NOBODY, NOBODY)
            config.chmod(0o644)
            as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        self._log = (self._home / "log").open("wb")
        self._running = subprocess.Popen(
            [*as_nobody, program, str(config)], stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL, cwd="/"
        )
        try:
            self._wait()
        except BaseException:
            self.remove()
            raise

    def url(self, database: str) -> str:
        """Return the address of a database behind it."""
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def remove(self) -> None:
        """Stop it, and remove its folder."""
        self._running.kill()
        self._running.wait()
        self._log.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _wait(self) -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._running.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.02)
        raise MissingPgBouncerError(f"pgbouncer did not start: {(self._home / 'log').read_text()[-500:]}")
