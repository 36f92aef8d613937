"""`countersign policy`: what a changed risk policy would have done to past sign-ins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
from countersign.config import load

if TYPE_CHECKING:
    from countersign.config import Settings
    from countersign.domain.accounts.risk import RiskPolicy
    from countersign.flows.maintenance.replay import ReplayReport

DAY: Final = 86_400_000
_RISK: Final = "COUNTERSIGN_RISK_"


@click.group()
def policy() -> None:
    """Try a changed policy on past sign-ins."""


@policy.command(epilog="Changes nothing. Exits with 1 if any decision would have differed.")
@click.argument("changed", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.option(
    "--since", type=click.IntRange(1, 3_650), default=30, metavar="DAYS", help="How far back; default: 30 days."
)
@config_option
@json_option
def test(changed: Path, since: int, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Judge past sign-ins by the [risk] settings of FILE, and show which decisions would have differed."""
    settings, _ = settings_of(config)
    # Risk settings in the environment belong to the running program, not to the policy that is tried.
    wanted = load({name: value for name, value in os.environ.items() if not name.startswith(_RISK)}, changed)
    found = wait_for(_replayed(settings, wanted.risk.policy, since))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found.changed:
        raise SystemExit(1)


async def _replayed(settings: Settings, wanted: RiskPolicy, days: int) -> ReplayReport:
    from countersign.flows.maintenance.replay import replay
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        now = ground.clock()
        return await replay(ground.database, wanted, now - days * DAY, now + 1)


def _print(found: ReplayReport) -> None:
    rows = [(decision, str(count), str(found.after[decision])) for decision, count in found.before.items()]
    print_table(("Decision", "Was", "Would be"), rows)
    if found.examples:
        print_table(
            ("When", "Account", "Was", "Would be", "Because"),
            [(moment(one.at), one.account, one.before, one.after, ", ".join(one.findings)) for one in found.examples],
        )
    remark(f"{found.changed} of {found.sign_ins} sign-ins would have been decided differently.")
