"""`countersign fraud`: what the SMS pumping breaker holds back and why, and how to release it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from countersign.config import Settings
    from countersign.domain.delivery.sms_pumping import PumpingFinding
    from countersign.store.tables.sms_traffic import Block

DAY: Final = 86_400_000
OWN_PAGES: Final = "our own pages"
"""What the application of this installation's own pages is called here."""


class FindingRow(msgspec.Struct, frozen=True):
    """The finding of one rule for one destination of an application.

    A number range has its prefix's name; its scope tells how wide it is.
    """

    application: str
    scope: str
    place: str
    rule: str
    held: bool
    why: str


@click.group()
def fraud() -> None:
    """See what is held back because of SMS pumping, and release it."""


@fraud.command(name="list", epilog="Exits with 1 if anything is held back now.")
@click.option(
    "--since", type=click.IntRange(1, 3_650), default=7, metavar="DAYS", help="How far back; default: 7 days."
)
@config_option
@json_option
def list_(since: int, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """List what is and was held back, each with the reason, and what shadow mode would have held back."""
    settings, _ = settings_of(config)
    now, found, names = wait_for(_blocks(settings, since))
    held = [one for one in found if not one.shadow and now < one.hold.ends_at]
    if as_json:
        print_json(
            [
                {
                    **msgspec.structs.asdict(one),
                    "application_name": names.get(one.application, ""),
                    "held": one in held,
                }
                for one in found
            ]
        )
    else:
        print_table(
            ("Held", "Until", "Place", "Scope", "Application", "Rule", "State", "Why"),
            [
                (
                    moment(one.since),
                    moment(one.until),
                    _place(one.place, one.prefix),
                    one.scope,
                    names.get(one.application, one.application),
                    one.rule,
                    _state(one, now),
                    one.figures,
                )
                for one in found
            ],
        )
        remark(f"{len(held)} held back now, {len(found)} in {since} days.")
    if held:
        raise SystemExit(1)


@fraud.command(name="explain", epilog="Sends nothing. Exits with 1 if a message of any of them would be held back.")
@click.argument("number", metavar="+NUMBER")
@click.option(
    "--application", default="", metavar="NAME", help=f"One application, or {OWN_PAGES!r}; default: all of them."
)
@config_option
@json_option
def explain(number: str, application: str, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Explain what would happen to a message to a number now, with the finding of every rule and its figures.

    Each application has its own counts. Without --application, those that send by phone are all looked at, and each rule that holds is
    shown. Where none does, the findings for the pages of this installation stand for all.
    """
    settings, _ = settings_of(config)
    explained = wait_for(_explained(settings, number, application))
    found = [
        FindingRow(name, one.key.scope.value, _place(one.key.name, prefix), one.rule.value, one.held, one.sentence)
        for name, prefix, one in explained
    ]
    holding = sorted({one.application for one in found if one.held})
    whose = ", ".join(holding)
    if as_json:
        print_json(found)
    else:
        # All that an application is told, or only what holds: a dozen applications have a dozen times as many rules that pass.
        shown = [one for one in found if one.held or application or one.application == OWN_PAGES]
        print_table(
            ("Application", "Scope", "Place", "Rule", "", "Why"),
            [
                (one.application, one.scope, one.place, one.rule, "holds" if one.held else "passes", one.why)
                for one in shown
            ],
        )
        remark(
            f"{sum(one.held for one in found)} of {len(found)} rules would hold it back"
            f"{f' for {whose}' if holding else ''}. {len({one.application for one in found})} applications were looked at, and the mode is {settings.fraud.policy.mode}."
        )
    if holding:
        raise SystemExit(1)


@fraud.command(epilog="PREFIX is a prefix with the ranges within it, a country such as DE, or * for all new prefixes.")
@click.argument("prefix")
@click.option("--application", metavar="NAME", help="One application; default: all.")
@config_option
@json_option
def lift(prefix: str, application: str | None, config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Release a destination at once. Earlier counts no longer hold against it."""
    settings, _ = settings_of(config)
    lifted = wait_for(_lifted(settings, prefix, application))
    if as_json:
        print_json(lifted)
    remark(f"{len(lifted)} released." if lifted else f"Nothing of {prefix} is held back: see countersign fraud list.")


def _place(name: str, prefix: str) -> str:
    return f"within {prefix}" if name.startswith("#") else name or "everywhere"


def _state(block: Block, now: int) -> str:
    if block.lifted_at is not None:
        return "lifted"
    state = "held" if now < block.until else "over"
    return f"shadow, {state}" if block.shadow else state


async def _blocks(settings: Settings, days: int) -> tuple[int, list[Block], dict[str, str]]:
    """Return the time, what is or was held, and the name of each application by its id."""
    from countersign.clock import system_clock
    from countersign.flows.context import OWN_ID
    from countersign.store.tables import applications, sms_traffic
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        now = system_clock()
        names = {one.id: one.name for one in await ground.database.read(applications.list_all)}
        found = await ground.database.read(sms_traffic.list_blocks, now - days * DAY)
        return now, found, names | {OWN_ID: OWN_PAGES}


async def _explained(settings: Settings, number: str, name: str) -> list[tuple[str, str, PumpingFinding]]:
    """Return each finding with the name of its application and the prefix of the number."""
    from countersign.clock import system_clock
    from countersign.domain.shared.contact import ContactKind, read_contact
    from countersign.domain.shared.phone_region import region_of
    from countersign.errors import InputError
    from countersign.flows.delivery.sms_pumping import destination_of, explain_pumping
    from countersign.wiring import installation_of

    contact = read_contact(number)
    if contact.kind is not ContactKind.PHONE:
        raise InputError(
            "number", "malformed", "Only messages to telephone numbers are checked. Write one like +14155550123."
        )
    async with installation_of(settings) as ground:
        whereto = destination_of(ground.keyring, contact.address, region_of(contact.address))
        asked = await ground.database.read(_applications, name)
        found = []
        for shown, application in asked.items():
            of_one = await ground.database.read(
                explain_pumping, whereto, application, settings.fraud.policy, system_clock()
            )
            found += [(shown, whereto.region.prefix, one) for one in of_one]
        return found


async def _applications(name: str) -> dict[str, str]:
    """Return the ids of the applications to look at, by the names to show: the one that is named, or all that send in earnest."""
    from countersign.domain.shared.application import ApplicationMode
    from countersign.flows.context import OWN_ID
    from countersign.store.tables import applications

    if name == OWN_PAGES:
        return {OWN_PAGES: OWN_ID}
    if name:
        return {name: await _id_of(name)}
    every = [one for one in await applications.list_all() if one.removed_at is None]
    return {OWN_PAGES: OWN_ID} | {one.name: one.id for one in every if one.mode is not ApplicationMode.TEST}


async def _lifted(settings: Settings, prefix: str, name: str | None) -> list[Block]:
    from countersign.clock import system_clock
    from countersign.wiring import installation_of

    async with installation_of(settings) as ground:
        application = None if name is None else await ground.database.read(_id_of, name)
        return await ground.log().run(ground.database, _lift, prefix, application, system_clock())


async def _lift(prefix: str, application: str | None, now: int) -> list[Block]:
    from countersign.flows.delivery.sms_pumping import lift_event
    from countersign.store.engine.database import Append
    from countersign.store.tables import sms_traffic

    lifted = await sms_traffic.lift_blocks(prefix, application, now)
    await Append([lift_event(block, now) for block in lifted])
    return lifted


async def _id_of(name: str) -> str:
    from countersign.errors import NotFoundError
    from countersign.store.tables import applications

    found = await applications.find_by_name(name)
    if found is None:
        raise NotFoundError(f"There is no application {name!r}: see countersign apps list.")
    return found.id
