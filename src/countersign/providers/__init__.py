"""Carriers of messages: each file is one provider, with its errors sorted and its receipts parsed."""

from __future__ import annotations

from typing import Protocol

from countersign.domain.delivery import Accepted, Message


class Provider(Protocol):
    """Hands one message to a carrier: returns its word, or raises DeliveryFailedError."""

    async def send(self, message: Message) -> Accepted:
        """Hand `message` over within a bounded time."""

    async def close(self) -> None:
        """Let go of connections that were kept."""
