"""Somebody has an account with numbers whose revenue he shares, and does what is told to each of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.people import ADA, CARRIER, Visitor, ada
from tests.flows.place import OWN, Place, place_at
from tests.threats.test_notices_are_a_bomb import claims, works

import countersign
from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.delivery.sms_pumping import ALLOWANCES
from countersign.domain.delivery.sms_traffic import TrafficScope
from countersign.store.tables import sms_traffic

if TYPE_CHECKING:
    from tests.clock import FixedClock

SOURCE = Path(countersign.__file__).parent
PHONES = 8
CHANGES = 15
HOUR = 3_600_000


def number(n: int, prefix: str = "+37254") -> str:
    """Return the nth of numbers that lie far apart within one prefix."""
    return f"{prefix}{5_000_000 + n * 10_007 % 1_000_000:07d}"[:12]


def notices_by_phone(place: Place) -> int:
    """Count the messages to telephones that show no code."""
    sent = place.carriers[CARRIER].sent
    return sum(one.to.startswith("+") and re.search(r"\b\d{3} ?\d{3}\b", one.text) is None for one in sent)


async def test_changes_of_an_account_with_many_numbers_are_no_pump(home: Place) -> None:
    """L4, D7: 30 changes an hour to 20 numbers were 600 SMS an hour."""
    attacker = await ada(home)
    for n in range(PHONES):
        await attacker.adds(number(n))
        await works(home)
    home.clock.forward(6 * HOUR)
    before = notices_by_phone(home)
    contacts = (await attacker.holdings()).contacts
    for n in range(CHANGES):
        target = contacts[n % len(contacts)]
        change = ChangeRequest(ChangeKind.CONTACT_PRIMARY, target.id, target.masked, "Change the first contact")
        primary = next(one for one in (await attacker.holdings()).contacts if one.primary)
        await attacker.changes(change, home.keyring.unseal(primary.address, primary.id))
        await works(home)
    assert 1 <= notices_by_phone(home) - before <= 15


async def test_recoveries_of_ones_own_account_send_one_sms(home: Place) -> None:
    """L4, D7: 15 claims on the attacker's own account were 15 SMS, and 15 more each day."""
    attacker = await ada(home)
    await attacker.adds(number(0))
    await works(home)
    home.clock.forward(HOUR)
    before = notices_by_phone(home)
    for n in range(15):
        await claims(home, n)
    await works(home)
    assert notices_by_phone(home) - before == 1
    for _ in range(3):
        home.clock.forward(24 * HOUR)
        await works(home)
    assert notices_by_phone(home) - before == 1


async def test_a_prefix_that_is_held_for_its_codes_gets_no_notices_either(home: Place) -> None:
    """L4, D7: the breaker that holds codes holds whatever leaves by telephone."""
    attacker = await ada(home)
    await attacker.adds(number(0))
    await works(home)
    for n in range(1, ALLOWANCES[TrafficScope.PREFIX] + 10):
        await home.begin(number(n), application=OWN, subject=f"s{n}")
        await works(home)
    held = await home.database.read(sms_traffic.list_blocks, home.clock())
    assert held, "the prefix is held"
    before = notices_by_phone(home)
    mails = sum(one.to == ADA for one in home.carriers[CARRIER].sent)
    await claims(home, 1)
    await works(home)
    assert notices_by_phone(home) == before
    assert sum(one.to == ADA for one in home.carriers[CARRIER].sent) == mails + 1, "the mailbox hears all the same"


@pytest.mark.parametrize("accounts", [6])
async def test_many_accounts_with_numbers_of_one_prefix_share_its_allowance(
    database_url: str, tmp_path: Path, clock: FixedClock, accounts: int
) -> None:
    """L4, D7: and codes to that prefix go on, because notices hold nothing."""
    async with place_at(database_url, tmp_path, clock=clock, live=(CARRIER,)) as place:
        core = place.delivery.core
        allowances = {**ALLOWANCES, TrafficScope.PREFIX: 4}
        pumping = msgspec.structs.replace(core.policy.pumping, allowances=allowances)
        policy = msgspec.structs.replace(core.policy, pumping=pumping)
        for n in range(accounts):
            mailbox = f"m{n}@example.org"
            attacker = await ada(place, mailbox)
            await attacker.adds(number(n), mailbox)
            await works(place)
        clock.forward(10 * 24 * HOUR)
        place.delivery = msgspec.structs.replace(place.delivery, core=msgspec.structs.replace(core, policy=policy))
        before = notices_by_phone(place)
        for n in range(accounts):
            await Visitor(place).is_let_in(f"m{n}@example.org")
            await works(place)
        assert notices_by_phone(place) - before == 4
        sent = len(place.carriers[CARRIER].sent)
        await place.begun(number(50), application=OWN, subject="somebody")
        await works(place)
        assert len(place.carriers[CARRIER].sent) == sent + 1


def test_nothing_leaves_but_by_the_gate() -> None:
    """L4: messages are owed in two places, each with budgets, and one function judges and claims whatever is sent."""
    calls: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                calls.setdefault(ast.unparse(node.func), set()).add(str(path.relative_to(SOURCE)))
    assert calls["new_delivery"] == {"flows/verifications/begin.py", "flows/accounts/notify.py"}
    assert calls["notice_delivery"] == {"flows/accounts/notify.py", "flows/accounts/gathered_notices.py"}
    assert calls["provider.send"] == {"flows/delivery/send.py"}
    assert calls["ClaimedDelivery"] == {"flows/delivery/claim.py"}, "and what is sent was claimed"
    assert calls["check_pumping"] == {"flows/delivery/claim.py"}
