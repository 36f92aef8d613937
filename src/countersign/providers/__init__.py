"""Providers hand messages to the outside world; each is one file, with its settings, its errors and its receipts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Receipt
from countersign.domain.shared.contact import Channel

ReceiptHandler = Callable[[Receipt], Awaitable[bool]]
"""Records a receipt. It returns False if no message is known by that id (yet), and raises UnavailableError if nothing can be recorded."""


class Callback(msgspec.Struct, frozen=True):
    """A request that a provider made to our address for its receipts.

    `query` comes without its question mark, the names of `headers` in any case.
    """

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header by its name in lower case, "" if it is missing."""
        return next((value for key, value in self.headers.items() if key.lower() == name), "")


class TlsPeer(msgspec.Struct, frozen=True):
    """A server that is spoken to over TLS.

    `starttls` is the protocol in which TLS is asked for; "" if the connection begins with it. `ca_file` holds the authorities to trust
    instead of the system's, in PEM form.
    """

    host: str
    port: int
    ca_file: str | None = None
    starttls: Literal["", "smtp", "imap"] = ""


class Connectivity(msgspec.Struct, frozen=True):
    """What a look at a provider has shown: `seen` is a sentence, `remedy` another one; "" if all is well.

    `peer` is whose certificate may be looked at. `ahead` is by how many ms our clock is ahead of the provider's, if it said its time.
    """

    seen: str
    remedy: str = ""
    peer: TlsPeer | None = None
    ahead: int | None = None


class Provider(Protocol):
    """Hands messages to one provider."""

    async def send(self, message: Message) -> Accepted:
        """Hand `message` over within a bounded time and return what the provider said; raises DeliveryFailedError."""

    async def close(self) -> None:
        """Close the connections that were kept."""


@runtime_checkable
class BoundsSending(Protocol):
    """A provider that does not send all at once what it is handed: more than `most_at_once` messages would only wait in it, in a row."""

    most_at_once: int | None


@runtime_checkable
class TakesReceipts(Protocol):
    """A provider that posts later what became of a message, to our address for its receipts."""

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return the receipts in a request; raises InputError if the provider did not make it, or it cannot be understood."""


@runtime_checkable
class AnswersChallenge(Protocol):
    """A provider that checks our address with a GET before it posts receipts there."""

    def answer_challenge(self, query: str) -> str | None:
        """Return the text to answer with; None if the check is not meant for us. `query` is that of the request."""


@runtime_checkable
class PushesReceipts(Protocol):
    """A provider that learns by itself what became of a message: over its own connection, or because it is the network.

    `on_receipt` is called with each receipt.
    """

    on_receipt: ReceiptHandler | None


@runtime_checkable
class ChecksConnectivity(Protocol):
    """A provider that can be looked at without sending anything, as `countersign doctor` does."""

    async def check(self) -> Connectivity:
        """Return whether it is reachable and accepts our credentials; raises SettingsError for an unusable setting."""


class ProviderContext(msgspec.Struct, frozen=True):
    """What a provider is given beside its settings.

    Arguments:
        name: what routes and receipts call it, as in `[providers.NAME]`.
        clock: returns milliseconds since the epoch.
        callback: our address for its receipts; "" if there is none.
        mark: the keyed hash that addresses for bounces are marked with, by the key of a message; None if none are made.

    """

    name: str
    clock: Callable[[], int]
    callback: str = ""
    mark: Callable[[str], bytes] | None = None


class ProviderKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of provider, as its file declares it in `KIND`.

    Arguments:
        summary: what it is, to stand in a sentence: "a gateway for SMS".
        channels: what it can carry.
        settings: the struct that declares its settings (see `countersign.setting`).
        provider: makes the provider of such settings and a `ProviderContext`.
        has_receipts: whether it ever says what became of a message, or why one was refused.

    """

    summary: str
    channels: tuple[Channel, ...]
    settings: type[msgspec.Struct]
    provider: Callable[[Any, ProviderContext], Provider]
    has_receipts: bool = True
