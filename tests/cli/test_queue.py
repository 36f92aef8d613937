"""The queue at the command line: whose messages wait, and how they are canceled; and how an application is stopped."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from countersign.clock import system_clock
from countersign.config import load
from countersign.domain.delivery.delivery import DeliveryState, Reason, new_delivery
from countersign.domain.shared import identifier
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.store.engine.database import Write
from countersign.store.tables import deliveries, events
from countersign.wiring import installation_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.cli.conftest import Run

    from countersign.config import Settings
    from countersign.domain.delivery.delivery import Delivery
    from countersign.domain.shared.event import Event

CHALLENGE = identifier.make("ver", 0, bytes(10))


def settings_in(folder: Path) -> Settings:
    """Return the settings of the developer's place."""
    return load({"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_HOME": str(folder / ".countersign")})


async def _queue(folder: Path, owed: list[Delivery]) -> None:
    async def write() -> None:
        await Write(deliveries.insert(owed), last=True)

    async with installation_of(settings_in(folder)) as ground:
        await ground.database.run(write)


async def _read(folder: Path) -> tuple[list[Delivery], list[Event]]:
    async with installation_of(settings_in(folder)) as ground:
        return (
            await ground.database.read(deliveries.list_by_owner, CHALLENGE),
            list(await ground.database.read(events.list_between, 0, 1 << 62)),
        )


def add(run: Run, name: str) -> str:
    """Add an application, and return its id."""
    found: str = json.loads(run("apps", "add", name, "--json").stdout)["id"]
    return found


def queued(folder: Path, application: str, count: int, *, channel: Channel = Channel.EMAIL, first: int = 1) -> None:
    """Queue messages that have been due for a minute."""
    at = system_clock() - 60_000
    asyncio.run(
        _queue(
            folder,
            [new_delivery(CHALLENGE, first + n, channel, ("mail",), at, application=application) for n in range(count)],
        )
    )


def test_it_says_whose_messages_wait_the_longest_queue_first(run: Run, tmp_path: Path) -> None:
    """D10."""
    shop, flooder = add(run, "shop"), add(run, "flooder")
    assert json.loads(run("queue", "list", "--json").stdout) == []
    queued(tmp_path, flooder, 3)
    queued(tmp_path, shop, 1, first=4)
    queued(tmp_path, shop, 1, channel=Channel.SMS, first=5)
    queued(tmp_path, "app_own", 2, first=6)
    listed = json.loads(run("queue", "list", "--json").stdout)
    assert [(one["application"], one["channel"], one["provider"], one["due"]) for one in listed] == [
        ("flooder", "email", "mail", 3),
        ("Countersign", "email", "mail", 2),
        ("shop", "email", "mail", 1),
        ("shop", "sms", "mail", 1),
    ]
    assert all(60 <= one["oldest_seconds"] < 90 for one in listed)
    only = run("queue", "list", "--application", "shop")
    assert len(only.stdout.splitlines()) == 2
    assert "2 due, 0 waiting." in only.stderr
    assert run("queue", "list", "--application", "nobody").exit_code == 2


def test_an_application_is_canceled_by_its_name_and_the_log_says_who_did_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D10, O10."""
    monkeypatch.setenv("SUDO_USER", "ada")
    shop = add(run, "shop")
    queued(tmp_path, shop, 3)
    queued(tmp_path, shop, 2, channel=Channel.SMS, first=4)
    assert json.loads(run("queue", "cancel", "shop", "--channel", "sms", "--json").stdout) == {"canceled": 2}
    ended = run("queue", "cancel", shop)
    assert (ended.exit_code, "3 queued messages canceled." in ended.stderr) == (0, True)
    owed, told = asyncio.run(_read(tmp_path))
    assert {(one.state, one.reason, one.due_at) for one in owed} == {(DeliveryState.DROPPED, Reason.CANCELED, None)}
    assert [one.facts for one in told if one.kind is EventKind.QUEUE_CANCELED] == [
        {"count": 2, "channel": "sms", "by": "ada"},
        {"count": 3, "channel": "all", "by": "ada"},
    ]
    assert run("queue", "cancel", "nobody").exit_code == 2


def test_an_application_is_suspended_resumed_and_removed_with_what_it_queued(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D10, O10."""
    monkeypatch.setenv("SUDO_USER", "ada")
    shop = add(run, "shop")
    queued(tmp_path, shop, 3)
    ended = run("apps", "suspend", "shop")
    assert (ended.exit_code, ended.stdout, "3 queued messages canceled." in ended.stderr) == (
        0,
        "Suspended shop.\n",
        True,
    )
    assert json.loads(run("apps", "list", "--json").stdout)[0]["suspended_at"]
    assert "suspended" in run("apps", "list").stdout
    assert run("apps", "resume", "shop").stdout == "Resumed shop.\n"
    assert json.loads(run("apps", "list", "--json").stdout)[0]["suspended_at"] is None
    queued(tmp_path, shop, 1, first=4)
    ended = run("apps", "remove", "shop")
    assert (ended.stdout, "1 queued message canceled." in ended.stderr) == ("Removed shop.\n", True)
    _, told = asyncio.run(_read(tmp_path))
    kinds = {EventKind.APPLICATION_SUSPENDED, EventKind.APPLICATION_RESUMED, EventKind.APPLICATION_REMOVED}
    assert [one.facts["by"] for one in told if one.kind in kinds] == ["ada"] * 3
    assert run("apps", "suspend", "shop").exit_code == 2


def test_doctor_names_a_provider_that_messages_wait_for_and_no_settings_have(run: Run, tmp_path: Path) -> None:
    """D1, D10."""
    queued(tmp_path, add(run, "shop"), 2)
    ended = run("doctor", "--json")
    (found,) = [one for one in json.loads(ended.stdout) if one["name"] == "deliveries"]
    assert (found["state"], "mail" in found["what"], "2 messages" in found["what"]) == ("unsafe", True, True)
    assert ended.exit_code == 1
