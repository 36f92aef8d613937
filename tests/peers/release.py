"""The release before this one, unpacked from the history; and one after it, made of this one and a revision more."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent.parent
BEFORE: Final = "42f55a62b27de278193b4ad0ed090b470b472f59"
"""What stands for the older release until one is tagged: the last commit before modules were grouped by subject."""

SERVED_BEFORE: Final = "9de122516014456914a2602723a91de538dd0d27"
"""What stands for it where it must serve: the last commit with the same schema, which serves by what is installed today."""

NEXT_REVISION: Final = "9001"
_NEXT: Final = '''"""Adds a column that nobody reads, fills it, and makes an index of it."""

from __future__ import annotations

from typing import Final

from alembic import op

from countersign.store.migrations.ddl import add_column, create_index, integer

revision: Final = "{revision}"
down_revision: Final = "{newest}"
branch_labels: Final = None
depends_on: Final = None

in_batches: Final = {{"UPDATE challenges SET next = begun_at": "next IS NULL"}}


def upgrade() -> None:
    """Do it."""
    add_column("challenges", integer("next", null=True))
    op.execute("UPDATE challenges SET next = begun_at")
    create_index("challenges", "next")
'''


def unpack_older(place: Path, stand_in: str = BEFORE) -> Path:
    """Return the tree of the newest release before this one, as the history has it, in a folder that exists.

    `stand_in` is the commit that counts until a release is tagged.
    """
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    tag = _git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^")
    release = tag.stdout.decode().strip() if tag.returncode == 0 else stand_in
    packed = _git("archive", release, "src", "tests", "pyproject.toml")
    if packed.returncode:
        pytest.skip(
            f"the history of this clone does not reach back to {release} (a shallow clone has a part of it alone)"
        )
    subprocess.run(["tar", "-x"], input=packed.stdout, cwd=place, check=True)
    return place


def make_next(place: Path, newest: str) -> Path:
    """Return the tree of a release after this one, in a folder that exists: it adds a column, fills it, and makes an index."""
    shutil.copytree(ROOT / "src", place / "src", ignore=shutil.ignore_patterns("__pycache__"))
    file = place / "src/countersign/store/migrations/versions" / f"{NEXT_REVISION}_next.py"
    file.write_text(_NEXT.format(revision=NEXT_REVISION, newest=newest))
    return place


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
