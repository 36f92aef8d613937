"""A webhook: the message as signed JSON to the operator's own sender, which may post signed receipts back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.errors import DeliveryFailedError, InputError, SettingsError
from countersign.providers import Callback
from countersign.providers.http.client import MAX_BODY, MAX_ID, Endpoint, HttpClient, refusal
from countersign.providers.http.webhook_signature import key_of, sign, verify

_OURS: Final = frozenset({Reason.NO_ROUTE, Reason.NO_RECEIPT, Reason.TRIES_SPENT, Reason.ENDED, Reason.EXPIRED})
"""Reasons that only we can know; a sender that gives one is taken to have refused."""


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The operator's sender and the secret shared with it.

    `secret` is `whsec_` and the base64 of 24 to 64 bytes. `timeout` is in seconds and covers one hand-over whole. `receipt_within`, in
    milliseconds, says that receipts are posted back and when one is overdue. `name` is the provider's name in routes and
    receipts. Raises SettingsError.
    """

    url: str
    secret: str
    name: str = "webhook"
    allow_http: bool = False
    allow_private: bool = False
    timeout: float = 10.0
    connections: int = 16
    receipt_within: int | None = None
    ca_file: str | None = None

    def __post_init__(self) -> None:
        self.endpoint.check("webhook")
        try:
            key_of(self.secret)
        except ValueError:
            raise SettingsError("webhook secret must be whsec_ and the base64 of 24 to 64 bytes of chance.") from None
        if self.receipt_within is not None and self.receipt_within <= 0:
            raise SettingsError(
                "webhook receipt_within must be above 0 milliseconds, or left out if there are no receipts."
            )

    @property
    def endpoint(self) -> Endpoint:
        """Return where it is, with its bounds."""
        return Endpoint(
            "The webhook",
            self.url,
            self.timeout,
            self.connections,
            self.allow_http,
            self.allow_private,
            self.ca_file,
        )

    def __repr__(self) -> str:
        """Hide the secret and the path, which some take for one."""
        return f"WebhookSettings({self.name}, {urlsplit(self.url).hostname})"


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
    """Posts messages to one sender. `clock` returns milliseconds since the epoch."""

    def __init__(self, settings: WebhookSettings, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        self._key = key_of(settings.secret)
        self._line = HttpClient(settings.endpoint)

    async def send(self, message: Message) -> Accepted:
        """Post `message` within the time-out; raises DeliveryFailedError.

        `webhook-id` is `message.key` in every try, so that the sender can drop what it has already taken. Where it gives a
        message no id of its own, receipts name that key.
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
        signed = sign(self._key, message.key, self._clock() // 1000, body)
        reply = await self._line.post(self._settings.url, {"content-type": "application/json", **signed}, body)
        if reply.ok:
            return Accepted(_answer(reply.body).id or message.key, self._settings.receipt_within)
        if reply.status in {400, 422}:
            reason = _reason(_answer(reply.body).reason) or Reason.REFUSED
            raise DeliveryFailedError(reason, f"The webhook answered {reply.status}: {reason.value}.", permanent=True)
        raise refusal("The webhook", reply, self._clock())

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return the receipt that the sender posted; see `parse_receipt`."""
        return (parse_receipt(self._settings, callback.headers, callback.body, self._clock()),)

    async def close(self) -> None:
        """Let go of connections that were kept."""
        await self._line.close()


class _Answer(msgspec.Struct, frozen=True):
    id: str | None = None
    reason: str | None = None


class _Receipt(msgspec.Struct, frozen=True):
    id: str
    state: Literal["delivered", "undelivered"]
    reason: str | None = None


def parse_receipt(settings: WebhookSettings, headers: Mapping[str, str], body: bytes, now: int) -> Receipt:
    """Return the receipt that the sender posted: `{"id": ..., "state": "delivered" | "undelivered", "reason": ...}`.

    `now` is in milliseconds. Raises InputError where the signature is wrong or more than five minutes old, or the body no such JSON.
    """
    if len(body) > MAX_BODY:
        raise InputError("", "too_large", f"A receipt has at most {MAX_BODY} bytes.")
    verify(key_of(settings.secret), headers, body, now // 1000)
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
    return Receipt(settings.name, receipt.id, state, reason)


def _answer(body: bytes) -> _Answer:
    """Return what the sender said; an answer that is no such JSON says nothing, which is allowed."""
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
