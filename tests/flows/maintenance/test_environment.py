"""Which environment a database belongs to: it is written down once, and holds whoever comes later."""

from __future__ import annotations

import pytest
from tests.flows.people import ada
from tests.flows.place import Place

from countersign.domain.shared.application import ApplicationDraft, ApplicationMode
from countersign.errors import SettingsError
from countersign.flows.maintenance.applications import add_application
from countersign.flows.maintenance.demo_key import DEMO
from countersign.flows.maintenance.environment import (
    adopt_database,
    check_environment,
    claim_environment,
    environment_fault,
)
from countersign.store.engine.database import Sql
from countersign.store.tables import metadata


async def known(place: Place) -> bytes | None:
    return await place.database.read(metadata.find, metadata.ENVIRONMENT)


@pytest.mark.parametrize("development", [False, True])
async def test_the_first_to_come_decides(each_place: Place, *, development: bool) -> None:
    database = each_place.database
    await forget_applications(each_place)
    assert await environment_fault(database, development=development) == ""
    await claim_environment(database, development=development)
    await claim_environment(database, development=development)
    assert await known(each_place) == (b"development" if development else b"production")
    for act in (check_environment, claim_environment):
        with pytest.raises(SettingsError, match="This database is one of"):
            await act(database, development=not development)
    assert await known(each_place) == (b"development" if development else b"production")


async def test_a_used_database_of_an_earlier_release_is_not_taken_for_one_of_development(home: Place) -> None:
    """It does not say what it is, and it has accounts but no demonstration."""
    await forget_applications(home)
    await ada(home)
    with pytest.raises(SettingsError, match="one of production"):
        await claim_environment(home.database, development=True)
    assert await known(home) is None
    await claim_environment(home.database, development=False)
    assert await known(home) == b"production"


async def test_one_with_the_demonstration_is(home: Place) -> None:
    await ada(home)

    draft = ApplicationDraft(DEMO, ApplicationMode.TEST, "Demo", "localhost")
    await add_application(
        home.database, home.accounts.log, home.keyring, draft, home.clock(), home.accounts.random_bytes
    )
    await claim_environment(home.database, development=True)
    assert await known(home) == b"development"


async def test_a_database_of_development_is_adopted_once_and_for_all(each_place: Place) -> None:
    database = each_place.database
    await forget_applications(each_place)
    await claim_environment(database, development=True)
    await adopt_database(database)
    await claim_environment(database, development=False)
    with pytest.raises(SettingsError, match="COUNTERSIGN_ENVIRONMENT=production"):
        await claim_environment(database, development=True)


async def test_a_database_whose_clock_was_moved_is_not_adopted(each_place: Place) -> None:
    database = each_place.database
    await forget_applications(each_place)
    await claim_environment(database, development=True)
    await database.run(metadata.save, metadata.AHEAD, b"5000")
    with pytest.raises(SettingsError, match="moved the clock"):
        await adopt_database(database)
    assert await known(each_place) == b"development"


async def forget_applications(place: Place) -> None:
    async def steps() -> None:
        await Sql("DELETE FROM applications")

    await place.database.run(steps)
