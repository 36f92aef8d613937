"""Wiring: what is made, what is refused, and that all of it together sends a code and knows the answer."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from countersign.clock import system_clock
from countersign.config import Settings, load
from countersign.config.agreement import agreement_of
from countersign.domain.shared.application import Application, ApplicationMode
from countersign.domain.shared.contact import parse_contact
from countersign.domain.verifications.challenge import ChallengeState
from countersign.errors import SettingsError, UnavailableError
from countersign.flows.maintenance.applications import ApplicationDirectory
from countersign.flows.maintenance.housekeeper import take_lease
from countersign.flows.verifications.begin import BeginRequest, begin_challenge
from countersign.flows.verifications.check import check_challenge
from countersign.flows.verifications.results import Done
from countersign.keys import ACTIVATION_DELAY, Keyring, new_file, rotate_file
from countersign.serving import process
from countersign.store.engine.migrate import head, migrate
from countersign.store.tables import metadata
from countersign.wiring import Runtime, close_runtime, is_current, open_runtime, prepare
from countersign.worker import Worker


@pytest.fixture
def development(tmp_path: Path) -> Settings:
    """Return the settings of a developer who has nothing yet."""
    return load({"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_HOME": str(tmp_path / "home")})


@pytest.fixture
def production(tmp_path: Path) -> Settings:
    """Return the settings of an operator who has made keys and database."""
    home = tmp_path / "home"
    settings = load({"COUNTERSIGN_PUBLIC_URL": "https://verify.example.org", "COUNTERSIGN_HOME": str(home)})
    new_file(settings.secret_file, system_clock())
    migrate(settings.database_url)
    return settings


@pytest.fixture
async def runtime(development: Settings) -> AsyncIterator[Runtime]:
    """Return a Runtime of development, closed afterwards."""
    opened = await open_runtime(development)
    yield opened
    await close_runtime(opened)


async def refused(settings: Settings) -> str:
    """Return why a Runtime cannot be opened."""
    with pytest.raises(SettingsError) as caught:
        await close_runtime(await open_runtime(settings))
    return str(caught.value)


async def demo(runtime: Runtime) -> Application:
    """Return the application of the demonstration."""
    found = await runtime.applications.authenticate(runtime.demo_key or "")
    assert found is not None
    return found


async def test_development_makes_what_is_missing_and_nobody_else_can_read_it(development: Settings) -> None:
    await close_runtime(await open_runtime(development))
    modes = {path.name: path.stat().st_mode & 0o777 for path in development.home.iterdir()}
    assert development.home.stat().st_mode & 0o777 == 0o700
    assert {"secret.keys", "countersign.db", "demo.key"} <= modes.keys()
    assert set(modes.values()) == {0o600}


async def test_the_key_of_the_demonstration_opens_a_test_application_and_stays(development: Settings) -> None:
    first = await open_runtime(development)
    assert (await demo(first)).mode is ApplicationMode.TEST
    await close_runtime(first)
    second = await open_runtime(development)
    assert second.demo_key == first.demo_key
    await close_runtime(second)


async def test_a_lost_key_of_the_demonstration_is_made_anew(development: Settings) -> None:
    first = await prepare(development)
    (development.home / "demo.key").unlink()
    second = await open_runtime(development)
    assert second.demo_key != first
    assert (await demo(second)).name == "demo"
    await close_runtime(second)


async def test_production_opens_with_keys_and_schema_and_shows_nobody_the_inbox(production: Settings) -> None:
    opened = await open_runtime(production)
    assert opened.shown_inbox is None
    assert opened.demo_key is None
    assert "inbox" in opened.delivery.providers  # where test keys deliver, in production too
    await close_runtime(opened)


async def test_production_without_keys_does_not_start(production: Settings) -> None:
    """O2."""
    production.secret_file.unlink()
    said = await refused(production)
    assert str(production.secret_file) in said
    assert "countersign keys new" in said
    assert not production.secret_file.exists()


async def test_a_short_key_stops_the_start(production: Settings) -> None:
    """O2."""
    stored = json.loads(production.secret_file.read_text())
    stored["keys"][0]["secret"] = "c2hvcnQ="
    production.secret_file.write_text(json.dumps(stored))
    assert "has 5 bytes; expected 32" in await refused(production)


async def test_keys_that_others_can_read_stop_the_start(production: Settings) -> None:
    """O2."""
    production.secret_file.chmod(0o644)
    assert "chmod 600" in await refused(production)


async def test_the_keys_of_another_installation_stop_the_start(production: Settings) -> None:
    """O2: with them nothing stored could be read, and new records would be mixed with old."""
    await close_runtime(await open_runtime(production))
    production.secret_file.unlink()
    new_file(production.secret_file, system_clock())
    said = await refused(production)
    assert "is not the one that this database was made with" in said
    assert "COUNTERSIGN_SECRET_FILE" in said


async def test_rotated_keys_are_still_the_keys_of_this_installation(production: Settings) -> None:
    """O2."""
    await close_runtime(await open_runtime(production))
    rotate_file(production.secret_file, system_clock())
    await close_runtime(await open_runtime(production))


async def test_production_refuses_a_database_that_is_behind(production: Settings) -> None:
    with sqlite3.connect(production.database_url.removeprefix("sqlite:///")) as connection:
        connection.execute("DROP TABLE alembic_version")
    connection.close()
    assert "countersign migrate" in await refused(production)


async def test_a_home_that_cannot_be_made_is_named_in_one_sentence(tmp_path: Path) -> None:
    """O5: not by a traceback; it is asked for only where something is kept there."""
    (tmp_path / "file").write_text("")
    environ = {
        "COUNTERSIGN_PUBLIC_URL": "https://verify.example.org",
        "COUNTERSIGN_HOME": str(tmp_path / "file" / "home"),
        "COUNTERSIGN_SECRET_FILE": str(tmp_path / "secret.keys"),
        "COUNTERSIGN_DATABASE_URL": f"sqlite:///{tmp_path / 'file.db'}",
    }
    new_file(tmp_path / "secret.keys", system_clock())
    assert "COUNTERSIGN_HOME" in await refused(load(environ))
    environ["COUNTERSIGN_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(UnavailableError, match="PostgreSQL"):
        await open_runtime(load(environ))


async def test_settings_that_differ_are_told_once_and_by_section(
    development: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O7: by a program that runs, of another that started later."""
    monkeypatch.setattr(process, "COMPARE_EVERY", 0.01)
    lifespan = await process.open_process(development)
    database = lifespan.runtime.core.database
    with capture_logs() as logs:
        await lifespan.begin(shared=False)
        async with asyncio.timeout(10):
            while await database.read(metadata.find, metadata.SETTINGS) is None:  # noqa: ASYNC110 - a task of the program writes it
                await asyncio.sleep(0.01)
            own = agreement_of(development)
            other = msgspec.structs.replace(own, sections=own.sections | {"limits": "others"})
            await database.run(metadata.save, metadata.SETTINGS, msgspec.json.encode(other))
            while not any(line["event"] == "settings_differ" for line in logs):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
    await lifespan.leave()
    assert [line["sections"] for line in logs if line["event"] == "settings_differ"] == [["limits"]]


async def test_a_worker_that_is_missing_is_told_once_and_so_is_its_return(
    development: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O6: by a process that has none of its own."""
    monkeypatch.setattr(process, "WATCH_EVERY", 0.01)
    lifespan = await process.open_process(msgspec.structs.replace(development, no_worker=True))
    core = lifespan.runtime.core

    async def said(event: str) -> None:
        async with asyncio.timeout(10):
            while not any(line["event"] == event for line in logs):  # noqa: ASYNC110 - a task of the program says so
                await asyncio.sleep(0.01)

    with capture_logs() as logs:
        await lifespan.begin(shared=False)
        await said("worker_missing")
        await asyncio.sleep(0.05)
        await take_lease(core, "one")
        await said("worker_back")
        await asyncio.sleep(0.05)
    await lifespan.leave()
    told = [line["event"] for line in logs if line["event"].startswith("worker_")]
    assert told == ["worker_missing", "worker_back"]


async def test_production_starts_on_a_newer_database_that_allows_it(production: Settings) -> None:
    """O7: an older program can be restarted while a newer release is rolled out."""
    path = production.database_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "9999" in await refused(production)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE facts SET value = ? WHERE name = 'compatible_since'", (b"9999 0007",))
    connection.close()
    await close_runtime(await open_runtime(production))
    await prepare(production)


async def test_a_database_that_cannot_be_reached_is_an_outage() -> None:
    settings = load(
        {"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    )
    with pytest.raises(UnavailableError, match="COUNTERSIGN_DATABASE_URL"):
        await open_runtime(settings)


async def test_the_newest_revision_is_the_one_that_alembic_knows(runtime: Runtime) -> None:
    assert metadata.newest_revision() == head()
    assert await is_current(runtime.core.database)


async def test_a_code_goes_out_and_its_answer_is_known_after_the_keys_were_rotated(runtime: Runtime) -> None:
    """O2: a challenge that is under way when a new key takes over is still delivered, and answered."""
    application = await demo(runtime)
    begun = await begin_challenge(runtime.core, application, BeginRequest(to=parse_contact("ada@example.org")))
    assert isinstance(begun, Done)

    rotate_file(runtime.settings.secret_file, system_clock())
    later = Keyring(runtime.settings.secret_file, lambda: system_clock() + ACTIVATION_DELAY)
    assert later.primary.kid != begun.challenge.terms.kid
    core = msgspec.structs.replace(runtime.core, keyring=later)

    worker = Worker(msgspec.structs.replace(runtime.delivery, core=core), runtime.settings.retention_days)
    working = asyncio.create_task(worker.run())
    code = await arrived_code(runtime)
    answered = await check_challenge(core, application, begun.challenge.id, code)
    worker.stop()
    await working
    assert isinstance(answered, Done)
    assert answered.challenge.state is ChallengeState.APPROVED


async def test_what_is_counted_is_told(runtime: Runtime) -> None:
    application = await demo(runtime)
    await begin_challenge(runtime.core, application, BeginRequest(to=parse_contact("ada@example.org")))
    worker = Worker(runtime.delivery, runtime.settings.retention_days)
    before = (await runtime.metrics_page()).decode()
    working = asyncio.create_task(worker.run())
    await arrived_code(runtime)
    worker.stop()
    await working
    after = (await runtime.metrics_page()).decode()
    assert "countersign_deliveries_due 1.0" in before
    assert 'countersign_application_deliveries_due{application="demo"} 1.0' in before
    assert "countersign_application_deliveries_due{" not in after
    assert "countersign_ledger_batch_size_count 1.0" in before
    assert "countersign_deliveries_due 0.0" in after
    assert 'countersign_try_seconds_count{outcome="accepted",provider="inbox"} 1.0' in after
    assert "ada" not in after


async def test_a_removed_key_file_does_not_end_what_runs(runtime: Runtime) -> None:
    runtime.settings.secret_file.unlink()
    begun = await begin_challenge(runtime.core, await demo(runtime), BeginRequest(to=parse_contact("ada@example.org")))
    assert isinstance(begun, Done)


async def test_no_repr_shows_a_key(runtime: Runtime) -> None:
    """C8."""
    assert runtime.demo_key is not None
    assert runtime.demo_key not in repr(runtime)
    assert "inbox" not in repr(ApplicationDirectory)


async def arrived_code(runtime: Runtime) -> str:
    """Return the code of the newest message in the inbox, once there is one."""
    assert runtime.inbox is not None
    until = time.monotonic() + 10
    while time.monotonic() < until:
        messages = await runtime.inbox.list("ada@example.org")
        if messages:
            found = re.search(r"\b\d{3} ?\d{3}\b", messages[0].text)
            assert found is not None
            return found[0]
        await asyncio.sleep(0.01)
    raise AssertionError("no message arrived")
