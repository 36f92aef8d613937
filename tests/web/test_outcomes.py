"""Destinations that stand for an outcome: each state and reason can be had with a test key, as docs/api.md has them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from tests.web.client import Client
from tests.web.conftest import Opener, new_key

from countersign.domain.shared.application import ApplicationMode
from countersign.flows.delivery.claim import claim_due
from countersign.flows.delivery.send import record_results, send
from countersign.providers.inbox_outcomes import OUTCOMES
from countersign.web.app import make_app
from countersign.wiring import Runtime

ROOT = Path(__file__).resolve().parent.parent.parent

EXPECTED = {
    "delivered": ("delivered", None, True),
    "late": ("accepted", None, True),
    "bounced": ("undelivered", "unknown_recipient", False),
    "refused": ("failed", "unknown_recipient", False),
    "blocked": ("failed", "blocked", False),
    "throttled": ("queued", "throttled", False),
    "full": ("failed", "mailbox_full", False),
    "no-signal": ("undelivered", "no_signal", False),
}


async def carried(runtime: Runtime) -> None:
    """Do once what the worker does."""
    parcels = await claim_due(runtime.delivery, 10)
    await record_results(runtime.delivery, [await send(runtime.delivery, parcel) for parcel in parcels])


@pytest.mark.parametrize("kind", ["mail", "number"])
@pytest.mark.parametrize("word", EXPECTED)
async def test_a_destination_has_its_outcome(open_house: Opener, word: str, kind: str) -> None:
    """D2, M10: what the person is shown has the state, the reason and a hint."""
    runtime = await open_house()
    client = Client(make_app(runtime, worker_alive=lambda: True), await new_key(runtime, "tests", ApplicationMode.TEST))
    to = f"ada+{word}@example.org" if kind == "mail" else f"+1415555{OUTCOMES[word][0]}"
    begun = await client.begin(to)
    await carried(runtime)
    state, reason, kept = EXPECTED[word]
    told: dict[str, str | None] = {}
    for _ in range(60):
        told = (await client.get(f"/v1/verifications/{begun['id']}")).json["deliveries"][-1]
        if told["state"] == state:
            break
        await asyncio.sleep(0.05)
    assert (told["state"], told["reason"]) == (state, reason)
    assert told["hint"]
    assert bool(await runtime.inbox.list(to)) == kept


async def test_every_other_destination_is_only_kept(open_house: Opener) -> None:
    runtime = await open_house()
    client = Client(make_app(runtime, worker_alive=lambda: True), await new_key(runtime, "tests", ApplicationMode.TEST))
    for to in ("late@example.org", "ada+shop@example.org", "+14155550123"):
        begun = await client.begin(to)
        await carried(runtime)
        assert (await client.get(f"/v1/verifications/{begun['id']}")).json["delivery"]["state"] == "accepted"
        assert len(await runtime.inbox.list(to)) == 1


def test_the_table_of_the_documents_is_the_programs() -> None:
    rows = re.findall(r"`ada\+([a-z-]+)@example\.org` \| `\+1 415 555 (\d{4})`", (ROOT / "docs" / "api.md").read_text())
    assert dict(rows) == {word: digits for word, (digits, _) in OUTCOMES.items()}
    assert EXPECTED.keys() == OUTCOMES.keys()
