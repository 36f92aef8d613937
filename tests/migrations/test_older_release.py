"""The older release's code on the newer schema: while a release is rolled out, both serve one database."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from tests.peers.postgres import PostgresServer
from tests.peers.release import unpack_older
from tests.rounds import SHARE, is_full

from countersign.store.engine.migrate import MIGRATIONS, head

ROOT = Path(__file__).resolve().parent.parent.parent
PLUGIN = ROOT / "tests" / "peers" / "newer_schema.py"
WHICH = ("tests/flows", "tests/store/test_ledger.py")
"""The older tests that are run: what people do, and the ledger under it."""

STOPS = "tests/store/test_ledger.py::test_while_the_database_is_gone_everybody_hears_it_and_later_all_is_well"
"""The one among them that stops the server, which here is everybody's."""

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the tree of the newest release before this one."""
    return unpack_older(tmp_path_factory.mktemp("older"))


def revisions(migrations: Path) -> list[str]:
    """Return the revisions of a release, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def test_newer_revisions_follow_those_of_the_older_release(older: Path) -> None:
    """O7: none is put in between, taken out or renamed, since a database may have come as far as any of them."""
    (versions,) = (older / "src" / "countersign" / "store").rglob("versions")
    before = revisions(versions.parent)
    assert before
    assert revisions(MIGRATIONS)[: len(before)] == before


def test_the_older_release_works_on_the_newer_schema(older: Path, postgres_server: PostgresServer) -> None:
    """O7: its own tests of what people do pass, on SQLite and PostgreSQL, on databases that this release migrated.

    `make test` runs one of five.
    """
    shutil.copy(PLUGIN, older / PLUGIN.name)
    share = 1 if is_full() else SHARE
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", PLUGIN.stem, "-p", "no:xdist", "-p", "no:schemathesis"),
            *("-m", "not slow", "--deselect", STOPS, *(path for path in WHICH if (older / path).exists())),
        ],
        cwd=older,
        env={
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("COUNTERSIGN_", "PYTEST_", "COV"))
            },
            "PYTHONPATH": os.pathsep.join((str(older / "src"), str(older))),
            "NEWER_SOURCE": str(ROOT / "src"),
            "NEWER_SHARE": str(share),
            "NEWER_POSTGRES": postgres_server.url("").rstrip("/"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"migrated by the newer code to {head()}\n" in ended.stdout, ended.stdout
    passed = re.search(r"(\d+) passed", ended.stdout)
    assert passed is not None
    assert int(passed[1]) > 300 // share
    assert "skipped" not in ended.stdout
