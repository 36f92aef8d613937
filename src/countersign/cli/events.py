"""`countersign events`: checks whether anything in the event log was changed, removed or cut off."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countersign.cli.output import config_option, json_option, print_json, print_table, remark, settings_of, wait_for
from countersign.errors import SettingsError

if TYPE_CHECKING:
    from countersign.config import Settings
    from countersign.flows.maintenance.audit import AuditReport


@click.group()
def events() -> None:
    """Verify the event log."""


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
    """Verify every chain of the log and every checkpoint."""
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
        if report.last_checkpoint and not report.findings:
            remark("Keep this checkpoint out of reach of anybody who can write to the database:")
            click.echo(report.last_checkpoint)
    sys.exit(1 if report.findings else 0)


async def _verify(settings: Settings, kept: str | None) -> AuditReport:
    from countersign.flows.maintenance.audit import verify_events
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await verify_events(ground.database, ground.keyring, kept)
