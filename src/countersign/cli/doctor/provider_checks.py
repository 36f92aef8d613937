"""Checks of providers: whether each is reachable, has a valid certificate and accepts our credentials; nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.clock import system_clock
from countersign.errors import SettingsError
from countersign.providers import ChecksConnectivity, Connectivity

if TYPE_CHECKING:
    from countersign.providers.email.bounce_mailbox import MailboxSettings
    from countersign.providers.registry import ConfiguredProvider

PATIENCE: Final = 10.0
"""Timeout for one provider in seconds."""

SKEW_TO_LOOK_AT: Final = 2_000
SKEW_UNSAFE: Final = 30_000
"""Milliseconds. Half a minute is a twentieth of a code's lifetime; signatures of requests end not much later."""


async def check_providers(providers: Mapping[str, ConfiguredProvider]) -> list[tuple[str, str, str]]:
    """Check all providers concurrently. Returns (name, what was seen, remedy or "") for each."""
    seen = await look_at_providers(providers)
    return [(name, one.seen, one.remedy) for name, one in seen.items()]


async def look_at_providers(providers: Mapping[str, ConfiguredProvider]) -> dict[str, Connectivity]:
    """Look at all providers concurrently, and return what was seen of each, by name."""
    found = await asyncio.gather(*(_look(configured) for configured in providers.values()))
    return dict(zip(providers, found, strict=True))


async def look_at_mailbox(settings: MailboxSettings) -> Connectivity:
    """Return whether the mailbox of bounces lets us in and has its folder."""
    from countersign.providers.email.bounce_mailbox import BounceMailbox

    return await BounceMailbox(settings, PATIENCE).check()


def check_their_clocks(seen: Mapping[str, Connectivity]) -> list[CheckResult]:
    """Compare our clock with those that providers told. Where one agrees with us, another that does not is its own fault."""
    told = {name: one.ahead for name, one in seen.items() if one.ahead is not None}
    if not told:
        return []
    closest = min(told, key=lambda name: abs(told[name]))
    skew = told[closest]
    if abs(skew) < SKEW_TO_LOOK_AT:
        return [CheckResult("clock of the world", CheckState.FINE, f"{len(told)} providers have the time that we have")]
    return [
        CheckResult(
            "clock of the world",
            CheckState.UNSAFE if abs(skew) >= SKEW_UNSAFE else CheckState.ADVICE,
            f"It is {abs(skew) / 1_000:.0f} s {'ahead of' if skew > 0 else 'behind'} that of {closest}, and further off the others.",
            "Synchronise this machine by NTP. Signed requests and the lifetimes of codes depend on it.",
        )
    ]


async def _look(configured: ConfiguredProvider) -> Connectivity:
    from countersign.providers.registry import make_provider

    try:
        provider = make_provider(configured, system_clock)
        try:
            if not isinstance(provider, ChecksConnectivity):
                return Connectivity(f"{configured.kind}: only sending a message would show whether it can be reached")
            async with asyncio.timeout(PATIENCE):
                return await provider.check()
        finally:
            await provider.close()
    except TimeoutError:
        return Connectivity(
            f"It did not answer within {PATIENCE:g} s.", "Check its address, the DNS, and any firewall in between."
        )
    except SettingsError as error:
        return Connectivity(str(error), "Correct this setting.")
