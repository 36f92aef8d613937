"""The tables as the statements see them; `migrations/` makes them, and a test holds the two together."""

from __future__ import annotations

from typing import Final

from countersign.store.engine.database import Table

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
    fixed=(
        ("channel", "text"),
        ("route", "text"),
        ("created_at", "int"),
        ("round", "int"),
        ("country", "text"),
        ("prefix", "text"),
    ),
    moving=(
        ("state", "text"),
        ("leg", "int"),
        ("tries", "int"),
        ("attempts", "int"),
        ("due_at", "int"),
        ("reason", "text"),
        ("changed_at", "int"),
        ("settled_at", "int"),
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

PACES: Final = Table(
    "paces",
    key=(("provider", "text"), ("channel", "text"), ("country", "text")),
    moving=(("figures", "text"), ("changed_at", "int")),
)
"""How each provider does in each country, as JSON."""

BREAKERS: Final = Table(
    "breakers",
    key=(("provider", "text"),),
    moving=(
        ("failures", "int"),
        ("trips", "int"),
        ("until", "int"),
        ("probing", "int"),
        ("reason", "text"),
        ("changed_at", "int"),
    ),
)

TRAFFIC: Final = Table(
    "traffic",
    key=(("application", "text"), ("place", "text"), ("at", "int")),
    moving=(("sent", "int"), ("spent", "int"), ("converted", "int")),
)
"""Phone messages by place and time, as pumping is judged by; the row at 0 of the place "" is what those who judge wait for."""

BLOCKS: Final = Table(
    "blocks",
    key=(("application", "text"), ("place", "text"), ("since", "int")),
    fixed=(
        ("scope", "text"),
        ("prefix", "text"),
        ("country", "text"),
        ("rule", "text"),
        ("figures", "text"),
        ("times", "int"),
        ("shadow", "int"),
    ),
    moving=(("until", "int"), ("lifted_at", "int")),
)
"""Places that no messages went to for a while, each with why."""

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
        ("redirects", "text"),
        ("sign_outs", "text"),
        ("app_hash", "text"),
    ),
)

FACTS: Final = Table("facts", key=(("name", "text"),), moving=(("value", "bytes"),))
"""Single facts about this database, such as the fingerprint of the keys it was made with."""

ACCOUNTS: Final = Table(
    "accounts",
    key=(("id", "text"),),
    fixed=(("created_at", "int"),),
    moving=(
        ("name", "bytes"),
        ("locale", "text"),
        ("password", "bytes"),
        ("password_at", "int"),
        ("disabled_at", "int"),
        ("locked_at", "int"),
        ("reduced_until", "int"),
        ("recovered_by", "text"),
        ("checked_at", "int"),
    ),
)

CONTACTS: Final = Table(
    "contacts",
    key=(("account", "text"), ("id", "text")),
    fixed=(("added_at", "int"), ("kind", "text"), ("blind", "bytes"), ("address", "bytes"), ("masked", "text")),
    moving=(("proved_at", "int"), ("is_primary", "int"), ("settled_at", "int"), ("ended_at", "int")),
)

IDENTIFIERS: Final = Table("identifiers", key=(("blind", "bytes"),), moving=(("account", "text"), ("contact", "text")))
"""By which contact a person signs in: one account for each."""

DEVICES: Final = Table(
    "devices",
    key=(("account", "text"), ("mark", "bytes")),
    fixed=(("id", "text"), ("created_at", "int")),
    moving=(
        ("user_agent", "text"),
        ("last_seen_at", "int"),
        ("ip", "text"),
        ("place", "text"),
        ("trusted_at", "int"),
        ("ended_at", "int"),
    ),
)

SESSIONS: Final = Table(
    "sessions",
    key=(("mark", "bytes"),),
    fixed=(("id", "text"), ("account", "text"), ("device", "bytes"), ("created_at", "int")),
    moving=(
        ("user_agent", "text"),
        ("ip", "text"),
        ("place", "text"),
        ("proofs", "text"),
        ("last_seen_at", "int"),
        ("expires_at", "int"),
    ),
)

VISITS: Final = Table("visits", key=(("mark", "bytes"),), moving=(("data", "bytes"), ("expires_at", "int")))

NOTICES: Final = Table(
    "notices",
    key=(("id", "text"),),
    fixed=(
        ("account", "text"),
        ("application", "text"),
        ("kind", "text"),
        ("recipient", "bytes"),
        ("recipient_kind", "text"),
        ("masked", "text"),
        ("locale", "text"),
        ("facts", "text"),
        ("created_at", "int"),
        ("expires_at", "int"),
    ),
)

GRANTS: Final = Table(
    "grants",
    key=(("key", "bytes"),),
    fixed=(("data", "bytes"), ("created_at", "int")),
    moving=(("expires_at", "int"), ("used_at", "int")),
)
"""Authorization codes by their keyed hash, with what each was given for (sealed)."""

TOKENS: Final = Table(
    "tokens",
    key=(("key", "bytes"),),
    fixed=(
        ("grant_key", "bytes"),
        ("application", "text"),
        ("account", "text"),
        ("session", "text"),
        ("scope", "text"),
        ("created_at", "int"),
    ),
    moving=(("expires_at", "int"), ("ended_at", "int")),
)
"""Access tokens by their keyed hash; `session` is the id of the session that each dies with."""

CHANGES: Final = Table(
    "changes",
    key=(("account", "text"), ("id", "text")),
    fixed=(
        ("kind", "text"),
        ("asked_at", "int"),
        ("session", "text"),
        ("blind", "bytes"),
        ("about", "text"),
        ("data", "bytes"),
        ("user_agent", "text"),
        ("place", "text"),
    ),
    moving=(
        ("state", "text"),
        ("until", "int"),
        ("applied_at", "int"),
        ("ended_at", "int"),
        ("remind_at", "int"),
        ("effect", "text"),
    ),
)
"""What an account is changed in: `blind` is what a new contact is found by, `data` what the change needs (sealed), `effect` what it did."""

FACTORS: Final = Table(
    "factors",
    key=(("account", "text"), ("id", "text")),
    fixed=(("kind", "text"), ("added_at", "int"), ("mark", "bytes"), ("secret", "bytes")),
    moving=(("name", "bytes"), ("used", "int"), ("last_used_at", "int"), ("ended_at", "int")),
)
"""Authenticator apps, passkeys and recovery codes; `mark` is what one is found by, `used` what may not come again."""

CREDENTIALS: Final = Table(
    "credentials",
    key=(("key", "bytes"),),
    fixed=(("account", "text"), ("id", "text"), ("created_at", "int"), ("name", "bytes"), ("scopes", "text")),
    moving=(("expires_at", "int"), ("last_used_at", "int"), ("last_used_from", "text"), ("ended_at", "int")),
)
"""Integration codes by their keyed hash."""

ACTIVITY: Final = Table(
    "activity",
    key=(("account", "text"), ("id", "text")),
    fixed=(("at", "int"), ("kind", "text"), ("facts", "text")),
)
"""What happened to an account, for its person to read."""

SUPPRESSIONS: Final = Table(
    "suppressions",
    key=(("key", "bytes"),),
    moving=(
        ("masked", "text"),
        ("reason", "text"),
        ("provider", "text"),
        ("at", "int"),
        ("until", "int"),
        ("lifted_at", "int"),
    ),
)
"""Addresses by their keyed hash that nothing is sent to, until when and why."""

ALL_TABLES: Final = (
    CHALLENGES,
    DELIVERIES,
    ATTEMPTS,
    PACES,
    BREAKERS,
    TRAFFIC,
    BLOCKS,
    LIMITS,
    STANDINGS,
    ANSWERS,
    EVENTS,
    WRITERS,
    CHECKPOINTS,
    APPLICATIONS,
    FACTS,
    ACCOUNTS,
    CONTACTS,
    IDENTIFIERS,
    DEVICES,
    SESSIONS,
    VISITS,
    NOTICES,
    GRANTS,
    TOKENS,
    CHANGES,
    FACTORS,
    CREDENTIALS,
    ACTIVITY,
    SUPPRESSIONS,
)
