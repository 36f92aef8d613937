"""`countersign keys`: creates, lists and rotates the key file. Its secrets are never shown."""

from __future__ import annotations

from pathlib import Path

import click

from countersign.cli.output import (
    config_option,
    json_option,
    moment,
    print_json,
    print_table,
    remark,
    settings_of,
    wait_for,
)
from countersign.config import Settings


@click.group()
def keys() -> None:
    """Create, list and rotate the key file that everything is derived from."""


@keys.command()
@click.argument("file", type=click.Path(path_type=Path))
def new(file: Path) -> None:
    """Write new keys to FILE with mode 0600. An existing file is never overwritten."""
    from countersign.clock import system_clock
    from countersign.keys import new_file

    new_file(file, system_clock())
    click.echo(f"Wrote {file}.")
    remark("Keep a copy in a safe place: without it, nothing that is stored can be read.")


@keys.command(name="list")
@config_option
@json_option
def list_(config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """List each key with the time of its first use. The newest active key makes new codes and seals; all keys read."""
    from countersign.clock import system_clock
    from countersign.keys import Keyring

    settings, _ = settings_of(config)
    keyring = Keyring(settings.secret_file, system_clock)
    now, primary = system_clock(), keyring.primary.kid
    rows = [
        (kid, moment(since), "in use" if kid == primary else "to come" if since > now else "reads")
        for kid, since in keyring.kids()
    ]
    if as_json:
        print_json([{"kid": kid, "active_from": since, "state": state.replace(" ", "_")} for kid, since, state in rows])
        return
    print_table(("Key", "From", "State"), rows)


@keys.command()
@click.option(
    "--active-in",
    type=click.IntRange(10, 86_400),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="When the key becomes active: the time to copy the file to other machines.",
)
@config_option
@json_option
def rotate(active_in: int, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Add a key that becomes active a little later. Running processes pick it up, and pending verifications continue."""
    settings, _ = settings_of(config)
    kid, active_from = wait_for(_rotate(settings, active_in * 1_000))
    if as_json:
        print_json({"kid": kid, "active_from": moment(active_from)})
        return
    click.echo(f"Added {kid}, active from {moment(active_from)}.")
    remark(f"Copy {settings.secret_file} to every other machine before then, and to your backup.")


async def _rotate(settings: Settings, delay: int) -> tuple[str, int]:
    from countersign.flows.maintenance.rotate_keys import rotate_keys
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await rotate_keys(ground.database, ground.log(), settings.secret_file, ground.clock(), delay)
