"""The commands that keep running, and the one that must come before them."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from countersign.cli.output import config_option, json_option, print_table, settings_of, wait_for
from countersign.cli.served_address import remember_address
from countersign.config.families import meaning_of
from countersign.config.sources import PREFIX
from countersign.errors import UnavailableError

if TYPE_CHECKING:
    from countersign.config import Settings


@click.command(
    epilog="SIGTERM and Ctrl-C stop it in order: what is in flight is finished within `grace` seconds. SIGHUP reads the settings again."
)
@click.option("--host", "bind", metavar="ADDRESS", help=meaning_of("bind"))
@click.option("--port", type=click.IntRange(0, 65_535), help=meaning_of("port"))
@click.option("--workers", type=click.IntRange(1, 64), help=meaning_of("workers"))
@click.option("--no-worker", is_flag=True, help=meaning_of("no_worker"))
@config_option
def serve(bind: str | None, port: int | None, workers: int | None, no_worker: bool, config: Path | None) -> None:  # noqa: FBT001 - click's way
    """Serve over HTTP, and deliver."""
    from countersign.serving.server import check_can_serve, free_port
    from countersign.serving.server import serve as start
    from countersign.wiring import prepare

    _ignore_reloads()
    chosen = {"bind": bind, "port": port, "workers": workers, "no_worker": "yes" if no_worker else None}
    settings, environ = settings_of(config, **chosen)
    if settings.port == 0:
        settings, environ = settings_of(config, **(chosen | {"port": free_port(settings.bind)}))
    check_can_serve(settings)
    demo_key = wait_for(prepare(settings))
    remember_address(settings)
    sys.exit(start(settings, environ, demo_key))


@click.command(
    epilog="Reads no settings file and no COUNTERSIGN_* variable, and has no limits on how often one asks. Once it says so, it serves."
)
@click.option("--host", "bind", default="127.0.0.1", metavar="ADDRESS", help="IP address to listen on; else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port to listen on; else a free one.")
@json_option
def emulate(bind: str, port: int, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Serve from nothing and keep nothing: a new database in a folder that is removed at the end, every message in the inbox."""
    from countersign.serving.banner import show_banner
    from countersign.serving.server import check_can_serve, free_port
    from countersign.serving.server import serve as start
    from countersign.wiring import prepare

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    memory = Path("/dev/shm")  # noqa: S108 - a folder of ours is made in it, with a name nobody knows and mode 0700
    with tempfile.TemporaryDirectory(prefix="countersign-", dir=memory if memory.is_dir() else None) as folder:
        nothing = Path(folder) / "countersign.toml"
        nothing.write_text('environment = "development"\n[limits]\ndestination = []\nrequester = []\n')
        chosen = {"home": folder, "bind": bind, "port": port or free_port(bind), "log_level": "warning"}
        settings, environ = settings_of(nothing, **chosen)
        check_can_serve(settings)
        key = wait_for(prepare(settings))
        status = start(settings, environ, key, _in_one_line if as_json else show_banner)
    sys.exit(status)


def _in_one_line(settings: Settings, key: str | None, took: float) -> None:
    """Say as JSON, once it serves, where and with which key."""
    click.echo(msgspec.json.encode({"url": settings.public_url, "key": key, "took": round(took, 2)}))
    sys.stdout.flush()


@click.command(
    epilog="Any number may run beside `countersign serve --no-worker` on one PostgreSQL. SIGTERM and Ctrl-C stop it in order, SIGHUP reads"
    " the settings again."
)
@config_option
def work(config: Path | None) -> None:
    """Deliver and sweep, without HTTP."""
    from countersign.serving.worker_process import work as start

    _ignore_reloads()
    start(*settings_of(config, no_worker="no"))


@click.command(epilog="Safe to run while others serve and while others migrate: one does it, the rest find it done.")
@click.option(
    "--adopt",
    is_flag=True,
    help="In production: make a database of development one of production. There is no way back.",
)
@click.option("--plan", is_flag=True, help="Show what would be done and how, and do nothing.")
@config_option
def migrate(adopt: bool, plan: bool, config: Path | None) -> None:  # noqa: FBT001 - click's way
    """Bring the database to the newest revision."""
    from countersign.store.engine import migrate as schema
    from countersign.wiring import schema_url

    settings, _ = settings_of(config)
    if plan:
        planned = schema.plan(settings.database_url)
        print_table(
            ("revision", "how", "statement"), [(one.revision, one.how, " ".join(one.sql.split())) for one in planned]
        )
        return
    if adopt and settings.development:
        raise click.UsageError("--adopt makes a database one of production; these settings say development.")
    if not adopt:
        wait_for(_judge_database(settings))
    missing = schema.pending(schema_url(settings))
    reached = schema.migrate(schema_url(settings))
    click.echo(
        f"The database has revision {reached}."
        if missing
        else f"Nothing to do: the database has revision {reached} already."
    )
    wait_for(_claim_database(settings, adopt=adopt))


def _ignore_reloads() -> None:
    """Ignore SIGHUP while it starts, with the settings as they are now; it would end the program without a word."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


async def _judge_database(settings: Settings) -> None:
    """Raise SettingsError if the database is of another environment. One that cannot be reached is told by the migration."""
    from countersign.flows.maintenance.environment import check_environment
    from countersign.store.engine.connect import open_database, sqlite_path

    path = sqlite_path(settings.database_url)
    if path is not None and not path.exists():
        return
    database = open_database(settings.database_url, pool=1, pooled=settings.database_pooled)
    try:
        await database.open()
        await check_environment(database, development=settings.development)
    except UnavailableError:
        return
    finally:
        await database.close()


async def _claim_database(settings: Settings, *, adopt: bool) -> None:
    """Write down which environment the database is of."""
    from countersign.flows.maintenance.environment import adopt_database, claim_environment
    from countersign.store.engine.connect import open_database

    database = open_database(settings.database_url, pool=1, pooled=settings.database_pooled)
    try:
        await database.open()
        if adopt:
            await adopt_database(database)
            click.echo("The database is one of production from now on.")
        else:
            await claim_environment(database, development=settings.development)
    finally:
        await database.close()
