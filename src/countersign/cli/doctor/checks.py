"""The checks of `countersign doctor`: settings, keys, database and every peer, each with a result."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.cli.doctor.key_checks import check_keys, check_sealing
from countersign.cli.doctor.provider_checks import check_providers
from countersign.cli.doctor.theme_checks import check_themes
from countersign.clock import system_clock
from countersign.config import Settings
from countersign.config.agreement import agreement_of, differing_sections
from countersign.domain.delivery.route import format_provider
from countersign.domain.shared.contact import Channel
from countersign.errors import CountersignError
from countersign.flows.maintenance.environment import environment_fault
from countersign.keys import Keyring
from countersign.store.engine.connect import open_database, sqlite_path
from countersign.store.engine.database import Database, Sql
from countersign.store.tables import deliveries, metadata
from countersign.wiring import foreign_keys

SKEW_TO_LOOK_AT: Final = 2_000
SKEW_UNSAFE: Final = 30_000
"""Milliseconds. Half a minute is a twentieth of a code's lifetime, and the greatest tolerable error for the age of a signature."""

LEAST_FREE: Final = 100 * 1024**2
LITTLE_FREE: Final = 1024**3
LONG_RETENTION_DAYS: Final = 180
LATE: Final = 60_000
"""Milliseconds. A message that is due for longer without being sent means that no worker delivers."""

_LOOPBACK: Final = ("http://localhost", "http://127.0.0.1", "http://[::1]")


async def check(settings: Settings) -> list[CheckResult]:
    """Run all checks. Nothing is changed."""
    found = [
        *_environment(settings),
        *_public_url(settings),
        *_proxies(settings),
        *_upkeep(settings),
        *_routes(settings),
        *_without_receipts(settings),
    ]
    keys, keyring = check_keys(settings)
    found += keys
    found += await _database(settings, keyring)
    found += _disk(settings)
    found += [
        CheckResult(f"provider {name}", CheckState.FINE if remedy == "" else CheckState.UNSAFE, what, remedy)
        for name, what, remedy in await check_providers(settings.providers)
    ]
    return found


def _environment(settings: Settings) -> list[CheckResult]:
    if settings.development:
        return [
            CheckResult(
                "environment",
                CheckState.ADVICE,
                "This is development: messages go to the inbox, and anybody who can reach it can read them.",
                "On a machine that others can reach, set COUNTERSIGN_ENVIRONMENT=production.",
            )
        ]
    found = [CheckResult("environment", CheckState.FINE, "production")]
    if settings.log.level == "debug":
        found.append(
            CheckResult(
                "log.level",
                CheckState.ADVICE,
                "Everything is logged.",
                "Set COUNTERSIGN_LOG_LEVEL=info when you are done.",
            )
        )
    return found


def _public_url(settings: Settings) -> list[CheckResult]:
    url = settings.public_url
    if url.startswith("https://") or (settings.development and url.startswith(_LOOPBACK)):
        return [CheckResult("public_url", CheckState.FINE, url)]
    return [
        CheckResult(
            "public_url",
            CheckState.UNSAFE,
            f"{url} is not https: codes and keys travel unencrypted, and browsers drop secure cookies.",
            "Put TLS in front (a reverse proxy), and set COUNTERSIGN_PUBLIC_URL to the https address.",
        )
    ]


def _proxies(settings: Settings) -> list[CheckResult]:
    networks = settings.trusted_proxies
    if any(network.prefixlen == 0 for network in networks):
        return [
            CheckResult(
                "trusted_proxies",
                CheckState.UNSAFE,
                "Every address counts as a trusted proxy: any caller can claim any address, and limits by address do not work.",
                "Set COUNTERSIGN_TRUSTED_PROXIES to the networks of your proxies only.",
            )
        ]
    if not networks and settings.public_url.startswith("https://"):
        return [
            CheckResult(
                "trusted_proxies",
                CheckState.UNSAFE,
                "None is set, but a proxy in front ends TLS. Everybody seems to come from the proxy's address, so one stranger can use up"
                " the limits of all.",
                "Set COUNTERSIGN_TRUSTED_PROXIES to the proxy's network, and let it send X-Forwarded-For.",
            )
        ]
    return [
        CheckResult("trusted_proxies", CheckState.FINE, ", ".join(map(str, networks)) or "none, and none is needed")
    ]


def _upkeep(settings: Settings) -> list[CheckResult]:
    found: list[CheckResult] = []
    days = settings.retention_days
    if days > LONG_RETENTION_DAYS:
        found.append(
            CheckResult(
                "retention_days",
                CheckState.ADVICE,
                f"Addresses are kept for {days} days.",
                "Set COUNTERSIGN_RETENTION_DAYS to what you need.",
            )
        )
    else:
        found.append(CheckResult("retention_days", CheckState.FINE, f"{days} days"))
    if settings.sqlite and settings.workers > 1:
        found.append(
            CheckResult(
                "workers",
                CheckState.UNSAFE,
                "Several processes cannot serve one SQLite file.",
                "Set COUNTERSIGN_WORKERS=1, or use PostgreSQL.",
            )
        )
    if settings.metrics.port is not None and settings.bind not in {"127.0.0.1", "::1"}:
        found.append(
            CheckResult(
                "metrics.port",
                CheckState.ADVICE,
                f"Anyone who reaches {settings.bind} port {settings.metrics.port} can read the metrics.",
                "Let only your scraper through, or use COUNTERSIGN_METRICS_TOKEN instead.",
            )
        )
    return found


def _routes(settings: Settings) -> list[CheckResult]:
    found: list[CheckResult] = []
    for channel in Channel:
        route = settings.routes.get(channel)
        if route:
            joint = ", by chance of weight " if route[0].weight else ", then "
            found.append(
                CheckResult(f"route {channel.value}", CheckState.FINE, joint.join(map(format_provider, route)))
            )
        elif channel in {Channel.EMAIL, Channel.SMS}:
            found.append(
                CheckResult(
                    f"route {channel.value}",
                    CheckState.ADVICE,
                    f"No code can be sent by {channel.value}.",
                    f"Add a provider and name it in COUNTERSIGN_ROUTES_{channel.value.upper()}.",
                )
            )
    if not settings.routes:
        found.append(
            CheckResult(
                "routes",
                CheckState.UNSAFE,
                "No message can be sent: no channel has a route.",
                "Add a provider and a route.",
            )
        )
    return found


def _without_receipts(settings: Settings) -> list[CheckResult]:
    """Name providers of the apprise library that stand before others in a route: they give no receipts, so only a refusal moves on."""
    from countersign.providers.registry import find_kind

    routes = [(f"route {channel.value}", route) for channel, route in settings.routes.items()]
    routes += [(f"detour {one.prefix}", one.providers) for detours in settings.detours.values() for one in detours]
    return [
        CheckResult(
            f"{where}: {provider.name}",
            CheckState.ADVICE,
            "It gives no receipts and no reasons, and other providers follow it. They are used when it refuses a message, never when it loses one.",
            f"Put {provider.name} last in its route.",
        )
        for where, route in routes
        for provider in (route if route and route[0].weight else route[:-1])
        if len(route) > 1
        and provider.name in settings.providers
        and not find_kind(settings.providers[provider.name].kind).has_receipts
    ]


async def _database(settings: Settings, keyring: Keyring | None) -> list[CheckResult]:
    path = sqlite_path(settings.database_url)
    if path is not None and not path.exists():
        how = "It is created at the first start." if settings.development else "Create it: countersign migrate"
        return [
            CheckResult(
                "database",
                CheckState.ADVICE if settings.development else CheckState.UNSAFE,
                f"{path} does not exist yet.",
                how,
            )
        ]
    from countersign.store.engine.migrate import pending

    try:
        missing = await asyncio.to_thread(pending, settings.database_url)
    except CountersignError as error:
        return [CheckResult("database", CheckState.UNSAFE, str(error), "Countersign cannot serve without it.")]
    if missing:
        return [
            CheckResult(
                "database",
                CheckState.UNSAFE,
                f"Its schema is behind by {', '.join(missing)}.",
                "Run: countersign migrate",
            )
        ]
    database = open_database(settings.database_url, ledger_connections=1, pool=1)
    try:
        await database.open()
    except CountersignError as error:
        return [CheckResult("database", CheckState.UNSAFE, str(error), "Countersign cannot serve without it.")]
    try:
        return [
            *await _reachable(database),
            *await _environment_of(settings, database),
            *await _agreement(settings, database),
            *await check_themes(settings.themes, database),
            *(await _fingerprint(settings, database, keyring) if keyring is not None else []),
            *(await check_sealing(database, keyring) if keyring is not None else []),
            *(await _clock(database) if path is None else []),
            *await _backlog(database),
        ]
    except CountersignError as error:
        return [CheckResult("database", CheckState.UNSAFE, str(error), "Look at its log.")]
    finally:
        await database.close()


async def _reachable(database: Database) -> list[CheckResult]:
    began = time.perf_counter()
    revision = await database.read(metadata.find_revision)
    newer = ", newer than this program, which can live with it" if (revision or "") > metadata.newest_revision() else ""
    return [
        CheckResult(
            "database",
            CheckState.FINE,
            f"revision {revision}{newer}, answers in {(time.perf_counter() - began) * 1_000:.1f} ms",
        )
    ]


async def _environment_of(settings: Settings, database: Database) -> list[CheckResult]:
    fault = await environment_fault(database, development=settings.development)
    return [CheckResult("database", CheckState.UNSAFE, fault, "Countersign does not start with it.")] if fault else []


async def _agreement(settings: Settings, database: Database) -> list[CheckResult]:
    """Compare the settings that all programs must share with those of the program that started last."""
    stored = await database.read(metadata.find, metadata.SETTINGS)
    differing = differing_sections(agreement_of(settings), stored)
    if stored is None or not differing:
        return []
    return [
        CheckResult(
            "settings",
            CheckState.ADVICE,
            f"The program that started last has other settings than these: {', '.join(differing)}.",
            "Give all programs of this database the same settings, then send each SIGHUP.",
        )
    ]


async def _fingerprint(settings: Settings, database: Database, keyring: Keyring) -> list[CheckResult]:
    known = await database.read(metadata.find, metadata.KEYS)
    if known is not None and not keyring.belongs_to(known):
        return [
            CheckResult(
                "fingerprint",
                CheckState.UNSAFE,
                str(foreign_keys(settings)),
                "Use the key file that belongs to this database.",
            )
        ]
    return [
        CheckResult(
            "fingerprint",
            CheckState.FINE,
            "the key file belongs to the database" if known else "the database has no key file yet",
        )
    ]


async def _clock(database: Database) -> list[CheckResult]:
    before = system_clock()
    theirs = await database.read(_now)
    skew = abs(theirs - (before + system_clock()) // 2)
    if skew > SKEW_TO_LOOK_AT:
        state = CheckState.UNSAFE if skew > SKEW_UNSAFE else CheckState.ADVICE
        return [
            CheckResult(
                "clock",
                state,
                f"It differs from the database's clock by {skew / 1_000:.1f} s.",
                "Synchronise both machines by NTP.",
            )
        ]
    return [CheckResult("clock", CheckState.FINE, f"within {skew} ms of the database's")]


async def _now() -> int:
    rows = await Sql("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")
    now: int = rows[0][0]
    return now


async def _backlog(database: Database) -> list[CheckResult]:
    due, oldest = await database.read(deliveries.count_due, system_clock())
    if oldest > LATE:
        return [
            CheckResult(
                "deliveries",
                CheckState.ADVICE,
                f"{due} messages are due, the oldest for {oldest // 1_000} s.",
                "Check that `countersign serve` or `countersign work` runs, and what its log reports about providers.",
            )
        ]
    return [CheckResult("deliveries", CheckState.FINE, f"{due} due")]


def _disk(settings: Settings) -> list[CheckResult]:
    path = sqlite_path(settings.database_url)
    place = path.parent if path is not None else settings.home
    found = _private((settings.home, path) if path is not None else (settings.home,))
    if not place.exists():
        return found
    free = shutil.disk_usage(place).free
    shown = f"{free / 1024**3:.1f} GiB free at {place}"
    if free < LITTLE_FREE and path is not None:
        state = CheckState.UNSAFE if free < LEAST_FREE else CheckState.ADVICE
        return [
            *found,
            CheckResult("disk", state, f"{shown}: when it is full, every request gets a 503.", "Free some space."),
        ]
    return [*found, CheckResult("disk", CheckState.FINE, shown)]


def _private(paths: Sequence[Path]) -> list[CheckResult]:
    return [
        CheckResult("files", CheckState.ADVICE, f"{path} can be read by others.", f"Close it: chmod go-rwx {path}")
        for path in paths
        if path.exists() and path.stat().st_mode & 0o077
    ]
