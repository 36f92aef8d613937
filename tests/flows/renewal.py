"""Keys that are replaced in a place, and what its database holds under which of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.clock import MINUTE

from countersign.flows.maintenance.renewal import sealing_kid
from countersign.flows.maintenance.reseal import ResealReport, reseal
from countersign.keys import REREAD_AFTER, Keyring, rotate_file, rotate_index
from countersign.store.tables.protected_columns import (
    HASHED_COLUMNS,
    NESTED_COLUMNS,
    SEALED_COLUMNS,
    list_page,
    position,
)

if TYPE_CHECKING:
    from tests.flows.place import Place

    from countersign.store.engine.database import Row, Table


def look_again(keyring: Keyring) -> None:
    """Let the time pass after which a program looks at its key file."""
    keyring._looked_at -= REREAD_AFTER + 1


def rotated(place: Place, *, index: bool) -> str:
    """Rotate the key, and the index if asked, and let the time pass until they are active. Returns the old key's id."""
    old = place.keyring.primary.kid
    rotate_file(place.key_file, place.clock(), MINUTE)
    if index:
        rotate_index(place.key_file, place.clock(), MINUTE)
    place.clock.forward(2 * MINUTE)
    look_again(place.keyring)
    assert place.keyring.primary.kid != old
    assert place.keyring.replacing_index == index
    return old


async def resealed(place: Place) -> ResealReport:
    """Reseal as another program does it, which then closes what is over; the place reads the key file again."""
    other = Keyring(place.key_file, place.clock)
    report = await reseal(place.rows, place.accounts.log, other, place.key_file, place.clock)
    look_again(place.keyring)
    return report


async def whole(place: Place, table: Table) -> list[Row]:
    """Return all rows of a table as they are stored."""
    return list(await place.rows.read(list_page, table, None, 1_000_000))


async def kids_in_use(place: Place) -> Counter[str]:
    """Count the sealed values by the key that seals them."""
    found: Counter[str] = Counter()
    for sealed in SEALED_COLUMNS:
        for row in await whole(place, sealed.table):
            value = bytes(row[position(sealed.table, sealed.column)] or b"")
            if value:
                found[value.partition(b".")[0].decode()] += 1
    for table, column in NESTED_COLUMNS:
        for row in await whole(place, table):
            found[sealing_kid(table, bytes(row[position(table, column)]))] += 1
    return found


async def indexes_in_use(place: Place) -> dict[str, Counter[int]]:
    """Count the keyed hashes of each column by the position of the index that made them."""
    hashes = Keyring(place.key_file, place.clock).hashes
    found: dict[str, Counter[int]] = {}
    for column in HASHED_COLUMNS:
        of_column = found.setdefault(f"{column.table.name}.{column.column}", Counter())
        for row in await whole(place, column.table):
            value = bytes(row[position(column.table, column.column)] or b"")
            place_of_index = hashes.position_of(value) if value and column.holds_hash(row) else None
            if place_of_index is not None:
                of_column[place_of_index] += 1
    return found
