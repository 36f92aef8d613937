"""Apprise: the long tail of SMS gateways, through the library of that name (the extra `apprise`).

It says yes or no and nothing else: no reason, no id, no receipt. So a no is always for now, and it stands last in a route.

Source: the library's public documentation of its URLs, and its plugins' own descriptions.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason
from countersign.errors import DeliveryFailedError, SettingsError

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase

GATEWAYS: Final = {
    "46elks": "fortysixelks",
    "atalk": "africas_talking",
    "bulksms": "bulksms",
    "bulkvs": "bulkvs",
    "burstsms": "burstsms",
    "clicksend": "clicksend",
    "cm": "cm",
    "d7sms": "d7networks",
    "eight00com": "eight00com",
    "elks": "fortysixelks",
    "exotel": "exotel",
    "httpsms": "httpsms",
    "kaleyra": "kaleyra",
    "kudosity": "burstsms",
    "msgbird": "messagebird",
    "octopush": "octopush",
    "plivo": "plivo",
    "serwersms": "serwersms",
    "seven": "seven",
    "sinch": "sinch",
    "smsc": "smsc",
    "smseagle": "smseagle",
    "smseagles": "smseagle",
    "telesign": "telesign",
    "telnyx": "telnyx",
}
"""Schemes, with the module of the plugin, that sends an SMS to a number, by POST, to its vendor's own host over TLS.

No other plugin is loaded, so no other can be reached: neither those that speak to any host, nor those that run programs, nor those of
somebody's folder.

The library's own metadata knows no such category, so each was read. Left out are those that put the message into an address
(clickatell, smsmanager, voipms), speak in the clear (kavenegar), send what is no SMS, keep tokens on the disk (ringc), have a kind of
their own here, or take numbers of one country alone (mobilemessage).
"""
OWN_HOST: Final = frozenset({"smseagle", "smseagles"})
"""A gateway that is a device in the operator's network; the first of the two speaks in the clear."""
OWN_KINDS: Final = {"twilio": "twilio", "vonage": "vonage", "nexmo": "vonage", "infobip": "infobip", "sns": "sns"}

PLACE: Final = "{to}"
LONGEST: Final = 45.0
"""Seconds; a lease covers no longer try."""
AFTER: Final = 1.0
"""Seconds that a silent connection outlives our patience: who waits is told first, then its thread ends."""

_SAMPLE: Final = "14155550123"
_TARGETS: Final = ("targets", "target_phones")
_ADDRESS: Final = frozenset({"host", "fullpath"})
"""Parts of the address as it was, which every plugin keeps."""
_LAST: Final = re.compile(r"[/@](?:\+|%2B)?\{to\}/?(?:\?[^{}\s]*)?", re.IGNORECASE)
_NOT_OURS: Final = re.compile(
    r"[?&](?:cto|emojis|format|optional|overflow|redirect|retry|rto|store|tag|to|tz|verify|wait)=", re.IGNORECASE
)
"""What the library takes for every gateway, and what is ours to say: certificates, redirects, patience, tries, files, and to whom."""
_MISSING: Final = "apprise is not installed: pip install countersign[apprise]."


class AppriseSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url` is the gateway's as the library writes it, with `{to}` where the number goes. Raises SettingsError."""

    url: str
    name: str
    timeout: float = 10.0
    connections: int = 16
    allow_http: bool = False
    allow_private: bool = False

    def __post_init__(self) -> None:
        scheme, _, rest = self.url.partition("://")
        scheme = scheme.lower()
        if scheme in OWN_KINDS:
            raise SettingsError(f'apprise url: use kind = "{OWN_KINDS[scheme]}", which knows reasons and receipts')
        if scheme not in GATEWAYS:
            raise SettingsError(
                f"apprise url is one of a gateway for SMS: it begins with one of {', '.join(sorted(GATEWAYS))}."
            )
        last = _LAST.search(rest)
        if rest.count(PLACE) != 1 or last is None or last.end() != len(rest) or not rest.isprintable():
            raise SettingsError("apprise url has {to} once, as its last part: the number of each message stands there.")
        if _NOT_OURS.search(rest):
            raise SettingsError(
                "apprise url may not say to, verify, redirect, retry, store and the like: those are settled here."
            )
        if scheme in OWN_HOST and not self.allow_private:
            raise SettingsError("apprise url names a host of your own network: set allow_private.")
        if scheme in OWN_HOST and scheme[-1] != "s" and not self.allow_http:
            raise SettingsError("apprise url would carry codes in the clear: use smseagles://, or set allow_http.")
        if not 0 < self.timeout < LONGEST:
            raise SettingsError(f"apprise timeout is above 0 and below {LONGEST:g} seconds.")
        if self.connections < 1:
            raise SettingsError("apprise connections is at least 1.")
        plugin = plugin_for(self, _SAMPLE)
        if plugin is None or not _is_only_target(plugin, _SAMPLE):
            raise SettingsError(
                "apprise url is not as this gateway's is written, or {to} does not stand where the number goes."
            )

    @property
    def scheme(self) -> str:
        """Return which gateway it is."""
        return self.url.partition("://")[0].lower()

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"AppriseSettings({self.name})"


class AppriseProvider:
    """Sends SMS by one gateway, each in a thread of its own, since the library blocks; `connections` at once and no more."""

    def __init__(self, settings: AppriseSettings, _clock: Callable[[], int]) -> None:
        self._settings = settings
        self._free = threading.BoundedSemaphore(settings.connections)

    async def send(self, message: Message) -> Accepted:
        """Hand the text over; raises DeliveryFailedError, always a temporary one."""
        # A thread cannot be stopped: one that its gateway keeps waiting holds its place, also after we have given up on it.
        if not self._free.acquire(blocking=False):
            raise DeliveryFailedError(Reason.THROTTLED, "Apprise: every connection is in use.", permanent=False)
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[bool | str] = loop.create_future()
        threading.Thread(
            target=self._hand_over, args=(message, loop, outcome), name=f"apprise-{self._settings.name}", daemon=True
        ).start()
        try:
            word = await asyncio.wait_for(outcome, self._settings.timeout)
        except TimeoutError:
            raise DeliveryFailedError(
                Reason.TIMED_OUT, "Apprise: the gateway did not answer in time.", permanent=False
            ) from None
        if word is not True:
            detail = f"the plugin broke ({word})" if word else "the gateway refused, or was not reached"
            raise DeliveryFailedError(
                Reason.PROVIDER_ERROR, f"Apprise: {detail}; it does not say why.", permanent=False
            )
        return Accepted(message.key)

    async def close(self) -> None:
        """Threads that still wait end by themselves; no connection is kept."""

    def _hand_over(
        self, message: Message, loop: asyncio.AbstractEventLoop, outcome: asyncio.Future[bool | str]
    ) -> None:
        word: bool | str
        try:
            plugin = plugin_for(self._settings, message.to.lstrip("+"))
            # The plugin's own `send`: `notify` would cut, split, and fill in what looks like a template.
            word = plugin is not None and bool(plugin.send(body=message.text, title=""))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is its refusal, and its words may hold the message
            word = type(error).__name__
        finally:
            self._free.release()
        try:
            loop.call_soon_threadsafe(_tell, outcome, word)
        except RuntimeError:
            return  # the loop has ended, and nobody waits


def plugin_for(settings: AppriseSettings, digits: str) -> NotifyBase | None:
    """Return the gateway's plugin for one number, None if it takes no such address; raises SettingsError without the library."""
    if not (digits.isascii() and digits.isdigit()):
        return None
    try:
        from apprise import AppriseAsset
        from apprise.common import PersistentStoreMode
        from apprise.plugins.base import NotifyBase
    except ImportError:
        raise SettingsError(_MISSING) from None
    _silence()
    try:
        module = import_module(f"apprise.plugins.{GATEWAYS[settings.scheme]}")
        kind: Any = next(
            one
            for one in vars(module).values()
            if isinstance(one, type) and issubclass(one, NotifyBase) and one.__module__ == module.__name__
        )
        asset = AppriseAsset(plugin_paths=[], storage_mode=PersistentStoreMode.MEMORY, http_redirects=False)
        found: Any = kind(**kind.parse_url(settings.url.replace(PLACE, digits)), asset=asset)
    except Exception:  # noqa: BLE001 - a plugin may raise whatever it likes, and quote the address
        return None
    found.verify_certificate, found.redirect_uris = True, False
    found.socket_connect_timeout = found.socket_read_timeout = settings.timeout + AFTER
    plugin: NotifyBase = found
    return plugin


def _is_only_target(plugin: NotifyBase, digits: str) -> bool:
    """Say whether a plugin would send to this number alone, and not from it: without any target some send to their own sender."""
    held = {name: value for name, value in vars(plugin).items() if digits in repr(value)}
    targets = [str(one).lstrip("+") for name in _TARGETS for one in held.pop(name, ())]
    return targets == [digits] and held.keys() <= _ADDRESS


def _tell(outcome: asyncio.Future[bool | str], word: bool | str) -> None:  # noqa: FBT001 - it is the word itself
    if not outcome.done():
        outcome.set_result(word)


def _silence() -> None:
    """Keep the library's loggers from saying addresses and messages, as they do in warnings; and those of its HTTP client."""
    for name in ("apprise", "urllib3", "requests"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
