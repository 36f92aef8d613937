"""The kinds of providers there are: where each one's file is, what it carries, and what it is in a sentence."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.domain.shared.contact import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from countersign.providers import Provider
    from countersign.providers.email.verp import Mark


class ProviderKind(msgspec.Struct, frozen=True):
    """One kind of provider: `name` begins the names of its classes, which stand in `module`.

    `called_back` says that it posts receipts to us.

    `comes_back` says that its bounces come to a mailbox of ours.
    """

    name: str
    module: str
    channels: tuple[Channel, ...]
    what: str
    called_back: bool = False
    comes_back: bool = False

    def settings(self) -> type[Any]:
        """Return the class of its settings; the library behind a kind is loaded only where it is used."""
        found: type[Any] = self._class("Settings")
        return found

    def provider(self) -> Callable[..., Provider]:
        """Return the class that sends."""
        found: Callable[..., Provider] = self._class("Provider")
        return found

    def _class(self, suffix: str) -> Any:  # noqa: ANN401 - one of that module's classes
        return getattr(import_module(f"countersign.providers.{self.module}"), self.name.capitalize() + suffix)


KINDS: Final = {
    kind.name: kind
    for kind in (
        ProviderKind("smtp", "email.smtp", (Channel.EMAIL,), "a mail server", comes_back=True),
        ProviderKind("webhook", "webhook", tuple(Channel), "a webhook"),
        ProviderKind(
            "twilio", "sms.twilio", (Channel.SMS, Channel.VOICE), "a gateway for SMS and calls", called_back=True
        ),
        ProviderKind("vonage", "sms.vonage", (Channel.SMS,), "a gateway for SMS", called_back=True),
        ProviderKind("infobip", "sms.infobip", (Channel.SMS,), "a gateway for SMS", called_back=True),
        ProviderKind("ses", "email.ses", (Channel.EMAIL,), "a mail service", called_back=True),
        ProviderKind("sns", "sms.sns", (Channel.SMS,), "a gateway for SMS"),
        ProviderKind("whatsapp", "whatsapp", (Channel.WHATSAPP,), "a gateway for WhatsApp", called_back=True),
        ProviderKind("apprise", "sms.apprise_gateways", (Channel.SMS,), "a gateway for SMS"),
        ProviderKind("smpp", "smpp.provider", (Channel.SMS,), "an SMSC, or a gateway that speaks as one"),
    )
}


def make_provider(settings: Any, clock: Callable[[], int], mark: Mark | None = None) -> Provider:  # noqa: ANN401 - of one of the kinds
    """Return the provider that these settings are of; `mark` is what addresses for bounces are marked with."""
    kind = KINDS[type(settings).__name__.removesuffix("Settings").lower()]
    return kind.provider()(settings, clock, mark) if kind.comes_back else kind.provider()(settings, clock)
