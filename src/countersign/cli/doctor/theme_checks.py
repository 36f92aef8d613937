"""The check of `countersign doctor` for themes: each application that one names is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.store.tables import applications

if TYPE_CHECKING:
    from countersign.domain.look.theme import Themes
    from countersign.store.engine.database import Database


async def check_themes(themes: Themes, database: Database) -> list[CheckResult]:
    """Return what is to be said of each theme that is for applications."""
    lacking: dict[str, list[str]] = {theme.name: [] for theme in themes.by_application.values()}
    for application, theme in themes.by_application.items():
        found = await database.read(applications.find, application)
        if found is None or found.removed_at is not None:
            lacking[theme.name].append(application)
    return [
        CheckResult(
            f"themes.{name}",
            CheckState.ADVICE,
            f"It names applications that do not exist: {', '.join(ids)}.",
            "Correct the ids in its applications: countersign apps list",
        )
        if ids
        else CheckResult(f"themes.{name}", CheckState.FINE, "each application that it names exists")
        for name, ids in lacking.items()
    ]
