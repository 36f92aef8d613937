"""`countersign demo`: creates a few accounts with some history in development, so that no page is empty."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from countersign.cli.output import config_option, json_option, print_json, print_table, remark, settings_of, wait_for
from countersign.cli.served_address import served_address
from countersign.errors import SettingsError

if TYPE_CHECKING:
    from countersign.config import Settings
    from countersign.flows.accounts.context import AccountContext, BrowserContext

PASSWORD: Final = "correct horse battery"  # noqa: S105 - printed, and good in development alone
DAY: Final = 86_400_000
PEOPLE: Final = (
    ("Ada Lovelace", "ada@example.org", "+14155550123"),
    ("Grace Hopper", "grace@example.org", ""),
    ("Émilie du Châtelet", "+33612345678", ""),
)
BROWSERS: Final = (
    (
        21,
        "198.51.100.24",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        False,
    ),
    (
        6,
        "203.0.113.70",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
        True,
    ),
    (0, "203.0.113.9", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", False),
)
"""How many days ago, from which address, with which user agent, and whether the browser is remembered."""


@click.command(epilog="Works in development only. Existing accounts are left unchanged.")
@config_option
@json_option
def demo(config: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Create a few accounts with past sign-ins, and print how to sign in to them."""
    settings, _ = settings_of(config)
    if not settings.development:
        raise SettingsError("Accounts with a known password are created in development only.")
    made = wait_for(_made(settings))
    rows = [(name, identifier, PASSWORD) for name, identifier, _ in PEOPLE]
    if as_json:
        print_json(
            [{"name": name, "identifier": identifier, "password": password} for name, identifier, password in rows]
        )
    else:
        print_table(("Name", "Sign in as", "Password"), rows)
        remark(f"{made} of {len(PEOPLE)} accounts are new. Codes land in the inbox: {served_address(settings)}/inbox")


async def _made(settings: Settings) -> int:
    from countersign.wiring import close_runtime, open_runtime

    runtime = await open_runtime(settings)
    try:
        return sum([await _person(runtime.accounts, *person) for person in PEOPLE])
    finally:
        await close_runtime(runtime)


async def _person(context: AccountContext, name: str, identifier: str, phone: str) -> bool:
    """Create an account as its person would have some days ago, and sign in on a few browsers. Returns False if it exists."""
    from countersign.domain.accounts.login_flow import InterruptedRequest
    from countersign.domain.shared.contact import parse_contact
    from countersign.flows.accounts.context import BrowserContext, CodeRequested
    from countersign.flows.sign_in.sign_in import sign_in
    from countersign.flows.sign_in.sign_up import sign_up
    from countersign.store.tables import accounts

    if (
        await context.database.read(
            accounts.find_with_contacts_by_identifier, context.blind_index(parse_contact(identifier))
        )
    )[0] is not None:
        return False
    now = context.now()
    for place, (days, ip, agent, remember) in enumerate(BROWSERS):
        then = msgspec.structs.replace(
            context, core=msgspec.structs.replace(context.core, clock=lambda at=now - days * DAY: at)
        )
        browser = BrowserContext(ip=ip, user_agent=agent, locale="en")
        if place == 0:
            asked: object = await sign_up(then, browser, name, identifier, PASSWORD, InterruptedRequest())
        else:
            asked = await sign_in(then, browser, identifier, PASSWORD, InterruptedRequest())
        if not isinstance(asked, CodeRequested):
            raise SettingsError(f"The account of {identifier} could not be created. Try again in a few minutes.")
        await _answers(then, msgspec.structs.replace(browser, device=asked.device, flow=asked.flow), remember=remember)
        if place == 0 and phone:
            await _has_phone(then, identifier, phone)
    return True


async def _answers(context: AccountContext, browser: BrowserContext, *, remember: bool) -> None:
    """Enter the code, derived here as for its message."""
    from countersign.domain.verifications.code import derive
    from countersign.flows.sign_in.verify import check_code, view_flow

    seen = await view_flow(context, browser)
    challenge = seen.challenge if seen is not None else None
    if challenge is not None:
        key = context.keyring.named(challenge.terms.kid).code
        code = derive(key, challenge.id, challenge.round, challenge.terms.policy.shape).reveal()
        await check_code(context, browser, code, remember=remember)


async def _has_phone(context: AccountContext, identifier: str, phone: str) -> None:
    """Give the account a second contact, verified like the first."""
    from countersign.domain.accounts.account import OwnedContact
    from countersign.domain.shared.contact import parse_contact
    from countersign.store.engine.database import Write
    from countersign.store.tables import accounts

    account, _ = await context.database.read(
        accounts.find_with_contacts_by_identifier, context.blind_index(parse_contact(identifier))
    )
    contact = parse_contact(phone)
    id_ = context.id("con")
    if account is None:
        return
    owned = OwnedContact(
        account=account.id,
        id=id_,
        added_at=context.now(),
        kind=contact.kind,
        blind_index=context.blind_index(contact),
        address=context.keyring.seal(contact.address, id_),
        masked=contact.masked,
        proved_at=context.now(),
    )

    async def add() -> None:
        await Write((accounts.insert_contact(owned),), last=True)

    await context.database.run(add)
