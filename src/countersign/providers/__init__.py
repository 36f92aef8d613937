"""Carriers of messages: each file is one provider, with its errors sorted and its receipts parsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import msgspec

from countersign.domain.delivery import Accepted, Message, Receipt


class Callback(msgspec.Struct, frozen=True):
    """What a provider sent to its receipts' address: `url` as it was told it, with the query; names of `headers` in any case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


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
