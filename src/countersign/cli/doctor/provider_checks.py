"""Checks of providers: whether each is reachable, has a valid certificate and accepts our credentials; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from countersign.clock import system_clock
from countersign.errors import SettingsError

if TYPE_CHECKING:
    from countersign.providers.registry import ConfiguredProvider

PATIENCE: Final = 10.0
"""Timeout for one provider in seconds."""


async def check_providers(providers: Mapping[str, ConfiguredProvider]) -> list[tuple[str, str, str]]:
    """Check all providers concurrently. Returns (name, what was seen, remedy or "") for each."""
    return list(await asyncio.gather(*(_check(name, configured) for name, configured in providers.items())))


async def _check(name: str, configured: ConfiguredProvider) -> tuple[str, str, str]:
    from countersign.providers import ChecksConnectivity
    from countersign.providers.registry import make_provider

    try:
        provider = make_provider(configured, system_clock)
        try:
            if not isinstance(provider, ChecksConnectivity):
                return name, f"{configured.kind}: only sending a message would show whether it can be reached", ""
            async with asyncio.timeout(PATIENCE):
                found = await provider.check()
            return name, found.seen, found.remedy
        finally:
            await provider.close()
    except TimeoutError:
        return name, f"It did not answer within {PATIENCE:g} s.", "Check its address and any firewall in between."
    except SettingsError as error:
        return name, str(error), "Correct this setting."
