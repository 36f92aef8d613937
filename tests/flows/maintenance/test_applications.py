"""Applications: what two administrators do at once."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING

import pytest

from countersign.domain.shared.application import ApplicationDraft, ApplicationMode
from countersign.errors import InputError, NotFoundError
from countersign.flows.maintenance.applications import (
    ApplicationDirectory,
    add_application,
    remove_application,
    rotate_application_key,
)
from countersign.flows.maintenance.audit import verify_events
from countersign.store.ledger.event_log import Chain, Log

if TYPE_CHECKING:
    from tests.flows.place import Place


async def test_a_rotation_never_brings_back_what_is_removed_at_the_same_moment(each_place: Place) -> None:
    """I2: a key that was removed, because it leaked, opens nothing; nor does one that a nightly rotation made meanwhile."""
    place = each_place
    numbers = itertools.count()

    def log() -> Log:
        return Log(Chain(lambda: f"wri_{next(numbers)}", place.keyring.link))

    async def raced(name: str) -> bool:
        await add_application(
            place.database,
            log(),
            place.keyring,
            ApplicationDraft(name, ApplicationMode.TEST, "Shop", "shop.example", ()),
            1,
            os.urandom,
        )
        rotated, _ = await asyncio.gather(
            rotate_application_key(place.database, log(), place.keyring, name, 2, os.urandom),
            remove_application(place.database, log(), name, 3),
            return_exceptions=True,
        )
        if isinstance(rotated, BaseException):
            assert isinstance(rotated, NotFoundError)
            return False
        return await ApplicationDirectory(place.database, place.keyring, lambda: 4).authenticate(rotated[1]) is not None

    assert not any([await raced(f"shop {number}") for number in range(40)])
    assert (await verify_events(place.database, place.keyring)).findings == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "not a host"),
        ("host", "shop.example:443"),
        ("site", "Evil\r\nBcc: x"),
        ("site", "s" * 101),
        ("name", ""),
    ],
)
async def test_what_messages_could_not_show_or_be_bound_to_is_refused(place: Place, field: str, value: str) -> None:
    """D4: a host that no SMS can be bound to would silently leave the last line out."""
    given = {"name": "shop", "site": "Shop", "host": "shop.example"} | {field: value}
    log = Log(Chain(lambda: "wri_1", place.keyring.link))
    with pytest.raises(InputError) as refused:
        await add_application(
            place.database,
            log,
            place.keyring,
            ApplicationDraft(given["name"], ApplicationMode.TEST, given["site"], given["host"]),
            1,
            os.urandom,
        )
    assert refused.value.field == field
    assert await place.count("applications") == 0


async def test_two_applications_never_share_a_name(each_place: Place) -> None:
    place = each_place

    async def add(number: int) -> str:
        log = Log(Chain(lambda: f"wri_{number}", place.keyring.link))
        added, _ = await add_application(
            place.database,
            log,
            place.keyring,
            ApplicationDraft("shop", ApplicationMode.TEST, "", "", ()),
            1,
            os.urandom,
        )
        return added.id

    outcomes = await asyncio.gather(*(add(number) for number in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, InputError)} == {"taken"}
