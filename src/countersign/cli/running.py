"""The commands that keep running, and the one that must come before them."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from countersign.cli.output import config_option, settings_of, wait_for


@click.command(epilog="SIGTERM and Ctrl-C stop it in order: what is in flight is finished within `grace` seconds.")
@click.option("--host", "bind", metavar="ADDRESS", help="IP address to listen on (setting `bind`).")
@click.option("--port", type=click.IntRange(0, 65_535), help="Port to listen on; 0 takes a free one.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes; more than one needs PostgreSQL.")
@click.option("--no-worker", is_flag=True, help="Leave delivering to `countersign work`.")
@config_option
def serve(bind: str | None, port: int | None, workers: int | None, no_worker: bool, config: Path | None) -> None:  # noqa: FBT001 - click's way
    """Serve over HTTP, and deliver."""
    from countersign.serving.server import free_port, see_that_it_can
    from countersign.serving.server import serve as start
    from countersign.wiring import prepare

    chosen = {"bind": bind, "port": port, "workers": workers, "no_worker": "yes" if no_worker else None}
    settings, environ = settings_of(config, **chosen)
    if settings.port == 0:
        settings, environ = settings_of(config, **(chosen | {"port": free_port(settings.bind)}))
    see_that_it_can(settings)
    demo_key = wait_for(prepare(settings))
    sys.exit(start(settings, environ, demo_key))


@click.command(
    epilog="Any number may run beside `countersign serve --no-worker` on one PostgreSQL. SIGTERM and Ctrl-C stop it in order."
)
@config_option
def work(config: Path | None) -> None:
    """Deliver and sweep, without HTTP."""
    from countersign.serving.alone import work as start

    settings, _ = settings_of(config, no_worker="no")
    start(settings)


@click.command(epilog="Safe to run while others serve and while others migrate: one does it, the rest find it done.")
@config_option
def migrate(config: Path | None) -> None:
    """Bring the database to the newest revision."""
    from countersign.store import migrate as schema

    settings, _ = settings_of(config)
    missing = schema.pending(settings.database_url)
    reached = schema.migrate(settings.database_url)
    click.echo(
        f"The database has revision {reached}."
        if missing
        else f"Nothing to do: the database has revision {reached} already."
    )
