"""Checks that serving is possible, and runs the processes under a supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import resource
import shutil
import socket
import tempfile
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from countersign import logs
from countersign.config.live_settings import LiveSettings
from countersign.errors import SettingsError
from countersign.serving.banner import show_banner
from countersign.serving.preflight import check_before_start
from countersign.serving.protocol import CONNECTIONS
from countersign.serving.supervisor import Supervisor
from countersign.serving.web_process import BACKLOG
from countersign.wiring import templates_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from countersign.config import Settings
    from countersign.messages.custom.custom_templates import CustomTemplates

SHARED: Final = "PROMETHEUS_MULTIPROC_DIR"
"""As in metrics.py. That module must not be imported before the variable is set, because prometheus-client reads it at import."""

GAVE_UP: Final = 3
"""Exit code when processes kept dying."""

_log = structlog.get_logger("countersign.serving")

Banner: TypeAlias = "Callable[[Settings, str | None, float], None]"
"""Announces that serving has begun. Called with the settings, the demonstration key or None, and the seconds that it took."""


def serve(settings: Settings, environ: Mapping[str, str], demo_key: str | None, banner: Banner = show_banner) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code: 0 after a stop, 3 when processes kept dying.

    Args:
        settings: those of the installation, which every process gets as they are.
        environ: where they are read again at SIGHUP.
        demo_key: the key of the demonstration, in development.
        banner: says that it serves.

    Raises:
        SettingsError: the port is taken, or several processes would write one SQLite file.
    """
    began = time.monotonic()
    check_can_serve(settings)
    if settings.public_url.startswith("https://") and not settings.trusted_proxies:
        _log.warning(
            "proxy_not_trusted", peer="", remedy="Set COUNTERSIGN_TRUSTED_PROXIES to the network of what ends TLS."
        )
    _more_files()
    # The parent too: while it waited for a reader of its log, it would replace no process that died, and hear no signal.
    logs.configure(settings.log.level, settings.log.format, queued=True)
    with _shared_counts(settings.workers), _listening(settings.bind) as listener:
        _bind(listener, settings)
        listener.listen(BACKLOG)
        # Loaded once before the processes fork, so that they start at once and share the memory.
        importlib.import_module("countersign.web.app")
        supervisor = Supervisor(
            LiveSettings(environ, settings),
            listener,
            prepare=_prepared,
            templates=templates_of(settings),
            announce=lambda: banner(settings, demo_key, time.monotonic() - began),
        )
        in_order = supervisor.run()
    _log.info("stopped")
    return 0 if in_order else GAVE_UP


def _prepared(settings: Settings) -> CustomTemplates:
    """Open what settings name, and return their templates. Raises CountersignError if a process could not start with them."""
    asyncio.run(check_before_start(settings))
    return templates_of(settings)


def check_can_serve(settings: Settings) -> None:
    """Raise SettingsError, with a remedy, if the port is taken or if several processes would write one SQLite file."""
    if settings.sqlite and settings.workers > 1:
        raise SettingsError(
            f"workers (COUNTERSIGN_WORKERS) is {settings.workers}, but the database is SQLite, which one process must have to itself:"
            " set workers to 1, or COUNTERSIGN_DATABASE_URL to a PostgreSQL."
        )
    with _listening(settings.bind) as probe:
        _bind(probe, settings)


def free_port(bind: str) -> int:
    """Return a port that is free now."""
    with _listening(bind) as probe:
        probe.bind((bind, 0))
        port: int = probe.getsockname()[1]
        return port


def _listening(bind: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ip_address(bind).version == 6 else socket.AF_INET)  # noqa: PLR2004
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return listener


def _bind(listener: socket.socket, settings: Settings) -> None:
    try:
        listener.bind((settings.bind, settings.port))
    except OSError as error:
        raise SettingsError(
            f"{settings.bind} port {settings.port} cannot be listened on ({error.strerror}). If another program has it, stop that one,"
            f" or choose another port: countersign serve --port {settings.port + 1 if settings.port < 65_535 else 8_000}"  # noqa: PLR2004
        ) from error


def _more_files() -> None:
    """Raise the limit of open files to the number of connections, where the system allows it; say so where it does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 256
    if hard != resource.RLIM_INFINITY and hard < wanted:
        detail = f"Connections wait unanswered beyond {hard} open files. Allow {wanted} (ulimit -n, LimitNOFILE)."
        _log.warning("few_open_files", limit=hard, detail=detail)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
            )


@contextlib.contextmanager
def _shared_counts(workers: int) -> Iterator[None]:
    """Give several processes a shared directory for their counters."""
    if workers == 1:
        yield
        return
    try:
        folder = Path(tempfile.mkdtemp(prefix="countersign-counts-"))
    except OSError as error:
        raise SettingsError(
            f"Several processes share their counts in a temporary folder, and none can be made ({error.strerror}): name a folder by TMPDIR"
            " that this user may write to, or set workers to 1."
        ) from error
    os.environ[SHARED] = str(folder)
    try:
        yield
    finally:
        del os.environ[SHARED]
        shutil.rmtree(folder, ignore_errors=True)
