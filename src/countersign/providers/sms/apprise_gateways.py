"""Apprise: many more SMS gateways, through the library of that name (the extra `apprise`).

The library answers yes or no, without reasons, ids or receipts. So every failure is temporary, and it belongs at the end of a route.

Source: the library's public documentation of its URLs, and its plugins' own descriptions.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from countersign.domain.delivery.delivery import MAX_TRY, Accepted, Message, Reason
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers import Connectivity, ProviderContext, ProviderKind
from countersign.providers.fields import AllowHttp, AllowPrivate, Timeout
from countersign.setting import Described

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
"""The modules of plugins by the scheme of their addresses: those that send SMS to numbers, by POST, to their vendor's host over TLS.

No other plugin is ever loaded: none that connects to any host, runs programs, or comes from a folder of plugins.

The library's metadata has no such category, so every plugin was read. Left out are those that put the message into a URL (clickatell,
smsmanager, voipms), do not encrypt (kavenegar), send something else than SMS, store tokens on the disk (ringc), serve one country only
(mobilemessage), or have a kind of their own here.
"""
OWN_HOST: Final = frozenset({"smseagle", "smseagles"})
"""A gateway that is a device in the operator's network; the first scheme is not encrypted."""
OWN_KINDS: Final = {"twilio": "twilio", "vonage": "vonage", "nexmo": "vonage", "infobip": "infobip", "sns": "sns"}

PLACEHOLDER: Final = "{to}"
EXTRA: Final = 1.0
"""Seconds that a silent connection outlives the time-out: the failure is reported first, then its thread ends."""

_SAMPLE: Final = "14155550123"
_TARGETS: Final = ("targets", "target_phones")
_ADDRESS: Final = frozenset({"host", "fullpath"})
"""Attributes in which every plugin keeps parts of the address as it was written."""
_LAST: Final = re.compile(r"[/@](?:\+|%2B)?\{to\}/?(?:\?[^{}\s]*)?", re.IGNORECASE)
_RESERVED: Final = re.compile(
    r"[?&](?:cto|emojis|format|optional|overflow|redirect|retry|rto|store|tag|to|tz|verify|wait)=", re.IGNORECASE
)
"""Options of every gateway that are decided here: certificates, redirects, time-outs, tries, files, and the recipient."""
_MISSING: Final = "apprise is not installed: pip install countersign-otp[apprise]."


class AppriseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway. Raises SettingsError."""

    url: Annotated[
        str,
        Described(
            "The address that the library gives the gateway, with {to} where the number goes.",
            expects="an address such as seven://KEY/{to}",
            secret=True,
        ),
    ]
    timeout: Timeout = 10.0
    connections: Annotated[int, Described("The most messages at once.", expects="at least 1")] = 16
    allow_http: AllowHttp = False
    allow_private: AllowPrivate = False

    def __post_init__(self) -> None:
        scheme, _, rest = self.url.partition("://")
        scheme = scheme.lower()
        if scheme in OWN_KINDS:
            raise SettingsError(f'url: use kind = "{OWN_KINDS[scheme]}", which knows reasons and receipts')
        if scheme not in GATEWAYS:
            raise SettingsError(
                f"url must be that of a gateway for SMS: it begins with one of {', '.join(sorted(GATEWAYS))}."
            )
        last = _LAST.search(rest)
        if rest.count(PLACEHOLDER) != 1 or last is None or last.end() != len(rest) or not rest.isprintable():
            raise SettingsError("url must have {to} once, as its last part: the number of each message goes there.")
        if _RESERVED.search(rest):
            raise SettingsError(
                "url must not set to, verify, redirect, retry, store and the like: those are decided here."
            )
        if scheme in OWN_HOST and not self.allow_private:
            raise SettingsError("url names a host of your own network: set allow_private.")
        if scheme in OWN_HOST and scheme[-1] != "s" and not self.allow_http:
            raise SettingsError("url would send codes unencrypted: use smseagles://, or set allow_http.")
        if not 0 < self.timeout < MAX_TRY / 1000:
            raise SettingsError(f"timeout must be above 0 and below {MAX_TRY // 1000} seconds.")
        if self.connections < 1:
            raise SettingsError("connections must be at least 1.")
        plugin = plugin_for(self, _SAMPLE)
        if plugin is None or not _is_only_target(plugin, _SAMPLE):
            raise SettingsError("url is not written as this gateway needs it, or {to} is not where the number goes.")

    @property
    def scheme(self) -> str:
        """Return the scheme of the address, which names the gateway."""
        return self.url.partition("://")[0].lower()

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"AppriseSettings({self.scheme})"


class AppriseProvider:
    """Sends SMS by one gateway, each in a thread of its own since the library blocks, at most `connections` at once."""

    def __init__(self, settings: AppriseSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._name = context.name
        self._free = threading.BoundedSemaphore(settings.connections)

    async def send(self, message: Message) -> Accepted:
        """Send the text; raises DeliveryFailedError, always a temporary one."""
        # A thread cannot be stopped: one that waits for its gateway keeps its place after the time-out too.
        if not self._free.acquire(blocking=False):
            raise DeliveryFailedError(Reason.THROTTLED, "Apprise: every connection is in use.", permanent=False)
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[bool | str] = loop.create_future()
        threading.Thread(
            target=self._send_in_thread, args=(message, loop, outcome), name=f"apprise-{self._name}", daemon=True
        ).start()
        try:
            result = await asyncio.wait_for(outcome, self._settings.timeout)
        except TimeoutError:
            raise DeliveryFailedError(
                Reason.TIMED_OUT, "Apprise: the gateway did not answer in time.", permanent=False
            ) from None
        if result is not True:
            detail = f"the plugin broke ({result})" if result else "the gateway refused, or was not reached"
            raise DeliveryFailedError(
                Reason.PROVIDER_ERROR, f"Apprise: {detail}; it does not say why.", permanent=False
            )
        return Accepted(message.key)

    async def check(self) -> Connectivity:
        """Return that nothing is known: the library can only send."""
        scheme = self._settings.scheme
        return Connectivity(f"{scheme} through Apprise; only sending a message would show whether it can be reached")

    async def close(self) -> None:
        """Do nothing: waiting threads end by themselves, and no connection is kept."""

    def _send_in_thread(
        self, message: Message, loop: asyncio.AbstractEventLoop, outcome: asyncio.Future[bool | str]
    ) -> None:
        result: bool | str
        try:
            plugin = plugin_for(self._settings, message.to.lstrip("+"))
            # The plugin's own `send`: `notify` would cut and split the text, and fill in what looks like a template.
            result = plugin is not None and bool(plugin.send(body=message.text, title=""))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is a refusal; only the type is shown, since the text may hold the message
            result = type(error).__name__
        finally:
            self._free.release()
        try:
            loop.call_soon_threadsafe(_set_result, outcome, result)
        except RuntimeError:
            return  # the loop has ended, and nothing waits for the result


def plugin_for(settings: AppriseSettings, digits: str) -> NotifyBase | None:
    """Return the plugin of the gateway for one number, given in digits; None if the plugin refuses the address.

    Raises SettingsError if the library is not installed.
    """
    if not (digits.isascii() and digits.isdigit()):
        return None
    try:
        from apprise import AppriseAsset
        from apprise.common import PersistentStoreMode
        from apprise.plugins.base import NotifyBase
    except ImportError:
        raise SettingsError(_MISSING) from None
    _silence_loggers()
    try:
        module = import_module(f"apprise.plugins.{GATEWAYS[settings.scheme]}")
        kind: Any = next(
            one
            for one in vars(module).values()
            if isinstance(one, type) and issubclass(one, NotifyBase) and one.__module__ == module.__name__
        )
        asset = AppriseAsset(plugin_paths=[], storage_mode=PersistentStoreMode.MEMORY, http_redirects=False)
        found: Any = kind(**kind.parse_url(settings.url.replace(PLACEHOLDER, digits)), asset=asset)
    except Exception:  # noqa: BLE001 - a plugin may raise anything, and quote the address
        return None
    found.verify_certificate, found.redirect_uris = True, False
    found.socket_connect_timeout = found.socket_read_timeout = settings.timeout + EXTRA
    plugin: NotifyBase = found
    return plugin


def _is_only_target(plugin: NotifyBase, digits: str) -> bool:
    """Return True if a plugin would send to this number only, and not from it: without a target some send to their sender."""
    held = {name: value for name, value in vars(plugin).items() if digits in repr(value)}
    targets = [str(one).lstrip("+") for name in _TARGETS for one in held.pop(name, ())]
    return targets == [digits] and held.keys() <= _ADDRESS


def _set_result(outcome: asyncio.Future[bool | str], result: bool | str) -> None:  # noqa: FBT001 - it is the result itself
    if not outcome.done():
        outcome.set_result(result)


def _silence_loggers() -> None:
    """Silence the loggers of the library and its HTTP client, which show addresses and messages in warnings."""
    for name in ("apprise", "urllib3", "requests"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False


KIND: Final = ProviderKind(
    summary="a gateway for SMS",
    channels=(Channel.SMS,),
    settings=AppriseSettings,
    provider=AppriseProvider,
    has_receipts=False,
)
