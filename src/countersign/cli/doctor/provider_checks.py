"""Checks of providers: whether each is reachable, has a valid certificate and accepts our credentials. Nothing is sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from countersign.errors import DeliveryFailedError, SettingsError

if TYPE_CHECKING:
    from countersign.config.settings import ProviderSettings
    from countersign.providers.email.smtp import SmtpSettings
    from countersign.providers.http.api_settings import ApiSettings
    from countersign.providers.http.client import Endpoint
    from countersign.providers.smpp.provider import SmppSettings
    from countersign.providers.webhook import WebhookSettings

PATIENCE: Final = 10.0
"""Timeout for one peer in seconds."""


async def check_providers(providers: Mapping[str, ProviderSettings]) -> list[tuple[str, str, str]]:
    """Check all providers concurrently. Returns (name, what was seen, remedy or "") for each."""
    return list(await asyncio.gather(*(_check(name, settings) for name, settings in providers.items())))


async def _check(name: str, settings: ProviderSettings) -> tuple[str, str, str]:
    from countersign.providers.email.smtp import SmtpSettings
    from countersign.providers.smpp.provider import SmppSettings
    from countersign.providers.sms.apprise_gateways import AppriseSettings

    if isinstance(settings, AppriseSettings):
        return (
            name,
            f"{settings.scheme} through Apprise; only sending a message would show whether it can be reached",
            "",
        )
    try:
        async with asyncio.timeout(PATIENCE):
            if isinstance(settings, SmtpSettings):
                return name, *await _smtp(settings)
            if isinstance(settings, SmppSettings):
                return name, *await _smpp(settings)
            return name, *await _over_http(_endpoint(settings))
    except TimeoutError:
        return name, f"It did not answer within {PATIENCE:g} s.", "Check its address and any firewall in between."
    except SettingsError as error:
        return name, str(error), "Correct this setting."


async def _smtp(settings: SmtpSettings) -> tuple[str, str]:
    from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException

    from countersign.providers.http import tls

    where = f"{settings.host} port {settings.port}"
    smtp = SMTP(
        hostname=settings.host,
        port=settings.port,
        use_tls=settings.tls == "tls",
        start_tls=settings.tls == "starttls",
        tls_context=None if settings.tls == "none" else tls.context(settings.ca_file),
        username=settings.username or None,
        password=settings.password or None,
        timeout=PATIENCE,
    )
    try:
        await smtp.connect()
        await smtp.quit()
    except SMTPAuthenticationError:
        return f"{where} refuses our credentials.", "Check username and password."
    except ssl.SSLError:
        return f"{where}: its certificate is not valid.", "Check host, or set ca_file to its certificate authority."
    except (SMTPException, OSError) as error:
        if isinstance(error.__cause__, ssl.SSLError):
            return f"{where}: its certificate is not valid.", "Check host, or set ca_file to its certificate authority."
        return (
            f"{where} cannot be used ({type(error).__name__}).",
            "Check host, port and tls, and that the server offers what the settings ask for.",
        )
    finally:
        smtp.close()
    how = {"none": "in the clear", "tls": "over TLS", "starttls": "over STARTTLS"}[settings.tls]
    return f"{where} accepts us {how}{', signed in' if settings.username else ''}", ""


async def _smpp(settings: SmppSettings) -> tuple[str, str]:
    from countersign.providers.smpp.session import SessionFailure, connect
    from countersign.providers.smpp.status import TRY_LATER

    async def put_off(_: bytes) -> int:
        return TRY_LATER  # receipts belong to a process that can record them

    where = f"{settings.host} port {settings.port}"
    found = await connect(settings.door(), put_off)
    if isinstance(found, SessionFailure):
        return f"{where}: {found.text}", "Check host, port, tls, system_id, password and how many sessions are allowed."
    await found.close()
    return f"{where} accepts us {'over TLS' if settings.tls == 'tls' else 'without TLS'}, bound", ""


def _endpoint(settings: WebhookSettings | ApiSettings) -> Endpoint:
    from countersign.providers.webhook import WebhookSettings

    return settings.endpoint if isinstance(settings, WebhookSettings) else settings.place()


async def _over_http(settings: Endpoint) -> tuple[str, str]:
    from countersign.providers.http import tls
    from countersign.providers.http.ssrf_guard import addresses

    parts = urlsplit(settings.url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = await addresses(host, port, allow_private=settings.allow_private, who=settings.who)
    except DeliveryFailedError as error:
        return str(error), "Check the url; for a network of your own set allow_private."
    context = tls.context(settings.ca_file) if parts.scheme == "https" else None
    try:
        _, writer = await asyncio.open_connection(
            found[0], port, ssl=context, server_hostname=host if context is not None else None
        )
        writer.close()
    except ssl.SSLError:
        return (
            f"{host} port {port}: its certificate is not valid.",
            "Renew it, or set ca_file to its certificate authority.",
        )
    except OSError as error:
        return (
            f"{host} port {port} cannot be reached ({type(error).__name__}).",
            "Check the url, and that the sender runs.",
        )
    return f"{host} port {port} can be reached{' over TLS' if context is not None else ' without TLS'}", ""
