"""The password of the database is replaced while programs serve: the new one stands in its file, and nothing else is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from tests.durability.crowd import Crowd, hold_to_account, sent_by, settle
from tests.durability.installation import installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.peers.postgres import MissingPostgresError, PostgresServer

from countersign.config import load
from countersign.config.database_address import database_address
from countersign.errors import UnavailableError
from countersign.store.engine.connect import open_database
from countersign.store.engine.migrate import migrate
from countersign.store.tables import metadata

pytestmark = [pytest.mark.postgres]


@pytest.fixture(scope="module")
def strict_server() -> Iterator[PostgresServer]:
    """Give a server that asks everybody but the superuser for a password (SCRAM-SHA-256)."""
    try:
        server = PostgresServer()
    except MissingPostgresError as reason:
        pytest.skip(f"PostgreSQL cannot run here: {reason}")

    async def ask_for_passwords() -> None:
        connection = await asyncpg.connect(server.url())
        file = await connection.fetchval("SHOW hba_file")
        lines = ("host all tester 127.0.0.1/32 trust", "host all all 127.0.0.1/32 scram-sha-256")
        await connection.execute(f"COPY (VALUES ('{lines[0]}'), ('{lines[1]}')) TO '{file}'")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()

    with ThreadPoolExecutor(1) as thread:  # a loop of its own
        thread.submit(asyncio.run, ask_for_passwords()).result()
    yield server
    server.remove()


class Role:
    """The role that the program signs in as, and the file with its password."""

    def __init__(self, admin: asyncpg.Connection[asyncpg.Record], server: PostgresServer, file: Path) -> None:
        self._admin = admin
        self._place = f"127.0.0.1:{server.port}/shop"
        self.file = file

    @property
    def url(self) -> str:
        """Return the address as the file has it."""
        return self.file.read_text().strip()

    def write(self, user: str, password: str) -> None:
        """Write the file."""
        self.file.write_text(f"postgresql://{user}:{password}@{self._place}\n")

    async def rotate(self, password: str) -> None:
        """Change the password, and write the file a moment later, as a vault does."""
        await self._admin.execute(f"ALTER ROLE app PASSWORD '{password}'")
        self.write("app", password)

    async def hang_up(self) -> None:
        """End every session of the program, so that it must connect anew."""
        await self._admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop' AND pid <> pg_backend_pid()"
        )


@pytest_asyncio.fixture
async def role(strict_server: PostgresServer, tmp_path: Path) -> AsyncIterator[Role]:
    """Give the role, with a database of its own that is migrated."""
    admin = await asyncpg.connect(strict_server.url())
    await admin.execute("CREATE ROLE app LOGIN PASSWORD 'first'")
    await admin.execute("CREATE DATABASE shop OWNER app")
    made = Role(admin, strict_server, tmp_path / "database_url")
    made.write("app", "first")
    await asyncio.to_thread(migrate, made.url)
    yield made
    await admin.execute("DROP DATABASE shop WITH (FORCE)")
    await admin.execute("DROP OWNED BY app")
    await admin.execute("DROP ROLE app")
    await admin.execute("DROP ROLE IF EXISTS vault_2")
    await admin.close()


async def test_a_new_connection_signs_in_with_the_password_of_now(role: Role) -> None:
    """K4: after ALTER ROLE and a lost connection; between the two files the database cannot be reached, and then it can."""
    settings = load({"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_DATABASE_URL_FILE": str(role.file)})
    database = open_database(database_address(settings), pool=2)
    await database.open()
    try:
        assert await database.read(metadata.can_serve)
        await role._admin.execute("ALTER ROLE app PASSWORD 'second'")
        assert await database.read(metadata.can_serve)  # what is connected stays so
        await role.hang_up()
        with pytest.raises(UnavailableError) as caught:
            await database.read(metadata.can_serve)
        assert "second" not in str(caught.value)
        role.write("app", "second")
        assert await database.read(metadata.can_serve)
        # Short-lived users, as Vault makes them: another name each time.
        await role._admin.execute("CREATE ROLE vault_2 LOGIN PASSWORD 'third' IN ROLE app")
        role.write("vault_2", "third")
        await role.hang_up()
        for connection in database.ledger_connections():
            assert await connection.run(metadata.can_serve)
    finally:
        await database.close()


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_passwords_are_replaced_under_load_and_no_process_is(role: Role, tmp_path: Path, sender: Sender) -> None:
    """K4: twice, with every session ended after it; `serve` and `work` go on by themselves."""
    place = tmp_path / "place"
    place.mkdir()
    with installed(place, role.url, config=webhook_config(sender.url, SECRET)) as installation:
        del installation.program.environ["COUNTERSIGN_DATABASE_URL"]
        installation.program.environ["COUNTERSIGN_DATABASE_URL_FILE"] = str(role.file)
        serving = await asyncio.to_thread(installation.serve, "--workers", "2", "--no-worker")
        working = installation.work()
        children = serving.children()
        crowd = Crowd(installation, people=4)
        async with crowd.busy():
            for password in ("second", "third"):
                await asyncio.sleep(0.5)
                await role.rotate(password)
                await role.hang_up()
            await asyncio.sleep(1.0)
            before = crowd.statuses[201]
            await asyncio.sleep(0.5)
            assert crowd.statuses[201] > before
        installation.database_url = role.url
        await settle(installation)
        figures = await hold_to_account(crowd, installation, sent_by(sender, installation))
        assert figures["approved"] > 0
        assert serving.children() == children
        assert working.popen.poll() is None
        assert "password" not in serving.log.lower() or "third" not in serving.log
        for started in (working, serving):
            assert await asyncio.to_thread(started.stop) == 0
