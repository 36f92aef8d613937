"""Applications: what two administrators do at once."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING

from countersign.domain.application import Mode
from countersign.errors import NotFoundError
from countersign.flows.applications import Doorkeeper, add_application, remove_application, rotate_application_key
from countersign.flows.audit import verify_events
from countersign.store.events import Chain, Log

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
            name=name,
            mode=Mode.TEST,
            site="Shop",
            host="shop.example",
            purposes=(),
            now=1,
            chance=os.urandom,
        )
        rotated, _ = await asyncio.gather(
            rotate_application_key(place.database, log(), place.keyring, name, 2, os.urandom),
            remove_application(place.database, log(), name, 3),
            return_exceptions=True,
        )
        if isinstance(rotated, BaseException):
            assert isinstance(rotated, NotFoundError)
            return False
        return await Doorkeeper(place.database, place.keyring, lambda: 4).recognise(rotated[1]) is not None

    assert not any([await raced(f"shop {number}") for number in range(40)])
    assert (await verify_events(place.database, place.keyring)).findings == ()
