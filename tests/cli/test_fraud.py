"""What is held because it was pumped, at the command line."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from countersign.clock import system_clock
from countersign.config import load
from countersign.domain.shared.event import EventKind
from countersign.store.engine.database import Write
from countersign.store.tables import events, sms_traffic
from countersign.wiring import installation_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

    from countersign.config import Settings
    from countersign.domain.shared.event import Event

WHY = "30 messages were sent in 24 hours. 0 of their codes were entered, which allows 30 messages."


def settings_in(folder: Path) -> Settings:
    """Return the settings of the developer's place."""
    return load({"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_HOME": str(folder / ".countersign")})


async def _hold(folder: Path, application: str = "app_own") -> None:
    now = system_clock()
    block = sms_traffic.Block(
        application, "+49170", now, "prefix", "+49170", "DE", "allowance", WHY, 1, False, now + 900_000
    )
    async with installation_of(settings_in(folder)) as ground:
        await ground.database.run(_write, block)


async def _write(block: sms_traffic.Block) -> None:
    await Write(sms_traffic.upsert_blocks([block]))


async def _events(folder: Path) -> list[Event]:
    async with installation_of(settings_in(folder)) as ground:
        return list(await ground.database.read(events.list_between, 0, 1 << 62))


def test_nothing_is_held_at_first(run: Run) -> None:
    ended = run("fraud", "list", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)) == (0, [])


def test_what_is_held_is_listed_with_its_reason_and_can_be_let_go(run: Run, tmp_path: Path) -> None:
    """D7: visible, and liftable."""
    asyncio.run(_hold(tmp_path))
    listed = run("fraud", "list", "--json")
    (block,) = json.loads(listed.stdout)
    assert listed.exit_code == 1
    assert (block["place"], block["figures"], block["held"]) == ("+49170", WHY, True)
    assert WHY in run("fraud", "list").stdout
    assert "Nothing of +4916" in run("fraud", "lift", "+4916").stderr
    assert "1 released" in run("fraud", "lift", "+49170").stderr
    assert run("fraud", "list").exit_code == 0
    assert "lifted" in run("fraud", "list").stdout
    told = [one.kind for one in asyncio.run(_events(tmp_path))]
    assert told.count(EventKind.PREFIX_LIFTED) == 1


def test_a_number_is_explained_by_every_rule(run: Run, tmp_path: Path) -> None:
    ended = run("fraud", "explain", "+491701234567", "--json", FRAUD_PREFIX_MESSAGES="7")
    assert ended.exit_code == 0
    found = json.loads(ended.stdout)
    assert {one["rule"] for one in found} == {"money", "messages", "allowance", "conversion"}
    assert "0 of 7 messages" in next(one["why"] for one in found if one["rule"] == "messages")
    assert "1234" not in ended.stdout
    asyncio.run(_hold(tmp_path))
    held = run("fraud", "explain", "+491701234567")
    assert held.exit_code == 1
    assert "held for another 15 minutes" in held.stdout


def test_a_number_is_explained_for_every_application(run: Run, tmp_path: Path) -> None:
    """It was held for `shop`, and the answer was that nothing would hold it back."""
    for name in ("shop", "bank"):
        assert run("apps", "add", name).exit_code == 0
    assert run("fraud", "explain", "+491701234567").exit_code == 0
    made = {one["name"]: one["id"] for one in json.loads(run("apps", "list", "--json").stdout)}
    asyncio.run(_hold(tmp_path, made["shop"]))
    ended = run("fraud", "explain", "+491701234567")
    assert ended.exit_code == 1
    assert [line.split("\t")[0] for line in ended.stdout.splitlines() if "\tholds\t" in line] == ["shop"]
    assert "would hold it back for shop" in ended.stderr
    told = json.loads(run("fraud", "explain", "+491701234567", "--json").stdout)
    assert {one["application"] for one in told} == {"shop", "bank", "our own pages"}
    assert {one["application"] for one in told if one["held"]} == {"shop"}
    assert run("fraud", "explain", "+491701234567", "--application", "bank").exit_code == 0
    assert run("fraud", "explain", "+491701234567", "--application", "our own pages").exit_code == 0
    assert run("fraud", "explain", "+491701234567", "--application", "shop").exit_code == 1
    listed = run("fraud", "list")
    assert "\tshop\t" in listed.stdout
    (block,) = json.loads(run("fraud", "list", "--json").stdout)
    assert (block["application"], block["application_name"]) == (made["shop"], "shop")


def test_lifting_for_one_application_leaves_the_others(run: Run, tmp_path: Path) -> None:
    asyncio.run(_hold(tmp_path))
    assert run("apps", "add", "shop").exit_code == 0
    assert json.loads(run("fraud", "lift", "+49170", "--application", "shop", "--json").stdout) == []
    assert run("fraud", "list").exit_code == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("explain", "ada@example.org"), "telephone numbers"),
        (("explain", "12"), "country code"),
        (("explain", "+491701234567", "--application", "nobody"), "no application 'nobody'"),
    ],
)
def test_misuse_is_named(run: Run, words: tuple[str, ...], says: str) -> None:
    ended = run("fraud", *words)
    assert ended.exit_code == 2
    assert says in ended.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("PRICE", "five"), ("PRICES", "DE"), ("PRICES", "germany=0.07"), ("MODE", "maybe"), ("NEW_PREFIX", "0")],
)
def test_a_bad_setting_is_named(run: Run, name: str, value: str) -> None:
    ended = run("fraud", "list", **{f"FRAUD_{name}": value})
    assert ended.exit_code == 2
    assert f"COUNTERSIGN_FRAUD_{name}" in ended.stderr


def test_prices_become_micros() -> None:
    environ = {"ENVIRONMENT": "development", "FRAUD_PRICES": "DE=0.07, +4917=1", "FRAUD_PRICE": "0.000001"}
    policy = load({f"COUNTERSIGN_{name}": value for name, value in environ.items()}).fraud.policy
    assert (policy.price, policy.prices) == (1, {"DE": 70_000, "+4917": 1_000_000})
