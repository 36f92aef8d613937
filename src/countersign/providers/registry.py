"""The registry of providers: each kind has one line here, with the module that declares it in `KIND`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import msgspec

from countersign.providers import Provider, ProviderContext, ProviderKind

MODULES: Final = {
    "smtp": "countersign.providers.email.smtp",
    "webhook": "countersign.providers.webhook",
    "twilio": "countersign.providers.sms.twilio",
    "vonage": "countersign.providers.sms.vonage",
    "infobip": "countersign.providers.sms.infobip",
    "ses": "countersign.providers.email.ses",
    "sns": "countersign.providers.sms.sns",
    "whatsapp": "countersign.providers.whatsapp",
    "apprise": "countersign.providers.sms.apprise_gateways",
    "smpp": "countersign.providers.smpp.provider",
}
"""The module of each kind, by the word that `kind` takes in the settings."""


class ConfiguredProvider(msgspec.Struct, frozen=True):
    """One `[providers.NAME]`: its name, its kind, the settings that its kind declares, and our address for its receipts."""

    name: str
    kind: str
    settings: Any
    callback: str = ""


def find_kind(name: str) -> ProviderKind:
    """Return a kind of provider by its word in MODULES. Its library is loaded now, so only the kinds in use cost anything."""
    kind: ProviderKind = import_module(MODULES[name]).KIND
    return kind


def make_provider(
    configured: ConfiguredProvider, clock: Callable[[], int], mark: Callable[[str], bytes] | None = None
) -> Provider:
    """Return the provider that these settings describe.

    Arguments:
        configured: the settings of one `[providers.NAME]`.
        clock: returns milliseconds since the epoch.
        mark: the keyed hash for addresses of bounces; see `ProviderContext`.

    """
    context = ProviderContext(configured.name, clock, configured.callback, mark)
    return find_kind(configured.kind).provider(configured.settings, context)
