"""`countersign bounces`: takes a bounced mail that a mail server pipes in, one at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from countersign.cli.output import config_option, settings_of, wait_for
from countersign.errors import CountersignError

if TYPE_CHECKING:
    from countersign.config import Settings


@click.group()
def bounces() -> None:
    """Take mails that bounced."""


@bounces.command(
    epilog="Exits with 0 for any mail, and with 75 (EX_TEMPFAIL) if the mail must be offered again: an outage, or settings that"
    " are wrong."
)
@click.argument("address", default="")
@config_option
def take(address: str, config: Path | None) -> None:
    """Read one mail from stdin, for an alias or a .forward file. ADDRESS is where it arrived, if its headers do not say."""
    try:
        settings, _ = settings_of(config)
        wait_for(_take(settings, address))
    except CountersignError as error:
        click.echo(str(error), err=True)
        # A mail server returns the mail if the command ends in any other way, and the bounce would be lost.
        sys.exit(os.EX_TEMPFAIL)


async def _take(settings: Settings, address: str) -> None:
    from countersign.flows.delivery.bounces import record_bounce
    from countersign.providers.email.dsn import MAX_BYTES
    from countersign.wiring import installation_of, receipt_context

    raw = sys.stdin.buffer.read(MAX_BYTES + 1)
    while sys.stdin.buffer.read(1 << 20):
        pass  # the mail server must not meet a closed pipe
    async with installation_of(settings) as ground:
        await record_bounce(receipt_context(ground), raw, address)
