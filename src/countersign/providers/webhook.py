"""A webhook: the message as signed JSON to the operator's own sender, which may post signed receipts back."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, Literal
from urllib.parse import urlsplit

import httpx2
import msgspec

from countersign.domain.delivery import LONGEST_TRY, Accepted, Message, Reason, Receipt, ReceiptState
from countersign.errors import DeliveryFailedError, InputError, SettingsError
from countersign.providers import tls
from countersign.providers.destination import addresses
from countersign.providers.signature import key_of, sign, verify

MAX_BODY: Final = 64 * 1024
"""Bytes of an answer or a receipt that are read; more is cut off, or refused."""
MAX_REST: Final = 24 * 60 * 60
"""Seconds; a longer Retry-After is taken as this."""

_MAX_ID: Final = 200
_OURS: Final = frozenset({Reason.NO_ROUTE, Reason.NO_RECEIPT, Reason.TRIES_SPENT, Reason.ENDED, Reason.EXPIRED})
"""Reasons that only we can know; a sender that gives one is taken to have refused."""

# At level DEBUG httpcore2 logs every header of an answer, and a sender may repeat the recipient there.
logging.getLogger("httpcore2").setLevel(logging.INFO)


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
        try:
            parts = urlsplit(self.url)
            port = parts.port
            host = httpx2.URL(self.url).host
        except (ValueError, httpx2.InvalidURL):
            raise SettingsError(
                "webhook url is no address; write it like https://sender.example.org/messages."
            ) from None
        if parts.scheme not in {"https", "http"} or not host or port == 0:
            raise SettingsError("webhook url must begin with https:// and name a host.")
        if parts.scheme == "http" and not self.allow_http:
            raise SettingsError(
                "webhook url would carry codes in the clear; use https, or set allow_http on a network of yours."
            )
        if parts.username is not None or parts.fragment:
            raise SettingsError(
                "webhook url must hold no user name, password or fragment; requests are signed instead."
            )
        try:
            key_of(self.secret)
        except ValueError:
            raise SettingsError("webhook secret must be whsec_ and the base64 of 24 to 64 bytes of chance.") from None
        if not 0 < self.timeout < LONGEST_TRY / 1000:
            raise SettingsError(f"webhook timeout must be above 0 and below {LONGEST_TRY // 1000} seconds.")
        if self.connections < 1:
            raise SettingsError("webhook connections must be at least 1.")
        if self.receipt_within is not None and self.receipt_within <= 0:
            raise SettingsError(
                "webhook receipt_within must be above 0 milliseconds, or left out if there are no receipts."
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
        self._url = httpx2.URL(settings.url)
        # The transport itself and no client around it: no redirects, cookies, proxies or environment, and no URL in a log.
        self._transport = httpx2.AsyncHTTPTransport(
            verify=tls.context(settings.ca_file),
            trust_env=False,
            limits=httpx2.Limits(max_connections=settings.connections, keepalive_expiry=30),
        )

    async def send(self, message: Message) -> Accepted:
        """Post `message` within the time-out; raises DeliveryFailedError.

        `webhook-id` is `message.key` in every try, so that the sender can drop what it has already taken. Where it gives a
        message no id of its own, receipts name that key.
        """
        outcome: Accepted | DeliveryFailedError
        try:
            async with asyncio.timeout(self._settings.timeout):
                outcome = await self._post(message)
        except (TimeoutError, httpx2.TimeoutException):
            outcome = DeliveryFailedError(Reason.TIMED_OUT, "The webhook did not answer in time.", permanent=False)
        except httpx2.HTTPError as error:
            outcome = _broken(error)
        if isinstance(outcome, DeliveryFailedError):
            raise outcome  # outside of the handlers, so that what the library said does not hang on as its context
        return outcome

    async def close(self) -> None:
        """Let go of connections that were kept."""
        await self._transport.aclose()

    async def _post(self, message: Message) -> Accepted | DeliveryFailedError:
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
        host, port = self._url.host, self._url.port or (443 if self._url.scheme == "https" else 80)
        found = await addresses(host, port, allow_private=self._settings.allow_private)
        share = self._settings.timeout / len(found)
        for address in found[:-1]:
            try:
                return await self._post_to(address, message.key, body, share)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue  # nothing was sent: the next address may have it
        return await self._post_to(found[-1], message.key, body, share)

    async def _post_to(self, address: str, key: str, body: bytes, share: float) -> Accepted | DeliveryFailedError:
        """Post to the very address that was judged: a second look-up could be answered differently (DNS rebinding)."""
        request = httpx2.Request(
            "POST",
            self._url.copy_with(host=address),
            headers={
                "host": self._url.netloc.decode("ascii"),
                "content-type": "application/json",
                "accept": "application/json",
                "accept-encoding": "identity",
                "user-agent": "Countersign",
                **sign(self._key, key, self._clock() // 1000, body),
            },
            content=body,
            extensions={
                "sni_hostname": self._url.raw_host.decode("ascii"),
                "timeout": {"connect": share},  # the other waits have one bound together, in `send`
            },
        )
        response = await self._transport.handle_async_request(request)
        try:
            return self._judge(response.status_code, response.headers, await _beginning(response), key)
        finally:
            await response.aclose()

    def _judge(self, status: int, headers: Mapping[str, str], body: bytes, key: str) -> Accepted | DeliveryFailedError:
        if status in _SUCCESS:
            return Accepted(_answer(body).id or key, self._settings.receipt_within)
        shown = f"The webhook answered {status}"
        if status in {429, 503}:
            rest = _rest(headers.get("retry-after", ""), self._clock() // 1000)
            if status == 429 or rest is not None:  # noqa: PLR2004
                return DeliveryFailedError(Reason.THROTTLED, f"{shown}.", permanent=False, retry_after=rest)
        if status in {400, 422}:
            reason = _reason(_answer(body).reason) or Reason.REFUSED
            return DeliveryFailedError(reason, f"{shown}: {reason.value}.", permanent=True)
        if status in {408, 409, 425}:  # it waited too long for us, is still at our last try, or fears a replay
            return DeliveryFailedError(Reason.PROVIDER_ERROR, f"{shown}.", permanent=False)
        if status >= 500:  # noqa: PLR2004
            return DeliveryFailedError(Reason.PROVIDER_ERROR, f"{shown}.", permanent=False)
        hint = {
            401: " Check the secret.",
            403: " Check the secret.",
            404: " Check the url.",
            410: " Check the url.",
        }.get(status, " Redirects are not followed: set the url it leads to." if status in _REDIRECTS else "")
        return DeliveryFailedError(Reason.MISCONFIGURED, f"{shown}.{hint}", permanent=True)


_SUCCESS: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)


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
    if receipt is None or not 0 < len(receipt.id) <= _MAX_ID:
        raise InputError(
            "", "malformed", 'A receipt is {"id": text, "state": "delivered" or "undelivered", "reason": text}.'
        )
    state = ReceiptState(receipt.state)
    reason = _reason(receipt.reason) or Reason.REFUSED if state is ReceiptState.UNDELIVERED else None
    return Receipt(settings.name, receipt.id, state, reason)


async def _beginning(response: httpx2.Response) -> bytes:
    """Return the body, or nothing of one that is longer than MAX_BODY: its rest is not read."""
    found = bytearray()
    async for part in response.aiter_raw():
        found += part
        if len(found) > MAX_BODY:
            return b""
    return bytes(found)


def _answer(body: bytes) -> _Answer:
    """Return what the sender said; an answer that is no such JSON says nothing, which is allowed."""
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _Answer()
    if answer.id is not None and (len(answer.id) > _MAX_ID or not answer.id.isprintable()):
        return msgspec.structs.replace(answer, id=None)
    return answer


def _reason(word: str | None) -> Reason | None:
    try:
        reason = Reason(word or "")
    except ValueError:
        return None
    return None if reason in _OURS else reason


def _rest(text: str, now: int) -> int | None:
    """Return the seconds that a Retry-After asks for, a number or a date (RFC 9110, 10.2.3); None if it is neither."""
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), MAX_REST)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(0, int(date.timestamp()) - now), MAX_REST)


def _broken(error: httpx2.HTTPError) -> DeliveryFailedError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return DeliveryFailedError(
                Reason.MISCONFIGURED,
                "The webhook's certificate is not trusted, or not for this name; renew it, or name its authority in ca_file.",
                permanent=True,
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.RemoteProtocolError):
        return DeliveryFailedError(
            Reason.PROVIDER_ERROR, "The webhook's answer is no HTTP, or broke off.", permanent=False
        )
    return DeliveryFailedError(Reason.UNREACHABLE, "The webhook could not be reached, or hung up.", permanent=False)
