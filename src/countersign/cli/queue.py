"""`countersign queue`: the messages that wait to be sent, whose they are, and how to cancel those of an application."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

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
from countersign.domain.shared.contact import Channel

if TYPE_CHECKING:
    from countersign.config import Settings


class QueueRow(msgspec.Struct, frozen=True):
    """What waits for one provider, by one channel, of one application. `oldest` is since when a message is due, empty if none is."""

    application: str
    application_id: str
    channel: str
    provider: str
    due: int
    waiting: int
    oldest: str
    oldest_seconds: int


@click.group()
def queue() -> None:
    """See what waits to be sent, and cancel it."""


@queue.command(name="list", epilog="Due: to be sent now. Waiting: being sent, or to be tried again later.")
@click.option("--application", default="", metavar="NAME", help="One application, by its name or id; default: all.")
@config_option
@json_option
def list_(application: str, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """List what waits, by application, channel and provider, the longest queue first."""
    settings, _ = settings_of(config)
    found = wait_for(_list(settings, application))
    if as_json:
        print_json(found)
        return
    print_table(
        ("Application", "Channel", "Provider", "Due", "Waiting", "Oldest due"),
        [
            (
                one.application,
                one.channel or "-",
                one.provider or "-",
                str(one.due),
                str(one.waiting),
                f"{one.oldest_seconds} s" if one.oldest else "-",
            )
            for one in found
        ],
    )
    remark(f"{sum(one.due for one in found)} due, {sum(one.waiting for one in found)} waiting.")


@queue.command(
    epilog="A message that is being handed over just now is not stopped. To stop an application: apps suspend."
)
@click.argument("application")
@click.option(
    "--channel", type=click.Choice([one.value for one in Channel]), default=None, help="Default: all channels."
)
@config_option
@json_option
def cancel(application: str, channel: str | None, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Cancel the queued messages of APPLICATION, a name or an id. They end as canceled."""
    settings, _ = settings_of(config)
    canceled = wait_for(_cancel(settings, application, channel or ""))
    if as_json:
        print_json({"canceled": canceled})
    remark(f"{canceled} queued message{'' if canceled == 1 else 's'} canceled.")


async def _list(settings: Settings, application: str) -> list[QueueRow]:
    from countersign.flows.context import OWN_ID
    from countersign.flows.maintenance.applications import application_id
    from countersign.store.tables import applications
    from countersign.store.tables import queue as queues
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        now = ground.clock()
        only = await application_id(ground.database, application) if application else ""
        found = [one for one in await ground.database.read(queues.list_queues, now) if only in {"", one.application}]
        known = await ground.database.read(applications.find_by_ids, [one.application for one in found])
    names = {id_: one.name for id_, one in known.items()} | {OWN_ID: settings.site}
    rows = [
        QueueRow(
            names.get(one.application, one.application or "-"),
            one.application,
            one.channel,
            one.provider,
            one.due,
            one.waiting,
            "" if one.oldest is None else moment(one.oldest),
            0 if one.oldest is None else max(0, now - one.oldest) // 1_000,
        )
        for one in found
    ]
    return sorted(rows, key=lambda row: (-row.due, -row.waiting, row.application))


async def _cancel(settings: Settings, application: str, channel: str) -> int:
    from countersign.flows.delivery.cancel_queue import cancel_queued
    from countersign.flows.maintenance.applications import application_id
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        id_ = await application_id(ground.database, application)
        return await cancel_queued(ground.database, ground.log(), id_, ground.clock, operator_name(), channel)
