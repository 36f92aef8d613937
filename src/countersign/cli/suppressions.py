"""`countersign suppressions`: addresses that nothing is sent to, the reasons, and how to lift one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

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
from countersign.errors import InputError, SettingsError

if TYPE_CHECKING:
    from countersign.config import Settings
    from countersign.domain.delivery.suppression import Suppression
    from countersign.domain.shared.contact import Contact


class SuppressionRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A suppression for scripts. Only the masked address is stored."""

    to: str
    reason: str
    provider: str
    since: str
    until: str
    lifted_at: str = ""


@click.group()
def suppressions() -> None:
    """List addresses that nothing is sent to, and lift a suppression."""


@suppressions.command(name="list")
@config_option
@json_option
def list_(config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """List the suppressed addresses, masked, newest first."""
    settings, _ = settings_of(config)
    found = wait_for(_list(settings))
    if as_json:
        print_json([_shown(one) for one in found])
        return
    print_table(
        ("Address", "Reason", "Said by", "Since", "Until"),
        [(one.masked, one.reason.value, one.provider, moment(one.at), moment(one.until)) for one in found],
    )
    if not found:
        remark("No address is suppressed.")


@suppressions.command(epilog="Exits with 1 if the address is suppressed.")
@click.argument("address")
@config_option
@json_option
def show(address: str, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Show whether messages are sent to an address, and if not, why and until when."""
    settings, _ = settings_of(config)
    contact = _contact(address)
    found, now = wait_for(_show(settings, contact))
    stands = found is not None and found.is_active(now)
    if as_json:
        print_json({"suppressed": stands} | ({} if found is None else msgspec.to_builtins(_shown(found))))
    elif found is None:
        click.echo(f"{contact.masked} is not suppressed.")
    else:
        click.echo(
            f"{found.masked} {'is' if stands else 'was'} suppressed since {moment(found.at)} until"
            f" {moment(found.lifted_at or found.until)}: {found.reason.value}, reported by {found.provider}."
        )
    sys.exit(1 if stands else 0)


@suppressions.command()
@click.argument("address")
@config_option
def lift(address: str, config: Path | None) -> None:
    """Send to an address again."""
    settings, _ = settings_of(config)
    contact = _contact(address)
    if wait_for(_lift(settings, contact)) is None:
        raise SettingsError(f"{contact.masked} is not suppressed; nothing was changed.")
    click.echo(f"{contact.masked} receives messages again.")


async def _list(settings: Settings) -> list[Suppression]:
    from countersign.flows.delivery.suppressions import list_suppressions
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await list_suppressions(ground.database, ground.clock())


async def _show(settings: Settings, contact: Contact) -> tuple[Suppression | None, int]:
    from countersign.flows.delivery.suppressions import find_suppression
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await find_suppression(ground.database, ground.keyring, contact), ground.clock()


async def _lift(settings: Settings, contact: Contact) -> Suppression | None:
    from countersign.flows.delivery.suppressions import lift_suppression
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await lift_suppression(ground.database, ground.log(), ground.keyring, contact, ground.clock)


def _contact(address: str) -> Contact:
    from countersign.domain.shared.contact import ContactKind, read_contact

    try:
        contact = read_contact(address)
    except InputError as error:
        raise SettingsError(str(error)) from None
    if contact.kind is not ContactKind.MAIL:
        raise SettingsError("Only mail addresses can be suppressed. Give one.")
    return contact


def _shown(one: Suppression) -> SuppressionRow:
    return SuppressionRow(
        one.masked,
        one.reason.value,
        one.provider,
        moment(one.at),
        moment(one.until),
        "" if one.lifted_at is None else moment(one.lifted_at),
    )
