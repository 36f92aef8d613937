"""`countersign backup`, `restore` and `drill`: copy the database while it is served, bring a copy back, and prove that it can be."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

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
from countersign.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from countersign.config import Settings
    from countersign.flows.maintenance.drill import DrillReport
    from countersign.keys import Keyring
    from countersign.store.backup.backup_files import WrittenBackup
    from countersign.store.backup.manifest import BackupManifest

PIPE: Final = "-"

_into: Final = click.option(
    "--into",
    metavar="URL",
    default="",
    help="PostgreSQL: the empty database to restore into. It is empty again afterwards.",
)


@click.command(
    epilog="The key file is not in it: keep a copy of that elsewhere. With --drill, exits with 1 if the backup proves nothing."
)
@click.argument("target", metavar="FILE-OR-FOLDER", type=click.Path(path_type=Path))
@click.option("--gzip", "compress", is_flag=True, help="Compress it.")
@click.option("--drill", "prove", is_flag=True, help="Prove it afterwards, as `countersign drill` does.")
@_into
@config_option
@json_option
def backup(target: Path, compress: bool, prove: bool, into: str, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Back up the database while programs serve it, into a new file. `-` writes to stdout, for a pipe."""
    _end_in_order()
    settings, _ = settings_of(config)
    is_pipe = str(target) == PIPE
    if is_pipe and (prove or as_json):
        raise click.UsageError("What goes through a pipe cannot be proved or described: leave out --drill and --json.")
    if is_pipe and sys.stdout.isatty():
        raise click.UsageError("A backup is not for a terminal: pipe it into a program or a file.")
    began = time.monotonic()
    made = wait_for(_back_up(settings, sys.stdout.buffer if is_pipe else target, compress=compress))
    took = time.monotonic() - began
    if not as_json:
        if made.path is not None:
            click.echo(str(made.path))
        remark(
            f"{made.manifest.rows} rows in {made.size} bytes, in {took:.1f} s, of {moment(made.manifest.made_at)}. The key file is not"
            f" in it; it needs {_named(made.manifest.keys)}."
        )
    report = None
    if prove and made.path is not None:
        report = _drill(settings, made.path, into, quiet=as_json)
    if as_json:
        print_json(
            {
                "file": str(made.path),
                "bytes": made.size,
                "rows": made.manifest.rows,
                "made_at": moment(made.manifest.made_at),
                "revision": made.manifest.revision,
                "keys": made.manifest.keys,
                "seconds": round(took, 2),
                **({} if report is None else {"sound": report.is_sound}),
            }
        )
    sys.exit(0 if report is None or report.is_sound else 1)


@click.command(
    epilog="Stop every program that serves the database before. Codes, sessions, trusted browsers, recovery codes and integration codes end:"
    " which of them were used or revoked since the backup, nobody knows."
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--by-other-means",
    is_flag=True,
    help="The database was restored already, as by point-in-time recovery: treat it as what it is.",
)
@config_option
def restore(file: Path | None, by_other_means: bool, config: Path | None) -> None:  # noqa: FBT001 - click's way
    """Restore a backup into an empty database, or for SQLite where there is no file. `-` reads stdin."""
    if (file is None) is not by_other_means:
        raise click.UsageError("Name the backup, or say --by-other-means.")
    _end_in_order()
    settings, _ = settings_of(config)
    if file is None:
        wait_for(_declare(settings))
        click.echo("The database counts as restored. What could have been used or revoked since the backup has ended.")
        return
    began = time.monotonic()
    manifest = wait_for(_restore(settings, file))
    click.echo(
        f"Restored {manifest.rows} rows of {moment(manifest.made_at)} in {time.monotonic() - began:.1f} s."
        if manifest.tables
        else "Restored a copy that was not made by `countersign backup`: its event log alone tells whether it is whole."
    )
    remark("What could have been used or revoked since the backup has ended: people sign in again.")
    remark("Remove again the applications, and erase again the accounts, that were removed or erased since the backup.")


@click.command(epilog="Exits with 1 if the backup proves nothing.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_into
@config_option
@json_option
def drill(file: Path | None, into: str, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Prove a backup: restore it into a scratch place, verify its event log, count its rows, open every sealed value.

    Without FILE it makes a backup of the database first, and removes it afterwards. `-` reads stdin.
    """
    _end_in_order()
    settings, _ = settings_of(config)
    if file is not None:
        report = _drill(settings, file, into, quiet=as_json)
    else:
        with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
            made = wait_for(_back_up(settings, Path(folder), compress=False))
            assert made.path is not None  # noqa: S101 - it was written into a folder
            report = _drill(settings, made.path, into, quiet=as_json)
    if as_json:
        print_json({"sound": report.is_sound, "report": report})
    sys.exit(0 if report.is_sound else 1)


def _drill(settings: Settings, file: Path, into: str, *, quiet: bool) -> DrillReport:
    began = time.monotonic()
    manifest, report = wait_for(_prove(settings, file, into))
    took = time.monotonic() - began
    if not quiet:
        click.echo(
            f"Restored {manifest.rows} rows of {moment(manifest.made_at)}, verified {report.entries} events and opened"
            f" {report.opened} sealed values in {took:.1f} s: {'sound' if report.is_sound else 'NOT sound'}."
        )
        print_table(
            ("Where", "Finding"),
            [
                *((one.writer or "checkpoints", f"{one.seq}: {one.what}") for one in report.findings),
                *(
                    (table, f"{count} rows cannot be opened with these keys")
                    for table, count in report.unreadable.items()
                ),
            ],
        )
    return report


async def _back_up(settings: Settings, target: Path | BinaryIO, *, compress: bool) -> WrittenBackup:
    from countersign import __version__
    from countersign.domain.shared.event import Event, EventKind
    from countersign.store.backup.backup_files import write_backup
    from countersign.store.backup.manifest import BackupRequest
    from countersign.store.ledger import event_log
    from countersign.store.tables import lineage, metadata
    from countersign.wiring import installation_of, schema_url

    async with installation_of(settings) as ground:
        keys = tuple(key.kid for key in ground.keyring.states() if key.state != "closed")
        now = ground.clock()
        made = await write_backup(
            schema_url(settings), target, BackupRequest(now, __version__, keys), compress=compress
        )
        await ground.database.run(metadata.save, lineage.LAST_BACKUP, str(now).encode())
        facts: dict[str, str | int] = {"rows": made.manifest.rows, "bytes": made.size}
        event = Event(ground.clock(), EventKind.BACKUP_MADE, "", "", facts)
        await ground.log().run(ground.database, event_log.append_event, event)
    return made


async def _restore(settings: Settings, file: Path) -> BackupManifest:
    from countersign.store.backup.backup_files import restore_backup
    from countersign.store.engine.migrate import migrate
    from countersign.wiring import installation_of, schema_url

    with _reading(file) as source:
        manifest = await restore_backup(schema_url(settings), source, _check(settings))
    migrate(schema_url(settings))
    async with installation_of(settings):
        pass  # it notices that the database was restored, and ends what must end
    return manifest


async def _declare(settings: Settings) -> None:
    from countersign.flows.maintenance.restoration import declare_restored, notice_restoration
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        await declare_restored(ground.database, ground.clock())
        await notice_restoration(ground.database, ground.mark, ground.log(), ground.clock())


async def _prove(settings: Settings, file: Path, into: str) -> tuple[BackupManifest, DrillReport]:
    from countersign.flows.maintenance.drill import prove
    from countersign.store.backup.backup_files import in_scratch_place

    with _reading(file) as source:
        async with in_scratch_place(into, source, _check(settings)) as (manifest, restored):
            return manifest, await prove(restored, _keyring(settings))


def _check(settings: Settings) -> Callable[[BackupManifest], None]:
    from countersign.flows.maintenance.drill import check_belongs

    keyring = _keyring(settings)
    return lambda manifest: check_belongs(manifest, keyring, development=settings.development)


def _keyring(settings: Settings) -> Keyring:
    from countersign.clock import system_clock
    from countersign.keys import Keyring
    from countersign.wiring import key_source_of

    return Keyring(key_source_of(settings), system_clock)


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[BinaryIO]:
    if str(file) == PIPE:
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except OSError as error:
        raise SettingsError(f"The backup {file} cannot be read: {error.strerror}.") from error
    with opened:
        yield opened


def _named(keys: tuple[str, ...]) -> str:
    return f"the key{'s' * (len(keys) > 1)} {', '.join(keys)}"


def _end_in_order() -> None:
    """Have SIGTERM end the command as Ctrl-C does, so that it removes what is half done."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
