"""`countersign accounts`: erase what is stored of one person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from countersign.cli.output import config_option, settings_of, wait_for
from countersign.errors import InputError, SettingsError

if TYPE_CHECKING:
    from countersign.config import Settings


@click.group()
def accounts() -> None:
    """Erase what is stored of one person."""


@accounts.command()
@click.argument("account")
@click.option("--yes", is_flag=True, help="Do not ask whether you are sure.")
@config_option
def erase(account: str, yes: bool, config: Path | None) -> None:  # noqa: FBT001 - click's way
    """Erase an account at once: an id such as acc_..., or a contact that signs in to it. Nothing brings it back."""
    settings, _ = settings_of(config)
    found = wait_for(_find(settings, account))
    if not found:
        raise SettingsError("There is no such account; nothing was erased.")
    if not yes:
        click.confirm(f"Erase {found} with all its contacts, sessions and history?", abort=True)
    if not wait_for(_erase(settings, found)):
        raise SettingsError("There is no such account any more; nothing was erased.")
    click.echo(f"{found} is erased.")


async def _find(settings: Settings, account: str) -> str:
    from countersign.domain.shared.contact import parse_contact
    from countersign.store.tables import accounts as rows
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        if account.startswith("acc_"):
            known = await ground.database.read(rows.find, account)
            return known.id if known is not None else ""
        try:
            contact = parse_contact(account)
        except InputError as error:
            raise SettingsError(f"Expected the id of an account, or a contact of it: {error}") from None
        blind_index = ground.keyring.blind_index("contact", contact.address)
        return await ground.database.read(rows.find_id_by_identifier, blind_index)


async def _erase(settings: Settings, account: str) -> bool:
    from countersign.flows.changes.erase_account import erase_account
    from countersign.flows.context import OWN_ID
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await erase_account(ground.database, ground.log(), account, ground.clock(), own_id=OWN_ID)
