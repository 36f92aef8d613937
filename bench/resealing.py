"""`python -m bench.resealing`: how long a reseal with a new index takes, what it costs others meanwhile, and what one seal costs.

Each account has four rows: itself, a contact, an identifier and a session. Meanwhile somebody changes accounts, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec
from tests.peers.postgres import PostgresServer

from countersign.domain.accounts.account import Account, OwnedContact
from countersign.domain.accounts.session import Session
from countersign.domain.shared.contact import ContactKind
from countersign.flows.maintenance.reseal import reseal
from countersign.keys import DerivedKey, Keyring, new_file, rotate_file, rotate_index
from countersign.store.engine.connect import open_database
from countersign.store.engine.database import Database, Insert, Row, Sql, Table, Take, Write
from countersign.store.engine.migrate import migrate
from countersign.store.ledger.event_log import Chain, Log
from countersign.store.tables import accounts, sessions
from countersign.store.tables.schema import ACCOUNTS

CHUNK: Final = 500
PASSWORD: Final = "$argon2id$v=19$m=19456,t=2,p=1$" + "c" * 22 + "$" + "d" * 43
SEALS: Final = 20_000


class Measured(msgspec.Struct, frozen=True):
    """One run: rows renewed, seconds of the clock and of this process, peak memory gained (MiB), and how long others waited (ms)."""

    rows: int
    seconds: float
    cpu: float
    grown: float
    waits: list[float]


async def _fill(database: Database, keyring: Keyring, people: int) -> None:
    for start in range(0, people, CHUNK):
        numbers = range(start, min(start + CHUNK, people))

        async def insert(numbers: range = numbers) -> None:
            rows: dict[str, tuple[Table, list[Row]]] = {}
            for number in numbers:
                id_, contact, address = f"acc_{number:012}", f"con_{number:012}", f"person{number}@example.org"
                person = Account(
                    id_, 1, keyring.seal("Ada Lovelace", id_), "en", keyring.seal(PASSWORD, id_), password_at=1
                )
                owned = OwnedContact(
                    account=id_,
                    id=contact,
                    added_at=1,
                    kind=ContactKind.MAIL,
                    blind_index=keyring.blind_index("contact", address),
                    address=keyring.seal(address, contact),
                    masked="p***@example.org",
                    proved_at=1,
                )
                session = Session(
                    token_hash=keyring.hash_secret(f"session {number}"),
                    id=f"ses_{number:012}",
                    account=id_,
                    device_token_hash=keyring.hash_secret(f"device {number}"),
                    created_at=1,
                    user_agent="Firefox",
                    ip="",
                    place="",
                    proofs=(),
                    last_seen_at=1,
                    expires_at=1 << 60,
                )
                for change in (*accounts.insert(person, owned), sessions.insert(session)):
                    rows.setdefault(change.table.name, (change.table, []))[1].extend(change.rows)
            await Write(tuple(Insert(table, some) for table, some in rows.values()), last=True)

        await database.run(insert)


async def _others(database: Database, people: int, waits: list[float]) -> None:
    """Lock and change one account after the other, as a flow does, and note how long each took (ms)."""
    number = 0
    while True:
        number = (number + 7_919) % people
        account = f"acc_{number:012}"

        async def change(account: str = account) -> None:
            await Take(ACCOUNTS, [(account,)])
            await Sql("UPDATE accounts SET checked_at = 2 WHERE id = $1 RETURNING id", (account,))

        began = time.perf_counter()
        await database.run(change)
        waits.append((time.perf_counter() - began) * 1_000)
        await asyncio.sleep(0.01)


async def _measure(url: str, folder: Path, people: int) -> Measured:
    now = [1_000_000_000_000]
    path = folder / "bench.keys"
    path.unlink(missing_ok=True)
    new_file(path, now[0])
    database, beside = open_database(url), open_database(url)
    await database.open()
    await beside.open()
    await _fill(database, Keyring(path, lambda: now[0]), people)
    rotate_file(path, now[0], 1)
    rotate_index(path, now[0], 1)
    now[0] += 120_000
    keyring = Keyring(path, lambda: now[0])
    waits: list[float] = []
    others = asyncio.create_task(_others(beside, people, waits))
    await asyncio.sleep(1)
    alone, before = len(waits), _peak()
    began, busy = time.perf_counter(), time.process_time()
    log = Log(Chain(lambda: f"w{os.urandom(4).hex()}", keyring.link))
    report = await reseal(database, log, keyring, path, lambda: now[0])
    took, cpu = time.perf_counter() - began, time.process_time() - busy
    others.cancel()
    await asyncio.gather(others, return_exceptions=True)
    await database.close()
    await beside.close()
    if report.left or report.unreadable:
        raise SystemExit(f"not everything was renewed: {report}")
    return Measured(report.renewed, took, cpu, _peak() - before, sorted(waits[alone:]))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def _seals() -> None:
    """Print what sealing and opening one value costs, in either form (µs)."""
    for name, key in (
        ("one key, random nonces", DerivedKey("k1", 0, bytes(32), by_record=False)),
        ("a key for each record", DerivedKey("k1", 0, bytes(32))),
    ):
        began = time.thread_time()
        sealed = [key.seal(b"ada@example.org", b"ver_01j000000000000000000000") for _ in range(SEALS)]
        sealing = time.thread_time()
        for one in sealed:
            key.unseal(one, b"ver_01j000000000000000000000")
        opening = time.thread_time()
        microseconds = [(b - a) / SEALS * 1e6 for a, b in ((began, sealing), (sealing, opening))]
        print(f"{name}: seal {microseconds[0]:.2f} us, open {microseconds[1]:.2f} us")


async def _run(rows: int) -> None:
    people = rows // 4
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as name:
        folder = Path(name)
        sqlite = f"sqlite:///{folder / 'bench.db'}"
        migrate(sqlite)
        _print("SQLite", await _measure(sqlite, folder, people))
        server = PostgresServer(durable=True)
        try:
            url = server.url(server.create())
            migrate(url)
            _print("PostgreSQL", await _measure(url, folder, people))
        finally:
            server.remove()


def _print(name: str, found: Measured) -> None:
    rate, waits = found.rows / found.seconds, found.waits
    p50, p99 = (waits[int(len(waits) * part)] for part in (0.5, 0.99)) if waits else (0.0, 0.0)
    print(
        f"{name}: {found.rows} rows in {found.seconds:.1f} s, {rate:,.0f} a second; a million in {1e6 / rate:,.0f} s;"
        f" {found.cpu / found.rows * 1e6:.0f} us of CPU a row;"
        f" memory +{found.grown:.1f} MiB; others waited {p50:.1f} ms (p50), {p99:.1f} ms (p99), {max(waits, default=0):.1f} ms at most"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    found = parser.parse_args()
    _seals()
    asyncio.run(_run(found.rows))


if __name__ == "__main__":
    main()
