"""Webhook: messages as signed JSON to the operator's own server, which sends them and may post signed receipts back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, InputError, SettingsError
from countersign.providers import Callback, Connectivity, ProviderContext, ProviderKind
from countersign.providers.fields import check_receipt_within
from countersign.providers.http.client import MAX_ID, HttpClient, failure_of_response
from countersign.providers.http.receipts import check_size
from countersign.providers.http.settings import HttpSettings
from countersign.providers.http.webhook_signature import parse_secret, sign, verify
from countersign.setting import Described, Group

_LABEL: Final = "The webhook"
_OURS: Final = frozenset(
    {Reason.NO_ROUTE, Reason.NO_RECEIPT, Reason.TRIES_SPENT, Reason.ENDED, Reason.EXPIRED, Reason.CANCELED}
)
"""Reasons that only we can know; a server that gives one is taken to have refused."""


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's server. Raises SettingsError."""

    url: Annotated[
        str,
        Described(
            "The address that messages are posted to.", expects="an address that begins with https://", secret=True
        ),
    ]
    secret: Annotated[
        str,
        Described(
            "The secret that requests and receipts are signed with.",
            expects="whsec_ and the base64 of 24 to 64 random bytes",
            secret=True,
        ),
    ]
    receipt_within: Annotated[
        int | None,
        Described(
            "After how many milliseconds a receipt is overdue, so that the next provider is tried. Set it only if your server"
            " posts receipts.",
            expects="milliseconds, above 0",
        ),
    ] = None
    http: Annotated[HttpSettings, Group()] = HttpSettings()

    def __post_init__(self) -> None:
        self.http.endpoint(_LABEL, self.url)
        try:
            parse_secret(self.secret)
        except ValueError:
            raise SettingsError("secret must be whsec_ and the base64 of 24 to 64 random bytes.") from None
        check_receipt_within(self.receipt_within)

    def __repr__(self) -> str:
        """Hide the secret and the path, which may hold one."""
        return f"WebhookSettings({urlsplit(self.url).hostname})"


class _Request(msgspec.Struct, frozen=True):
    type: str
    channel: str
    to: str
    text: str
    subject: str
    html: str
    locale: str
    key: str


class WebhookProvider:
    """Posts messages to one server."""

    def __init__(self, settings: WebhookSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._name = context.name
        self._clock = context.clock
        self._key = parse_secret(settings.secret)
        self._client = HttpClient(settings.http.endpoint(_LABEL, settings.url))

    async def send(self, message: Message) -> Accepted:
        """Post `message` within the time-out; raises DeliveryFailedError.

        `webhook-id` is `message.key` in every try, so that the server can drop repetitions. Receipts name that key, unless the
        server has answered with an id of its own.
        """
        body = msgspec.json.encode(
            _Request(
                type="message.send",
                channel=message.channel.value,
                to=message.to,
                text=message.text,
                subject=message.subject,
                html=message.html,
                locale=message.locale,
                key=message.key,
            )
        )
        signature = sign(self._key, message.key, self._clock() // 1000, body)
        response = await self._client.post(self._settings.url, {"content-type": "application/json", **signature}, body)
        if response.ok:
            return Accepted(_answer(response.body).id or message.key, self._settings.receipt_within)
        if response.status in {400, 422}:
            reason = _reason(_answer(response.body).reason) or Reason.REFUSED
            raise DeliveryFailedError(reason, f"{_LABEL} answered {response.status}: {reason.value}.", permanent=True)
        raise failure_of_response(_LABEL, response, self._clock())

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return the receipt that the server posted; see `parse_receipt`."""
        return (parse_receipt(self._name, self._key, callback.headers, callback.body, self._clock()),)

    async def check(self) -> Connectivity:
        """Return whether the server can be reached."""
        return await self._client.check()

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._client.close()


class _Answer(msgspec.Struct, frozen=True):
    id: str | None = None
    reason: str | None = None


class _Receipt(msgspec.Struct, frozen=True):
    id: str
    state: Literal["delivered", "undelivered"]
    reason: str | None = None


def parse_receipt(provider: str, key: bytes, headers: Mapping[str, str], body: bytes, now: int) -> Receipt:
    """Return the receipt that the server posted: `{"id": ..., "state": "delivered" | "undelivered", "reason": ...}`.

    Arguments:
        provider: the name in `[providers.NAME]`.
        key: the shared key; see `webhook_signature.parse_secret`.
        headers: the headers of the request, names in any case.
        body: its body.
        now: milliseconds since the epoch.

    Raises InputError if the signature is wrong or more than five minutes old, or the body is no such JSON.

    """
    check_size(body)
    verify(key, headers, body, now // 1000)
    try:
        receipt = msgspec.json.decode(body, type=_Receipt)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        receipt = None
    if receipt is None or not 0 < len(receipt.id) <= MAX_ID:
        raise InputError(
            "", "malformed", 'A receipt is {"id": text, "state": "delivered" or "undelivered", "reason": text}.'
        )
    state = ReceiptState(receipt.state)
    reason = _reason(receipt.reason) or Reason.REFUSED if state is ReceiptState.UNDELIVERED else None
    return Receipt(provider, receipt.id, state, reason)


def _answer(body: bytes) -> _Answer:
    """Return what the server answered; empty if it is no such JSON, which is allowed."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Answer()
    if answer.id is not None and (len(answer.id) > MAX_ID or not answer.id.isprintable()):
        return msgspec.structs.replace(answer, id=None)
    return answer


def _reason(word: str | None) -> Reason | None:
    try:
        reason = Reason(word or "")
    except ValueError:
        return None
    return None if reason in _OURS else reason


KIND: Final = ProviderKind(
    summary="a webhook", channels=tuple(Channel), settings=WebhookSettings, provider=WebhookProvider
)
