"""`countersign keys`: creates, lists, rotates and retires keys, and reseals what they made. Secrets are never shown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from countersign.cli.output import (
    Stopped,
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
from countersign.errors import SettingsError

if TYPE_CHECKING:
    from countersign.flows.maintenance.reseal import ResealProgress, ResealReport
    from countersign.flows.maintenance.rotate_keys import Retired

_WORDS: Final = {
    "in_use": "in use",
    "to_come": "to come",
    "reads": "reads",
    "retired": "retired",
    "closed": "closed",
}
_TELL_AFTER: Final = 2.0
"""Seconds between two lines of progress."""


@click.group()
def keys() -> None:
    """Create, list, rotate and retire the keys that everything is derived from."""


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
    r"""List each key with the time of its first use, and what it is for.

    \b
    in use   makes new codes, seals and signatures
    to come  will be in use from the time that is shown
    reads    reads what it made
    retired  signs and seals nothing, and still reads what it made
    closed   nothing that it made is accepted
    """
    from countersign.clock import system_clock
    from countersign.keys import Keyring
    from countersign.wiring import key_source_of

    settings, _ = settings_of(config)
    found = Keyring(key_source_of(settings), system_clock).states()
    if as_json:
        print_json(
            [
                {
                    "kid": key.kid,
                    "active_from": key.active_from,
                    "state": key.state,
                    "published": key.published,
                    "retired_at": key.retired_at,
                    "closed_at": key.closed_at,
                }
                for key in found
            ]
        )
        return
    print_table(("Key", "From", "State"), [(key.kid, moment(key.active_from), _WORDS[key.state]) for key in found])


@keys.command()
@click.option(
    "--active-in",
    type=click.IntRange(10, 86_400),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="When the key becomes active: the time to copy the file to other machines.",
)
@click.option(
    "--index",
    "with_index",
    is_flag=True,
    help="Replace the secret of the keyed hashes too, as after a leak. Run `keys reseal` soon afterwards.",
)
@config_option
@json_option
def rotate(active_in: int, with_index: bool, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Add a key that becomes active a little later. Running processes pick it up, and pending verifications continue."""
    settings, _ = settings_of(config)
    kid, active_from, number = wait_for(_rotate(settings, active_in * 1_000, with_index=with_index))
    if as_json:
        index = {} if number is None else {"index": number}
        print_json({"kid": kid, "active_from": moment(active_from), **index})
        return
    click.echo(f"Added {kid}, active from {moment(active_from)}.")
    if number is not None:
        click.echo(f"Added index {number}, active from the same time.")
        remark("Until `countersign keys reseal` has been run after that time, each hash is looked for in both forms.")
    remark(f"Copy {settings.secret_file} to every other machine before then, and to your backup.")


@keys.command()
@click.argument("kid")
@config_option
@json_option
def retire(kid: str, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Retire the key KID: it signs and seals nothing more. The active key cannot be retired; rotate first.

    The key leaves the published keys when the last token that it signed has ended. Once nothing is sealed with it, and its last code has
    ended, nothing that it made is accepted.
    """
    settings, _ = settings_of(config)
    done = wait_for(_retire(settings, kid))
    closed_at = done.key.closed_at
    if as_json:
        print_json({"kid": kid, "sealed": done.sealed, "closed_at": None if closed_at is None else moment(closed_at)})
        return
    click.echo(f"Retired {kid}.")
    if done.sealed:
        remark(
            f"{done.sealed} values are still sealed with it, and it goes on opening them: run `countersign keys reseal`."
        )
    elif closed_at is not None:
        remark(f"Nothing that it made is accepted from {moment(closed_at)} on.")
    else:
        remark("It has only just been replaced. Run `countersign keys reseal` in a minute to close it.")
    remark(f"Copy {settings.secret_file} to every other machine, and to your backup.")


@keys.command()
@config_option
@json_option
def reseal(config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Seal everything under the active key, and rewrite the keyed hashes under the newest index, while others serve.

    It may be stopped and run again. It ends with 1 if something is left, such as a record that cannot be opened.
    """
    settings, _ = settings_of(config)
    done = wait_for(_reseal(settings, quiet=as_json))
    if as_json:
        print_json(done)
    else:
        click.echo(f"Renewed {done.renewed} rows.")
        for kid in done.closed:
            click.echo(f"Closed {kid}: nothing is sealed with it any more.")
        if done.index is not None:
            click.echo(f"Index {done.index} is the only one now.")
        if done.closed or done.index is not None:
            remark(f"Copy {settings.secret_file} to every other machine, and to your backup.")
    if settings.secret_command and not as_json:
        remark("The keys come from a command, so earlier ones are not closed: docs/operations.md says how to do that.")
    if done.unreadable or done.left:
        raise Stopped(
            f"{done.unreadable} rows cannot be opened, and {done.left} are held by others: see the log, and run it again.",
            1,
        )


class ProgressLines:
    """Tells on stderr how far a reseal has come, every two seconds."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()

    def __call__(self, progress: ResealProgress) -> None:
        """Tell, unless that was done a moment ago."""
        if time.monotonic() - self._told_at >= _TELL_AFTER:
            self._told_at = time.monotonic()
            remark(f"{progress.table}: {progress.seen} rows seen, {progress.renewed} renewed")


def _file_of(settings: Settings) -> Path:
    """Return the key file, which a command is going to change. Raises SettingsError if the secrets come from a command."""
    if settings.secret_command:
        raise SettingsError(
            "The keys come from secret_command, and cannot be changed there. Unwrap them into a file, name it with COUNTERSIGN_SECRET_FILE,"
            " set COUNTERSIGN_SECRET_COMMAND= for this command, and wrap the file again afterwards."
        )
    return settings.secret_file


async def _rotate(settings: Settings, delay: int, *, with_index: bool) -> tuple[str, int, int | None]:
    from countersign.flows.maintenance.rotate_keys import rotate_hash_index, rotate_keys
    from countersign.wiring import installation_of

    file = _file_of(settings)
    async with installation_of(settings) as ground:
        log, now = ground.log(), ground.clock()
        kid, active_from = await rotate_keys(ground.database, log, file, now, delay)
        number = None
        if with_index:
            number, _ = await rotate_hash_index(ground.database, log, file, now, delay)
        return kid, active_from, number


async def _retire(settings: Settings, kid: str) -> Retired:
    from countersign.flows.maintenance import rotate_keys
    from countersign.wiring import installation_of

    file = _file_of(settings)
    async with installation_of(settings) as ground:
        return await rotate_keys.retire(ground.rows, ground.log(), ground.keyring, file, kid, ground.clock())


async def _reseal(settings: Settings, *, quiet: bool) -> ResealReport:
    from countersign.flows.maintenance import reseal
    from countersign.wiring import installation_of

    file = None if settings.secret_command else settings.secret_file
    async with installation_of(settings) as ground:
        return await reseal.reseal(
            ground.rows,
            ground.log(),
            ground.keyring,
            file,
            ground.clock,
            ProgressLines() if not quiet else lambda _: None,
        )
