"""Creates the first tables: challenges and their deliveries, rate limits, idempotent answers, the event log, applications."""

from __future__ import annotations

from typing import Final

from countersign.store.migrations.ddl import binary, create_index, create_table, integer, text

revision: Final = "0001"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None


def upgrade() -> None:
    """Create the tables and their indexes."""
    _challenges()
    _deliveries()
    _counters()
    _answers()
    _events()
    _applications()


def _challenges() -> None:
    create_table(
        "challenges",
        text("id"),
        text("application"),
        binary("twin"),
        binary("standing"),
        binary("terms"),
        integer("begun_at"),
        integer("expires_at"),
        text("state"),
        text("channel"),
        integer("guesses"),
        integer("sends"),
        integer("round"),
        integer("sent_at"),
        integer("ended_at", null=True),
        key=("id",),
        often_updated=True,
    )
    create_index("challenges", "twin", where="state = 'pending'", unique=True)
    # Its condition names another column than the index above: while the table is empty, the planner could not tell the two apart.
    create_index("challenges", "expires_at", where="ended_at IS NULL")


def _deliveries() -> None:
    create_table(
        "deliveries",
        text("owner"),
        integer("number"),
        text("channel"),
        text("route"),
        integer("created_at"),
        integer("round"),
        text("state"),
        integer("leg"),
        integer("tries"),
        integer("attempts"),
        integer("due_at", null=True),
        text("reason", null=True),
        integer("changed_at"),
        key=("owner", "number"),
        often_updated=True,
    )
    create_index("deliveries", "due_at", where="due_at IS NOT NULL")
    create_table(
        "attempts",
        text("owner"),
        integer("number"),
        integer("attempt"),
        text("provider"),
        integer("started_at"),
        integer("ended_at", null=True),
        text("outcome"),
        text("reason", null=True),
        text("provider_message_id"),
        key=("owner", "number", "attempt"),
    )
    create_index("attempts", "provider", "provider_message_id", where="provider_message_id <> ''")


def _counters() -> None:
    create_table("limits", binary("key"), integer("tat"), key=("key",), often_updated=True, in_key_order=True)
    create_table(
        "standings",
        binary("key"),
        integer("in_a_row"),
        integer("day_began_at"),
        integer("in_day"),
        key=("key",),
        often_updated=True,
        in_key_order=True,
    )


def _answers() -> None:
    create_table(
        "answers",
        text("application"),
        binary("key"),
        binary("request"),
        binary("outcome"),
        integer("expires_at"),
        key=("application", "key"),
    )
    create_index("answers", "expires_at")


def _events() -> None:
    create_table(
        "events",
        text("writer"),
        integer("seq"),
        integer("at"),
        integer("count"),
        text("page"),
        binary("hash"),
        key=("writer", "seq"),
    )
    create_index("events", "at")
    create_table(
        "writers", text("writer"), integer("seq"), binary("hash"), binary("mac"), key=("writer",), often_updated=True
    )
    create_table("checkpoints", integer("number"), integer("at"), text("signed"), key=("number",))


def _applications() -> None:
    create_table(
        "applications",
        text("id"),
        integer("created_at"),
        text("name"),
        text("mode"),
        text("site"),
        text("host"),
        text("purposes"),
        binary("key_hash"),
        binary("old_key_hash", null=True),
        integer("old_until", null=True),
        integer("removed_at", null=True),
        key=("id",),
    )
    create_index("applications", "name", where="removed_at IS NULL", unique=True)
    create_index("applications", "key_hash", unique=True)
    create_index("applications", "old_key_hash", where="old_key_hash IS NOT NULL", unique=True)
    create_table("facts", text("name"), binary("value"), key=("name",))
