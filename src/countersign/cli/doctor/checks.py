"""The checks of `countersign doctor`: settings, keys, database and every peer, each with a result."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from countersign.cli.doctor.certificate_checks import check_certificates
from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.cli.doctor.database_checks import check_database
from countersign.cli.doctor.dns_checks import check_mail_domains
from countersign.cli.doctor.key_checks import check_keys
from countersign.cli.doctor.provider_checks import check_their_clocks, look_at_mailbox, look_at_providers
from countersign.config import Settings
from countersign.domain.delivery.route import format_provider
from countersign.domain.shared.contact import Channel
from countersign.store.engine.connect import sqlite_path

LEAST_FREE: Final = 100 * 1024**2
LITTLE_FREE: Final = 1024**3
LONG_RETENTION_DAYS: Final = 180

_LOOPBACK: Final = ("http://localhost", "http://127.0.0.1", "http://[::1]")


async def check(settings: Settings, resolver: str = "") -> list[CheckResult]:
    """Run all checks. Nothing is sent, and nothing is changed but one value that shows whether the database takes writes.

    `resolver` is the address of a DNS server, "" for the system's. In development DNS is asked only where one is given.
    """
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
    seen = await look_at_providers(settings.providers)
    if settings.bounces is not None:
        seen["bounces"] = await look_at_mailbox(settings.bounces)
    found += await check_database(settings, keyring)
    found += _disk(settings)
    found += [
        CheckResult(
            name if name == "bounces" else f"provider {name}",
            CheckState.UNSAFE if one.remedy else CheckState.FINE,
            one.seen,
            one.remedy,
        )
        for name, one in seen.items()
    ]
    found += check_their_clocks(seen)
    found += await check_certificates(settings, seen)
    if resolver or not settings.development:
        found += await check_mail_domains(settings, resolver)
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
