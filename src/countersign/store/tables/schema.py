"""Declares the tables as statements see them; `migrations/` creates them, and a test compares the two.

The names of tables and columns are those of the first release, because they are stored. Where the code has another word today, the
docstring of the table gives both.
"""

from __future__ import annotations

from typing import Final

from countersign.store.engine.database import Table
from countersign.store.tables.event_schema import EVENT_TABLES

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
"""Challenges; `twin` is the deduplication key, `standing` the key of the failed attempts of the contact, `terms` JSON."""

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
        ("application", "text"),
        ("lapses", "int"),
        ("queue", "text"),
    ),
)
"""Messages to send, for the challenge or notice `owner`; `leg` is the position in the route, a row with `due_at` is in the queue.

`queue` is the current provider, the channel and the application, by which workers share what is due; see `tables/queue.py`.
"""

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
"""What became of each attempt to deliver a message."""

PACES: Final = Table(
    "paces",
    key=(("provider", "text"), ("channel", "text"), ("country", "text")),
    moving=(("figures", "text"), ("changed_at", "int")),
)
"""Statistics of each provider by channel and country, as JSON."""

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
"""Circuit breakers of providers."""

TRAFFIC: Final = Table(
    "traffic",
    key=(("application", "text"), ("place", "text"), ("at", "int")),
    moving=(("sent", "int"), ("spent", "int"), ("converted", "int"), ("notices", "int")),
)
"""Counts of phone messages by place and time, by which SMS pumping is judged: codes (`sent`), and notices apart.

The row at time 0 of the place "" is the one that transactions lock before they judge.
"""

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
"""Places that were blocked for a while, each with the reason."""

LIMITS: Final = Table("limits", key=(("key", "bytes"),), moving=(("tat", "int"),))
"""Rate limits by keyed hash; `tat` is the theoretical arrival time of GCRA (ms)."""

STANDINGS: Final = Table(
    "standings",
    key=(("key", "bytes"),),
    moving=(
        ("in_a_row", "int"),
        ("day_began_at", "int"),
        ("in_day", "int"),
        ("session_in_a_row", "int"),
        ("session_in_day", "int"),
        ("trusted_in_a_row", "int"),
    ),
)
"""Failed attempts of contacts, and consecutive wrong guesses at authenticators (`guesses.py`), by keyed hash."""

ANSWERS: Final = Table(
    "answers",
    key=(("application", "text"), ("key", "bytes")),
    moving=(("request", "bytes"), ("outcome", "bytes"), ("expires_at", "int")),
)
"""Answers to idempotent requests, by application and the keyed hash of the idempotency key."""

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
        ("jwks", "text"),
        ("requires_pushed", "int"),
        ("suspended_at", "int"),
    ),
)
"""Applications; `purposes`, `redirects` and `sign_outs` are JSON."""

FACTS: Final = Table("facts", key=(("name", "text"),), moving=(("value", "bytes"),))
"""Metadata: single values about this database, such as the fingerprint of its keys."""

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
        ("recovery", "text"),
        ("epoch", "int"),
        ("timezone", "text"),
        ("deletion_at", "int"),
        ("deletion", "text"),
    ),
)
"""Accounts; `name` and `password` are sealed, `recovery` and `deletion` are JSON."""

CONTACTS: Final = Table(
    "contacts",
    key=(("account", "text"), ("id", "text")),
    fixed=(("added_at", "int"), ("kind", "text"), ("blind", "bytes"), ("address", "bytes"), ("masked", "text")),
    moving=(("proved_at", "int"), ("is_primary", "int"), ("settled_at", "int"), ("ended_at", "int")),
)
"""Contacts of accounts; `blind` is the blind index of the sealed `address`."""

IDENTIFIERS: Final = Table("identifiers", key=(("blind", "bytes"),), moving=(("account", "text"), ("contact", "text")))
"""Contacts that people sign in with, by blind index; each signs in to one account."""

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
"""Browsers of each account; `mark` is the keyed hash of the secret in the browser's cookie."""

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
        ("epoch", "int"),
    ),
)
"""Sessions, by the keyed hash of their secret; `device` is the mark of the device, `proofs` is JSON."""

VISITS: Final = Table("visits", key=(("mark", "bytes"),), moving=(("data", "bytes"), ("expires_at", "int")))
"""Login flows, by the keyed hash of their secret; `data` is sealed."""

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
        ("about", "bytes"),
    ),
    moving=(("held_until", "int"), ("gathered_by", "text")),
)
"""Notices to accounts; `recipient` and `about` are sealed, `facts` is JSON.

One with `held_until` waits to be gathered with others; `gathered_by` is the id of the notice that told of it.
"""

GRANTS: Final = Table(
    "grants",
    key=(("key", "bytes"),),
    fixed=(("data", "bytes"), ("created_at", "int")),
    moving=(("expires_at", "int"), ("used_at", "int")),
)
"""Authorization codes by keyed hash; `data` is what each was issued for (sealed)."""

PUSHED_REQUESTS: Final = Table(
    "pushed_requests", key=(("key", "bytes"),), moving=(("data", "bytes"), ("expires_at", "int"))
)
"""Pushed authorization requests by the keyed hash of their reference; `data` is sealed."""

SINGLE_USES: Final = Table("single_uses", key=(("key", "bytes"),), moving=(("expires_at", "int"),))
"""What may be used once, by keyed hash, until it could not be used any more."""

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
"""Access tokens by keyed hash; `session` is the id of the session that each ends with."""

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
        ("epoch", "int"),
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
"""Changes of accounts; `blind` is the blind index of a new contact.

`data` is what the change needs (sealed), `effect` what it did (JSON).
"""

FACTORS: Final = Table(
    "factors",
    key=(("account", "text"), ("id", "text")),
    fixed=(("kind", "text"), ("added_at", "int"), ("mark", "bytes"), ("secret", "bytes")),
    moving=(("name", "bytes"), ("used", "int"), ("last_used_at", "int"), ("ended_at", "int"), ("unkept", "int")),
)
"""Authenticators: authenticator apps, passkeys and recovery codes.

`mark` is what one is found by; nothing up to `used` is accepted again. `unkept` is 1 of a recovery code until its user has kept it.
"""

CREDENTIALS: Final = Table(
    "credentials",
    key=(("key", "bytes"),),
    fixed=(("account", "text"), ("id", "text"), ("created_at", "int"), ("name", "bytes"), ("scopes", "text")),
    moving=(("expires_at", "int"), ("last_used_at", "int"), ("last_used_from", "text"), ("ended_at", "int")),
)
"""Integration codes by keyed hash; `scopes` is JSON."""

ACTIVITY: Final = Table(
    "activity",
    key=(("account", "text"), ("id", "text")),
    fixed=(("at", "int"), ("kind", "text"), ("facts", "text"), ("recipient", "bytes")),
)
"""What happened to an account, for its owner to read; `recipient` is the blind index of the contact that a message was sent to.

A message that was sent before there was an account has none: the account of whoever proves the contact takes it over.
"""

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
"""Addresses, by keyed hash, that nothing is sent to: until when, and why."""

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
    *EVENT_TABLES,
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
    PUSHED_REQUESTS,
    SINGLE_USES,
    TOKENS,
    CHANGES,
    FACTORS,
    CREDENTIALS,
    ACTIVITY,
    SUPPRESSIONS,
)
