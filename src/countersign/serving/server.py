"""The server: sees that it can start, has Granian run the processes, and replaces one that dies."""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import structlog

from countersign.errors import SettingsError
from countersign.serving.banner import greet

if TYPE_CHECKING:
    from granian.server.mp import MPServer

    from countersign.config import Settings

SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
"""As in stats.py, which cannot be imported before it is set: prometheus-client looks at it only then."""

BACKLOG: Final = 1024
"""Connections that the kernel keeps until a process takes them."""

CONNECTIONS: Final = 8_192
"""Connections that one process holds at once, idle ones included; more wait in the backlog."""

HEADERS_WITHIN: Final = 10_000
"""Milliseconds in which a request's headers must have come: a client that dribbles them holds no place for long."""

YOUNG: Final = 2.0
"""Seconds; a process that dies younger counts as one that could not start."""

MOST_FAILED_STARTS: Final = 5
"""Processes in a row that could not start, after which the server gives up and says so to whoever watches it."""

_log = structlog.get_logger("countersign.serving")


Greeting: TypeAlias = "Callable[[Settings, str | None, float], None]"
"""Says that it serves: the settings, the key of the demonstration if there is one, and the seconds it took."""


def serve(settings: Settings, environ: Mapping[str, str], demo_key: str | None, say: Greeting = greet) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code: 0 after a stop, 3 when processes kept dying.

    `environ` is what the processes read their settings from. Raises SettingsError if the port is taken.
    """
    began = time.monotonic()
    see_that_it_can(settings)
    os.environ.update(environ)
    _more_files()
    with _shared_counts(settings.workers):
        # Loaded once, here, before the processes fork: they start at once, and share the memory.
        importlib.import_module("countersign.web.app")
        server = _server(settings, lambda: say(settings, demo_key, time.monotonic() - began))
        try:
            server.serve()
        except SystemExit as end:
            return int(end.code or 0)
    _log.info("stopped")
    return 3 if getattr(server, "gave_up", False) else 0


def see_that_it_can(settings: Settings) -> None:
    """Raise SettingsError, with the remedy, where serving would fail or harm: a port in use, several writers of one SQLite file."""
    if settings.sqlite and settings.workers > 1:
        raise SettingsError(
            f"workers (COUNTERSIGN_WORKERS) is {settings.workers}, but the database is SQLite, which one process must have to itself:"
            " set workers to 1, or COUNTERSIGN_DATABASE_URL to a PostgreSQL."
        )
    with _listening(settings.bind) as probe:
        try:
            probe.bind((settings.bind, settings.port))
        except OSError as error:
            raise SettingsError(
                f"{settings.bind} port {settings.port} cannot be listened on ({error.strerror}). If another program has it, stop that one,"
                f" or choose another port: countersign serve --port {settings.port + 1 if settings.port < 65_535 else 8_000}"  # noqa: PLR2004
            ) from error


def free_port(bind: str) -> int:
    """Return a port that is free now."""
    with _listening(bind) as probe:
        probe.bind((bind, 0))
        port: int = probe.getsockname()[1]
        return port


def _listening(bind: str) -> socket.socket:
    # Without SO_REUSEPORT, which the server itself sets: with it a second server would share the port, and half of the requests.
    probe = socket.socket(socket.AF_INET6 if ip_address(bind).version == 6 else socket.AF_INET)  # noqa: PLR2004
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return probe


def _answers(settings: Settings) -> bool:
    address = ip_address(settings.bind)
    host = {4: "127.0.0.1", 6: "::1"}[address.version] if address.is_unspecified else settings.bind
    try:
        socket.create_connection((host, settings.port), 0.2).close()
    except OSError:
        return False
    return True


def _more_files() -> None:
    """Let each process have as many open files as it may hold connections, where the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 256
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
            )


@contextlib.contextmanager
def _shared_counts(workers: int) -> Iterator[None]:
    """Give several processes a folder for their counts, so that any of them can tell of all."""
    if workers == 1:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix="countersign-counts-"))
    os.environ[SHARED] = str(folder)
    try:
        yield
    finally:
        del os.environ[SHARED]
        shutil.rmtree(folder, ignore_errors=True)


def _server(settings: Settings, ready: Callable[[], None]) -> MPServer:
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
    from granian.server.mp import MPServer

    class Watched(MPServer):
        """Granian's server, but for one thing: a process that dies is replaced however often, unless it cannot even start."""

        gave_up = False

        def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401 - as Granian has it
            deaths = failed_starts = 0
            told = False
            while not self.interrupt_signal:
                if not told and _answers(settings):
                    told = True
                    ready()
                if not self.main_loop_interrupt.wait(None if told else 0.02):
                    continue
                self.main_loop_interrupt.clear()
                if self.reload_signal:
                    self._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]
                while self.interrupt_children and not self.interrupt_signal:
                    dead = self.interrupt_children.pop()
                    died = self.wrks[dead].inner
                    young = time.monotonic() - self.wrks[dead].birth < YOUNG
                    deaths = deaths + 1 if young else 0
                    # A negative exit code is a signal's: somebody killed it, which says nothing of whether it can start.
                    failed_starts = failed_starts + 1 if young and died.exitcode > 0 else 0
                    if failed_starts >= MOST_FAILED_STARTS:
                        _log.error(
                            "gave_up", detail=f"{failed_starts} processes in a row could not start; why stands above."
                        )
                        self.gave_up = True
                        return
                    pause = min(1.0, 0.1 * 2**deaths) if deaths else 0.0
                    _log.warning("process_died", pid=died.pid, exit_code=died.exitcode, again_in=pause)
                    time.sleep(pause)
                    self._respawn_workers([dead], spawn_target, target_loader)

    least = LogLevels.debug if settings.log.level == "debug" else LogLevels.warning
    return Watched(
        "countersign.serving:app",
        address=settings.bind,
        port=settings.port,
        interface=Interfaces.ASGI,
        factory=True,
        workers=settings.workers,
        loop=Loops.uvloop if sys.platform != "win32" else Loops.asyncio,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADERS_WITHIN),
        websockets=False,
        runtime_threads=1,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        respawn_failed_workers=True,
        workers_kill_timeout=settings.grace,
        log_level=least,
        # Its loggers hand on to ours, where everything passes the redactor.
        log_dictconfig={
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {},
            "handlers": {},
            "loggers": {
                name: {"handlers": [], "propagate": True, "level": "WARNING"} for name in ("_granian", "granian.access")
            },
        },
    )
