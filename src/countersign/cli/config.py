"""`countersign config`: check the settings before anything reads them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from countersign.cli.output import Stopped, config_option, json_option, print_json, wait_for
from countersign.config import load
from countersign.config.sources import CONFIG
from countersign.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from countersign.config import Settings


@click.group()
def config() -> None:
    """Check the settings before anything reads them."""


@config.command(
    epilog="Exits with 2 if anything is wrong. It speaks to nobody, unless `secret_command` or --diff does."
)
@config_option
@json_option
@click.option(
    "--diff", is_flag=True, help="Say also in which sections they differ from those of the program that started last."
)
def check(config: Path | None, as_json: bool, diff: bool) -> None:  # noqa: FBT001 - click's way
    """Check the settings file, the environment, and every file that they name: secrets, keys, templates, lists."""
    from countersign import logs
    from countersign.serving.preflight import find_faults

    logs.configure("error")
    environ = dict(os.environ)
    if config is not None:
        environ[CONFIG] = str(config.absolute())
    settings: Settings | None = None
    try:
        settings = load(environ)
    except SettingsError as error:
        faults = str(error).splitlines()
    else:
        faults = wait_for(find_faults(settings))
    differing = wait_for(_differing(settings)) if diff and settings is not None and not faults else []
    if as_json:
        print_json({"faults": faults} | ({"differing": differing} if diff else {}))
        sys.exit(2 if faults else 0)
    if faults:
        raise Stopped("\n".join(faults), 2)
    click.echo("The settings are sound.")
    for section in differing:
        click.echo(f"differs\t{section}")


async def _differing(settings: Settings) -> list[str]:
    """Return the sections in which these settings differ from those of the program that started last."""
    from countersign.config.agreement import agreement_of, differing_sections
    from countersign.store.engine.connect import open_database
    from countersign.store.tables import metadata

    database = open_database(settings.database_url, pool=1)
    await database.open()
    try:
        return differing_sections(agreement_of(settings), await database.read(metadata.find, metadata.SETTINGS))
    finally:
        await database.close()
