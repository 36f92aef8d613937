"""A Runtime on SQLite as `countersign serve` would open it, the application on top, and clients of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import pytest_asyncio
from tests.web.client import Client
from tests.web.served import Served, serving

from countersign.config import load
from countersign.domain.shared.application import ApplicationDraft, ApplicationMode
from countersign.domain.verifications.code import derive
from countersign.flows.maintenance.applications import add_application
from countersign.store.engine.database import Sql
from countersign.store.tables import challenges
from countersign.web.app import make_app
from countersign.web.http.application import WebApplication
from countersign.wiring import Runtime, close_runtime, open_runtime

Opener: TypeAlias = Callable[..., Awaitable[Runtime]]
CodeOf: TypeAlias = Callable[[str], Awaitable[str]]

_SETTINGS = {"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_LOG_LEVEL": "debug"}


@pytest.fixture(scope="session")
def _made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with keys and a migrated database, made once and copied for each test."""
    home = tmp_path_factory.mktemp("web") / "home"

    async def make() -> None:
        await close_runtime(await open_runtime(load({**_SETTINGS, "COUNTERSIGN_HOME": str(home)})))

    asyncio.run(make())
    return home


def belong_to_nobody(home: Path) -> None:
    """Make a copied database one that no environment has opened yet."""
    with contextlib.closing(sqlite3.connect(home / "countersign.db")) as database, database:
        database.execute("DELETE FROM facts WHERE name = 'environment'")


@pytest_asyncio.fixture
async def open_house(_made_home: Path, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens a Runtime with settings of its own."""
    opened: list[Runtime] = []

    async def open_with(toml: str = "", **settings: str) -> Runtime:
        home = tmp_path / f"home{len(opened)}"
        shutil.copytree(_made_home, home)
        if settings.get("environment") == "production":
            belong_to_nobody(home)
        file = tmp_path / f"{home.name}.toml"
        file.write_text(toml)
        named = {f"COUNTERSIGN_{name.upper()}": value for name, value in settings.items()}
        opened.append(await open_runtime(load({**_SETTINGS, "COUNTERSIGN_HOME": str(home), **named}, file)))
        return opened[-1]

    yield open_with
    for runtime in opened:
        await close_runtime(runtime)


@pytest_asyncio.fixture
async def runtime(open_house: Opener) -> Runtime:
    """A Runtime of development."""
    return await open_house()


@pytest.fixture
def app(runtime: Runtime) -> WebApplication:
    """The application on that Runtime."""
    return make_app(runtime, worker_alive=lambda: True)


@pytest.fixture
def client(app: WebApplication, runtime: Runtime) -> Client:
    """A client with the key of the application "demo"."""
    assert runtime.demo_key is not None
    return Client(app, runtime.demo_key)


@pytest_asyncio.fixture
async def other(app: WebApplication, runtime: Runtime) -> Client:
    """A client with the key of another application."""
    return Client(app, await new_key(runtime, "other"))


@pytest.fixture
def code_of(runtime: Runtime) -> CodeOf:
    """Returns the code of a challenge, derived as the message's would be."""

    async def derived(challenge_id: str) -> str:
        found = await runtime.core.database.read(challenges.find, challenge_id)
        assert found is not None
        key = runtime.core.keyring.named(found.terms.kid).code
        return derive(key, found.id, found.round, found.terms.policy.shape).reveal()

    return derived


async def new_key(
    runtime: Runtime, name: str, mode: ApplicationMode = ApplicationMode.TEST, purposes: tuple[str, ...] = ()
) -> str:
    """Add an application, and return its key."""
    _, key = await add_application(
        runtime.core.database,
        runtime.accounts.log,
        runtime.core.keyring,
        ApplicationDraft(name, mode, name, "localhost", purposes),
        runtime.core.clock(),
        os.urandom,
    )
    return key


async def change(runtime: Runtime, sql: str, *args: object) -> None:
    """Change rows behind the program's back, as the passing of time would."""

    async def steps() -> None:
        await Sql(sql, args)

    await runtime.core.database.run(steps)


def wrong(code: str) -> str:
    """Return a code of the same length that is not this one."""
    return str((int(code) + 1) % 10 ** len(code)).zfill(len(code))


@pytest_asyncio.fixture
async def place(app: WebApplication, runtime: Runtime) -> AsyncIterator[Served]:
    """The application behind the real server."""
    async with serving(app) as place:
        place.key = runtime.demo_key or ""
        yield place
