"""The tables as the statements see them; `migrations/` makes them, and a test holds the two together."""

from __future__ import annotations

from typing import Final

from countersign.store.database import Table

CHALLENGES: Final = Table(
    "challenges",
    key=(("id", "text"),),
    fixed=(
        ("application", "text"),
        ("twin", "bytes"),
        ("standing", "bytes"),
        ("terms", "bytes"),
        ("begun_at", "int"),
        ("expires_at", "int"),
    ),
    moving=(
        ("state", "text"),
        ("channel", "text"),
        ("guesses", "int"),
        ("sends", "int"),
        ("round", "int"),
        ("sent_at", "int"),
        ("ended_at", "int"),
    ),
)

DELIVERIES: Final = Table(
    "deliveries",
    key=(("owner", "text"), ("number", "int")),
    fixed=(("channel", "text"), ("route", "text"), ("created_at", "int"), ("round", "int")),
    moving=(
        ("state", "text"),
        ("leg", "int"),
        ("tries", "int"),
        ("attempts", "int"),
        ("due_at", "int"),
        ("reason", "text"),
        ("changed_at", "int"),
    ),
)

ATTEMPTS: Final = Table(
    "attempts",
    key=(("owner", "text"), ("number", "int"), ("attempt", "int")),
    fixed=(
        ("provider", "text"),
        ("started_at", "int"),
        ("ended_at", "int"),
        ("outcome", "text"),
        ("reason", "text"),
        ("provider_message_id", "text"),
    ),
)

LIMITS: Final = Table("limits", key=(("key", "bytes"),), moving=(("tat", "int"),))

STANDINGS: Final = Table(
    "standings",
    key=(("key", "bytes"),),
    moving=(("in_a_row", "int"), ("day_began_at", "int"), ("in_day", "int")),
)

ANSWERS: Final = Table(
    "answers",
    key=(("application", "text"), ("key", "bytes")),
    moving=(("request", "bytes"), ("outcome", "bytes"), ("expires_at", "int")),
)

EVENTS: Final = Table(
    "events",
    key=(("writer", "text"), ("seq", "int")),
    fixed=(("at", "int"), ("count", "int"), ("page", "text"), ("hash", "bytes")),
)
"""One row a transaction: `page` is the JSON of all events that became durable together, `count` how many they are."""

WRITERS: Final = Table(
    "writers", key=(("writer", "text"),), moving=(("seq", "int"), ("hash", "bytes"), ("mac", "bytes"))
)

CHECKPOINTS: Final = Table("checkpoints", key=(("number", "int"),), fixed=(("at", "int"), ("signed", "text")))

APPLICATIONS: Final = Table(
    "applications",
    key=(("id", "text"),),
    fixed=(("created_at", "int"),),
    moving=(
        ("name", "text"),
        ("mode", "text"),
        ("site", "text"),
        ("host", "text"),
        ("purposes", "text"),
        ("key_hash", "bytes"),
        ("old_key_hash", "bytes"),
        ("old_until", "int"),
        ("removed_at", "int"),
    ),
)

FACTS: Final = Table("facts", key=(("name", "text"),), moving=(("value", "bytes"),))
"""Single facts about this database, such as the fingerprint of the keys it was made with."""

ALL: Final = (
    CHALLENGES,
    DELIVERIES,
    ATTEMPTS,
    LIMITS,
    STANDINGS,
    ANSWERS,
    EVENTS,
    WRITERS,
    CHECKPOINTS,
    APPLICATIONS,
    FACTS,
)
