"""Carriers of messages: each file is one provider, with its errors sorted and its receipts parsed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Receipt


class Callback(msgspec.Struct, frozen=True):
    """What a provider sent to its receipts' address: `query` without its question mark; names of `headers` in any case."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header by its name in lower case, "" if it is not there."""
        return next((value for key, value in self.headers.items() if key.lower() == name), "")


class Provider(Protocol):
    """Hands one message to a carrier: returns its word, or raises DeliveryFailedError."""

    async def send(self, message: Message) -> Accepted:
        """Hand `message` over within a bounded time."""

    async def close(self) -> None:
        """Let go of connections that were kept."""


@runtime_checkable
class TakesReceipts(Protocol):
    """A provider that says later what became of a message, at an address of ours."""

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return what was said; raises InputError where it is not the provider who says it, or it cannot be understood."""


@runtime_checkable
class PushesReceipts(Protocol):
    """A provider that hears itself what became of a message: over a connection of its own, or because it is the network.

    `hear` takes a receipt down; it returns False where no message is known by that id (yet), and raises UnavailableError.
    """

    hear: Callable[[Receipt], Awaitable[bool]] | None
