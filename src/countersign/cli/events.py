"""`countersign events`: verify the event log, export it, and see which of its months are kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countersign.cli.operator import operator_name
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
    from countersign.config import Settings
    from countersign.flows.maintenance.audit_report import AuditReport
    from countersign.flows.maintenance.drop_months import MonthState


@click.group()
def events() -> None:
    """Verify and export the event log."""


@events.command(epilog="Exits with 1 if anything was changed.")
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A checkpoint kept elsewhere. It detects even a log that was cut off together with its own checkpoints.",
)
@config_option
@json_option
def verify(checkpoint: Path | None, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Verify every chain of the log, every checkpoint, and every seal of a month."""
    settings, _ = settings_of(config)
    kept = None
    if checkpoint is not None:
        try:
            kept = checkpoint.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"The checkpoint {checkpoint} cannot be read, or is not a checkpoint.") from error
    report = wait_for(_verify(settings, kept))
    if as_json:
        print_json(report)
    else:
        click.echo(
            f"{report.entries} entries in {report.writers} chains, {report.checkpoints} checkpoints: {len(report.findings)} findings."
        )
        print_table(
            ("Chain", "Page", "Finding"),
            [(one.writer or "checkpoints", str(one.seq), one.what) for one in report.findings],
        )
        if report.dropped_until:
            remark(f"The months up to {report.dropped_until} were dropped, as their signed records say.")
        for text in report.remarks:
            remark(text)
        if report.last_checkpoint and not report.findings:
            remark("Keep this checkpoint out of reach of anybody who can write to the database:")
            click.echo(report.last_checkpoint)
    sys.exit(1 if report.findings else 0)


@events.command(
    epilog="Each line ends with a line feed and holds the cursor after it. Exits with 1 if pages are missing. To go on: --after with the"
    " cursor of the last line that you have."
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["jsonl", "ocsf"]),
    default="jsonl",
    help="jsonl: as the log has it. ocsf: by the Open Cybersecurity Schema Framework.",
)
@click.option("--after", default="", metavar="CURSOR", help="Begin after this cursor; default: at the beginning.")
@click.option("--follow", is_flag=True, help="Wait for further events, until SIGINT, SIGTERM or the end of the pipe.")
@config_option
def export(format_: str, after: str, follow: bool, config: Path | None) -> None:  # noqa: FBT001 - click's way
    """Print every event once, in order, one a line."""
    from countersign.cli.event_stream import export_to_stdout

    settings, _ = settings_of(config)
    missing = wait_for(export_to_stdout(settings, format_, after, follow=follow))
    if missing:
        remark(f"{missing} pages that should be there are missing or damaged. Run `countersign events verify`.")
    sys.exit(1 if missing else 0)


@events.command(epilog="Give the cursor of the last line that is kept. Without this, no month is dropped by default.")
@click.argument("cursor")
@config_option
def confirm(cursor: str, config: Path | None) -> None:
    """Confirm that an export up to CURSOR is kept elsewhere, so that its months may be dropped."""
    settings, _ = settings_of(config)
    if wait_for(_confirm(settings, cursor)):
        remark("Confirmed.")
    else:
        remark("As much was confirmed before.")


@events.command(epilog="Exits with 1 if one is older than the retention, and waits until its export is confirmed.")
@config_option
@json_option
def months(config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """List the months that were sealed, and which of them were exported and dropped."""
    from countersign.clock import system_clock
    from countersign.flows.maintenance.drop_months import months_due

    settings, _ = settings_of(config)
    retention = settings.events.retention
    found = wait_for(_months(settings))
    waiting = [one.month for one in months_due(found, retention, system_clock()) if not one.exported]
    if as_json:
        print_json(found)
    else:
        _print_months(found)
    if waiting and not retention.unexported:
        remark(
            f"Not dropped yet, because no export was confirmed: {', '.join(waiting)}. See `countersign events confirm`."
        )
        sys.exit(1)


def _print_months(found: list[MonthState]) -> None:
    print_table(
        ("Month", "Events", "Pages", "Sealed", "Exported", "Dropped"),
        [
            (
                one.month,
                str(one.events),
                str(one.pages),
                moment(one.sealed_at),
                "yes" if one.exported else "no",
                "-" if one.dropped_at is None else moment(one.dropped_at),
            )
            for one in found
        ],
    )


async def _verify(settings: Settings, kept: str | None) -> AuditReport:
    from countersign.flows.maintenance.audit import verify_events
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await verify_events(ground.database, ground.keyring, kept)


async def _confirm(settings: Settings, text: str) -> bool:
    from countersign.flows.maintenance.drop_months import confirm_export
    from countersign.flows.maintenance.export_events import check_cursor, read_cursor
    from countersign.wiring import installation_of

    cursor = read_cursor(text)
    async with installation_of(settings) as ground:
        await check_cursor(ground.database, cursor)
        return await confirm_export(
            ground.database, ground.log(), ground.keyring, cursor.segment - 1, operator_name(), ground.clock()
        )


async def _months(settings: Settings) -> list[MonthState]:
    from countersign.flows.maintenance.drop_months import list_months
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await list_months(ground.database, ground.keyring)
