"""`countersign doctor`: prints each check, what is wrong, and what to do about it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from countersign.cli.output import config_option, json_option, print_json, settings_of, wait_for
from countersign.config import load
from countersign.config.sources import CONFIG
from countersign.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countersign.cli.doctor.check_result import CheckResult
    from countersign.config import Settings

SIGNS: Final = {"fine": ("ok", "green"), "advice": ("look", "yellow"), "unsafe": ("UNSAFE", "red")}


@click.command(
    epilog="Exits with 1 if anything is unsafe. It sends nothing, and changes nothing but one value that shows whether the database takes writes."
)
@config_option
@json_option
@click.option(
    "--standards", is_flag=True, help="Compare the settings with NIST SP 800-63B-4 and OWASP ASVS 5.0 instead."
)
@click.option(
    "--resolver",
    default="",
    metavar="ADDRESS",
    help="DNS server to ask about the domains of mail, with or without a port; else the system's, in production alone.",
)
def doctor(config: Path | None, as_json: bool, standards: bool, resolver: str) -> None:  # noqa: FBT001 - click's way
    """Check every setting and peer, and print a remedy for each finding."""
    if standards:
        _standards(settings_of(config)[0], as_json=as_json)
        return
    from countersign import logs
    from countersign.cli.doctor.check_result import CheckResult, CheckState
    from countersign.cli.doctor.checks import check
    from countersign.cli.doctor.secret_checks import check_secret_files

    logs.configure("error")  # the check reports it in better words than the library
    environ = dict(os.environ)
    if config is not None:
        environ[CONFIG] = str(config.absolute())
    try:
        settings = load(environ)
    except SettingsError as error:
        findings = [
            CheckResult("settings", CheckState.UNSAFE, fault, "Correct this setting.")
            for fault in str(error).splitlines()
        ]
    else:
        findings = [*check_secret_files(environ), *wait_for(check(settings, resolver))]
    if as_json:
        print_json(findings)
    else:
        _print(findings)
    sys.exit(1 if any(finding.state is CheckState.UNSAFE for finding in findings) else 0)


def _standards(settings: Settings, *, as_json: bool) -> None:
    """Print how the settings compare with each statement. A departure is no fault, but a choice to know about."""
    from countersign.cli.doctor.standards import Conformance, assess

    judged = assess(settings)
    if as_json:
        print_json(judged)
        return
    pretty = sys.stdout.isatty()
    for one in judged:
        if not pretty:
            click.echo(
                f"{one.standing.value}\t{one.source}, {one.number}\t{one.asks}\t{one.why}\t{' '.join(one.attacked_by)}"
            )
            continue
        colour = "green" if one.standing is Conformance.MET else "yellow"
        sign = click.style(f"{one.standing.value:>7}", fg=colour)
        click.echo(f"{sign}  {click.style(f'{one.source}, {one.number}', bold=True)}: {one.asks}")
        click.echo(f"{'':>9}{click.style('->', dim=True)} {one.why}")
        if one.attacked_by and one.standing is Conformance.MET:
            click.echo(f"{'':>12}{click.style('tried by ' + ', '.join(one.attacked_by), dim=True)}")
    if pretty:
        met = sum(one.standing is Conformance.MET for one in judged)
        click.echo(f"\n{met} met, {len(judged) - met} departures.")


def _print(findings: Sequence[CheckResult]) -> None:
    pretty = sys.stdout.isatty()
    for finding in findings:
        sign, colour = SIGNS[finding.state.value]
        if not pretty:
            click.echo(f"{finding.state.value}\t{finding.name}\t{finding.what}\t{finding.remedy}")
            continue
        click.echo(f"{click.style(f'{sign:>7}', fg=colour)}  {click.style(finding.name, bold=True)}: {finding.what}")
        if finding.remedy:
            click.echo(f"{'':>9}{click.style('->', dim=True)} {finding.remedy}")
    if pretty:
        counts = [sum(finding.state.value == state for finding in findings) for state in SIGNS]
        click.echo(f"\n{counts[0]} fine, {counts[1]} to look at, {counts[2]} unsafe.")
