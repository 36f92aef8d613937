"""Renewing one row: what another key sealed and an earlier index hashed is as today's keys would write it, and opens as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import ADA, ada
from tests.flows.renewal import rotated, whole

from countersign.flows.maintenance.renewal import RowRenewal, sealing_kid
from countersign.store.tables.protected_columns import HASHED_OF, SEALED_OF, position
from countersign.store.tables.schema import ACCOUNTS, CHALLENGES, CONTACTS, DEVICES, IDENTIFIERS, SESSIONS

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.store.engine.database import Table


@pytest.mark.parametrize(
    "table", [ACCOUNTS, CONTACTS, IDENTIFIERS, DEVICES, SESSIONS, CHALLENGES], ids=lambda one: one.name
)
async def test_a_row_is_renewed_once_and_then_stays(home: Place, table: Table) -> None:
    """K2."""
    await ada(home)
    rotated(home, index=True)
    renewal = RowRenewal(home.keyring)
    for row in await whole(home, table):
        renewed = renewal.renewed_row(table, row)
        assert renewed != row
        assert renewal.renewed_row(table, renewed) == renewed
        protected = [one.column for one in HASHED_OF[table.name]] + [one.column for one in SEALED_OF[table.name]]
        for column in protected:
            place = position(table, column)
            assert not row[place] or renewed[place] != row[place], column


async def test_without_a_new_index_hashes_stay(home: Place) -> None:
    """K2."""
    await ada(home)
    rotated(home, index=False)
    renewal = RowRenewal(home.keyring)
    for row in await whole(home, IDENTIFIERS):
        assert renewal.renewed_row(IDENTIFIERS, row) == row


async def test_what_was_sealed_anew_opens_beside_its_own_record(home: Place) -> None:
    """K2."""
    await ada(home)
    rotated(home, index=True)
    renewal = RowRenewal(home.keyring)
    (row,) = await whole(home, CONTACTS)
    renewed = renewal.renewed_row(CONTACTS, row)
    place, id_ = position(CONTACTS, "address"), position(CONTACTS, "id")
    assert home.keyring.unseal(bytes(renewed[place]), renewed[id_]) == ADA


async def test_the_key_of_a_nested_contact_is_told_and_what_is_no_value_of_ours_has_none(home: Place) -> None:
    await ada(home)
    for row in await whole(home, CHALLENGES):
        assert sealing_kid(CHALLENGES, row[position(CHALLENGES, "terms")]) == home.keyring.primary.kid
    assert sealing_kid(CHALLENGES, b"nonsense") == ""
