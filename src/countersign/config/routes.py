"""The settings of `[routes]` and `[detours.NAME]`: which providers carry which channel, each checked for being able to."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from countersign.domain.delivery.route import PrefixRoute, WeightedProvider, is_valid_route, parse_provider
from countersign.domain.policy import INBOX
from countersign.domain.shared.contact import Channel
from countersign.providers.registry import MODULES, find_kind
from countersign.setting import Described

_PREFIX: Final = re.compile(r"\+[1-9][0-9]{0,13}", re.ASCII)
_ROUTE: Final = (
    "The providers of {} messages: the first is tried first, the next one if it fails. With weights (first=3, second=1) the"
    " order is drawn by chance."
)


def _route_of(channel: Channel) -> Described:
    return Described(
        _ROUTE.format(channel.value),
        expects="a list of names of providers",
        default="inbox in development, else none",
        computed=lambda found: (INBOX,) if found["environment"] == "development" else (),
    )


class RouteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The names of providers by channel, as they were written: each with its weight, if it has one."""

    email: Annotated[tuple[str, ...], _route_of(Channel.EMAIL)]
    sms: Annotated[tuple[str, ...], _route_of(Channel.SMS)]
    voice: Annotated[tuple[str, ...], _route_of(Channel.VOICE)]
    whatsapp: Annotated[tuple[str, ...], _route_of(Channel.WHATSAPP)]


class DetourSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A route of its own for numbers that begin alike."""

    channel: Annotated[Channel, Described("The channel. Required.")]
    prefixes: Annotated[
        tuple[str, ...],
        Described(
            "The beginnings of numbers that go this way; of several that fit the longest wins. Required.",
            expects="a list such as +49, +43",
        ),
    ]
    providers: Annotated[
        tuple[str, ...],
        Described(
            "The providers that carry the channel there, instead of its route. Required.",
            expects="a list of names of providers, with weights or without (first=3, second=1)",
        ),
    ]


class RouteReader:
    """Turns names of providers into routes.

    Arguments:
        kinds: the kind of each provider by its name; "" where the kind is missing or unknown.
        faults: gets a sentence for whatever is wrong.
        development: whether the inbox may stand in a route.

    """

    def __init__(self, kinds: Mapping[str, str], faults: list[str], *, development: bool) -> None:
        self._kinds = kinds
        self._faults = faults
        self._development = development

    def read_route(self, names: Sequence[str], channel: Channel, where: str) -> tuple[WeightedProvider, ...]:
        """Return the providers of a route; a fault begins with `where`, the place of the setting."""
        try:
            providers = tuple(parse_provider(name) for name in names)
        except ValueError:
            self._faults.append(f"{where}: a weight is a number from 1 to 1000, as in first=3, second=1.")
            return ()
        for provider in providers:
            wrong = self._fault_of(provider.name, channel)
            if wrong and not any(fault.startswith(f"[providers.{provider.name}]") for fault in self._faults):
                self._faults.append(f"{where}: {wrong}")
        if len({provider.name for provider in providers}) != len(providers):
            self._faults.append(f"{where}: names a provider twice.")
        elif not is_valid_route(providers):
            self._faults.append(
                f"{where}: either every provider has a weight, and there are at most eight, or none has."
            )
        return providers

    def read_detours(self, tables: Mapping[str, Mapping[str, Any]]) -> dict[Channel, tuple[PrefixRoute, ...]]:
        """Return the detours of each channel; `tables` has the settings of each `[detours.NAME]` by its name."""
        found: dict[Channel, list[PrefixRoute]] = {}
        for name, table in tables.items():
            channel, prefixes, names = (table.get(key) for key in ("channel", "prefixes", "providers"))
            if channel is None or not prefixes or not names:
                self._faults.append(f"[detours.{name}]: channel, prefixes and providers are required.")
                continue
            if channel is Channel.EMAIL or not all(_PREFIX.fullmatch(prefix) for prefix in prefixes):
                self._faults.append(f"[detours.{name}] prefixes: expected the beginnings of numbers, such as +49.")
            providers = self.read_route(names, channel, f"[detours.{name}]")
            found.setdefault(channel, []).extend(PrefixRoute(prefix, providers) for prefix in prefixes)
        for channel, detours in found.items():
            if len({detour.prefix for detour in detours}) != len(detours):
                self._faults.append(f"[detours]: {channel.value} has two detours for the same prefix.")
        return {channel: tuple(detours) for channel, detours in found.items()}

    def _fault_of(self, name: str, channel: Channel) -> str:
        """Return why a provider cannot carry a channel, "" if it can."""
        if name == INBOX:
            if self._development:
                return ""
            return "the inbox is for development and test keys only; name a provider that really sends."
        if name not in self._kinds:
            return f"there is no provider {name!r}; add [providers.{name}]."
        if self._kinds[name] not in MODULES:
            return ""  # the fault of its kind is reported already
        kind = find_kind(self._kinds[name])
        return "" if channel in kind.channels else f"{name} is {kind.summary} and cannot carry {channel.value}."
