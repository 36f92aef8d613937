"""`countersign apps`: applications, their keys, which are printed once, and how to stop an application."""

from __future__ import annotations

import os
from pathlib import Path

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
from countersign.config import Settings
from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.errors import SettingsError


@click.group()
def apps() -> None:
    """Add, list, rotate, suspend and remove applications and their keys."""


@apps.command(epilog="Only the key goes to stdout: KEY=$(countersign apps add shop)")
@click.argument("name")
@click.option("--test", is_flag=True, help="Make a test key: messages go to the inbox only.")
@click.option("--site", default="", help="Name of the application in messages; default: NAME.")
@click.option(
    "--host",
    default="",
    metavar="DOMAIN",
    help="Domain where people enter its codes (SMS are bound to it); default: the setting `host`.",
)
@click.option("--purposes", default="", metavar="A,B", help="Purposes that it may ask codes for; default: all.")
@click.option(
    "--redirect",
    "redirects",
    multiple=True,
    metavar="URL",
    help="Redirect URI after sign-in (OpenID Connect), compared exactly; may be repeated.",
)
@click.option(
    "--sign-out",
    "sign_outs",
    multiple=True,
    metavar="URL",
    help="Redirect URI after sign-out; may be repeated.",
)
@click.option(
    "--app-hash",
    default="",
    metavar="HASH",
    help="The 11 characters by which Android's SMS Retriever recognises the app; added to its SMS.",
)
@click.option(
    "--jwks", type=click.Path(path_type=Path), metavar="FILE", help="Its public keys (JWKS), with which it signs."
)
@click.option("--require-pushed", is_flag=True, help="Take its authorization requests by /oauth/par only.")
@config_option
@json_option
def add(  # noqa: PLR0917 - click's way
    name: str,
    test: bool,  # noqa: FBT001
    site: str,
    host: str,
    purposes: str,
    redirects: tuple[str, ...],
    sign_outs: tuple[str, ...],
    app_hash: str,
    jwks: Path | None,
    require_pushed: bool,  # noqa: FBT001
    config: Path | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Add the application NAME and print its key."""
    settings, _ = settings_of(config)
    wanted = tuple(purpose.strip() for purpose in purposes.split(",") if purpose.strip())
    if unknown := sorted(set(wanted) - set(settings.purposes)):
        raise SettingsError(
            f"There is no purpose {unknown[0]!r}; the purposes are {', '.join(sorted(settings.purposes))}. Add others as [purposes.NAME]."
        )
    mode = ApplicationMode.TEST if test else ApplicationMode.LIVE
    draft = ApplicationDraft(
        name, mode, site, host or settings.host, wanted, redirects, sign_outs, app_hash, _read(jwks), require_pushed
    )
    added, key = wait_for(_add(settings, draft))
    _print_key(added, key, as_json=as_json)


@apps.command(name="list")
@config_option
@json_option
def list_(config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """List all applications. Keys cannot be shown."""
    settings, _ = settings_of(config)
    found = wait_for(_all(settings))
    if as_json:
        print_json([_shown(one) for one in found])
        return
    rows = [
        (one.name, _mode(one), one.site, one.host, ",".join(one.purposes) or "all", one.id, moment(one.created_at))
        for one in found
    ]
    print_table(("Name", "Mode", "Site", "Host", "Purposes", "Id", "Added"), rows)
    if not found:
        remark("There is no application yet. Add one: countersign apps add NAME")


@apps.command()
@click.argument("name")
@config_option
@json_option
def rotate(name: str, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Give the application NAME a new key. The old key works for another day."""
    settings, _ = settings_of(config)
    rotated, key = wait_for(_rotate(settings, name))
    _print_key(rotated, key, as_json=as_json)
    if rotated.old_until is not None:
        remark(f"The old key works until {moment(rotated.old_until)}.")


@apps.command(name="set")
@click.argument("name")
@click.option(
    "--jwks", type=click.Path(path_type=Path), metavar="FILE", help="New public keys (JWKS) in place of those it has."
)
@click.option("--no-jwks", is_flag=True, help="Remove its public keys.")
@click.option(
    "--require-pushed/--no-require-pushed",
    default=None,
    help="Whether its authorization requests are taken by /oauth/par only.",
)
@config_option
def set_(name: str, jwks: Path | None, no_jwks: bool, require_pushed: bool | None, config: Path | None) -> None:  # noqa: FBT001 - click's way
    """Change the public keys of the application NAME, and how it sends its requests."""
    settings, _ = settings_of(config)
    keys = "" if no_jwks else (None if jwks is None else _read(jwks))
    wait_for(_set(settings, name, keys, require_pushed))
    click.echo(f"Changed {name}.")


@apps.command()
@click.argument("name")
@config_option
def remove(name: str, config: Path | None) -> None:
    """Remove the application NAME. Its keys stop working within a second, and what it has queued is canceled."""
    settings, _ = settings_of(config)
    canceled = wait_for(_remove(settings, name))
    click.echo(f"Removed {name}.")
    _tell(canceled)


@apps.command(epilog="Its codes can still be checked. countersign apps resume NAME ends it.")
@click.argument("name")
@config_option
def suspend(name: str, config: Path | None) -> None:
    """Suspend the application NAME: within a second its requests for codes are refused, and what it has queued is canceled."""
    settings, _ = settings_of(config)
    canceled = wait_for(_suspend(settings, name))
    click.echo(f"Suspended {name}.")
    _tell(canceled)


@apps.command()
@click.argument("name")
@config_option
def resume(name: str, config: Path | None) -> None:
    """Resume the application NAME after it was suspended. What was canceled stays so."""
    settings, _ = settings_of(config)
    wait_for(_resume(settings, name))
    click.echo(f"Resumed {name}.")


def _tell(canceled: int) -> None:
    remark(f"{canceled} queued message{'' if canceled == 1 else 's'} canceled.")


async def _add(settings: Settings, draft: ApplicationDraft) -> tuple[Application, str]:
    from countersign.flows.maintenance.applications import add_application
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await add_application(ground.database, ground.log(), ground.keyring, draft, ground.clock(), os.urandom)


async def _all(settings: Settings) -> list[Application]:
    from countersign.store.tables import applications
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await ground.database.read(applications.list_all)


async def _rotate(settings: Settings, name: str) -> tuple[Application, str]:
    from countersign.flows.maintenance.applications import rotate_application_key
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await rotate_application_key(
            ground.database, ground.log(), ground.keyring, name, ground.clock(), os.urandom
        )


def _read(jwks: Path | None) -> str:
    """Return the text of a JWKS file; empty if there is none. Raises SettingsError if it cannot be read."""
    if jwks is None:
        return ""
    try:
        return jwks.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The JWKS {jwks} cannot be read: {error}.") from error


async def _set(settings: Settings, name: str, jwks: str | None, require_pushed: bool | None) -> Application:  # noqa: FBT001
    from countersign.flows.maintenance.applications import set_application_keys
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await set_application_keys(
            ground.database, ground.log(), name, ground.clock(), jwks=jwks, requires_pushed=require_pushed
        )


async def _remove(settings: Settings, name: str) -> int:
    from countersign.flows.delivery.cancel_queue import cancel_queued
    from countersign.flows.maintenance.applications import remove_application
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        log, by = ground.log(), operator_name()
        removed = await remove_application(ground.database, log, name, ground.clock(), by)
        return await cancel_queued(ground.database, log, removed.id, ground.clock, by)


async def _suspend(settings: Settings, name: str) -> int:
    from countersign.flows.delivery.cancel_queue import cancel_queued
    from countersign.flows.maintenance.applications import suspend_application
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        log, by = ground.log(), operator_name()
        suspended = await suspend_application(ground.database, log, name, ground.clock(), by)
        return await cancel_queued(ground.database, log, suspended.id, ground.clock, by)


async def _resume(settings: Settings, name: str) -> Application:
    from countersign.flows.maintenance.applications import resume_application
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        return await resume_application(ground.database, ground.log(), name, ground.clock(), operator_name())


def _print_key(application: Application, key: str, *, as_json: bool) -> None:
    if as_json:
        print_json({**_shown(application), "key": key})
        return
    click.echo(key)
    where = "are sent by the configured routes" if application.live else "go to the inbox only"
    remark(f"This is the key of {application.name}; it is not shown again. Its messages {where}.")


def _mode(application: Application) -> str:
    return f"{application.mode.value}, suspended" if application.suspended_at is not None else application.mode.value


def _shown(application: Application) -> dict[str, object]:
    return {
        "id": application.id,
        "name": application.name,
        "mode": application.mode.value,
        "site": application.site,
        "host": application.host,
        "purposes": list(application.purposes),
        "redirects": list(application.redirect_uris),
        "sign_outs": list(application.post_logout_redirect_uris),
        "app_hash": application.app_hash,
        "signing_keys": application.jwks.count('"kty"'),
        "require_pushed": application.requires_pushed,
        "created_at": moment(application.created_at),
        "suspended_at": None if application.suspended_at is None else moment(application.suspended_at),
        "old_key_until": None if application.old_until is None else moment(application.old_until),
    }
