"""A request to a provider over HTTPS: bounded in time and size, to an address that was judged, with every way to fail sorted."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import httpx2
import msgspec

from countersign.domain.delivery.delivery import MAX_TRY, Reason
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers.http import tls
from countersign.providers.http.ssrf_guard import addresses

MAX_BODY: Final = 64 * 1024
"""Bytes of an answer or a receipt that are read; more is cut off, or refused."""
MAX_REST: Final = 24 * 60 * 60
"""Seconds; a longer Retry-After is taken as this."""
MAX_ID: Final = 200
"""Characters of a provider's own id for a message."""

_REDIRECTS: Final = range(300, 400)
_THROTTLED: Final = 429
_UNAVAILABLE: Final = 503
_PASSING: Final = frozenset({408, 409, 425})
"""It waited too long for us, is still at our last try, or fears a replay."""

# At level DEBUG httpcore2 logs every header of an answer, and a sender may repeat the recipient there.
logging.getLogger("httpcore2").setLevel(logging.INFO)


class Endpoint(msgspec.Struct, frozen=True):
    """Where a provider is spoken to, and with what bounds: `timeout` in seconds covers one hand-over whole. `who` begins sentences."""

    who: str
    url: str
    timeout: float = 10.0
    connections: int = 16
    allow_http: bool = False
    allow_private: bool = False
    ca_file: str | None = None

    def check(self, kind: str) -> None:
        """Raise SettingsError where one of these cannot be meant."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
            host = httpx2.URL(self.url).host
        except (ValueError, httpx2.InvalidURL):
            raise SettingsError(
                f"{kind} url is no address; write it like https://sender.example.org/messages."
            ) from None
        if parts.scheme not in {"https", "http"} or not host or port == 0:
            raise SettingsError(f"{kind} url must begin with https:// and name a host.")
        if parts.scheme == "http" and not self.allow_http:
            raise SettingsError(
                f"{kind} url would carry codes in the clear; use https, or set allow_http on a network of yours."
            )
        if parts.username is not None or parts.fragment:
            raise SettingsError(f"{kind} url must hold no user name, password or fragment.")
        if not 0 < self.timeout < MAX_TRY / 1000:
            raise SettingsError(f"{kind} timeout must be above 0 and below {MAX_TRY // 1000} seconds.")
        if self.connections < 1:
            raise SettingsError(f"{kind} connections must be at least 1.")


class ApiResponse(msgspec.Struct, frozen=True):
    """What was answered; `body` is empty where it was longer than MAX_BODY."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Say whether the provider took what it was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, 15.3


class HttpClient:
    """Connections to one endpoint, kept and used again. No redirects, cookies, proxies or environment, and no URL in a log."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport = httpx2.AsyncHTTPTransport(
            verify=tls.context(endpoint.ca_file),
            trust_env=False,
            limits=httpx2.Limits(max_connections=endpoint.connections, keepalive_expiry=30),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ApiResponse:
        """Post `body` and return the answer; raises DeliveryFailedError, within the time-out of the endpoint."""
        return await self.request("POST", url, headers, body)

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> ApiResponse:
        """Make one request and return the answer; raises DeliveryFailedError, within the time-out of the endpoint."""
        who = self._endpoint.who
        outcome: ApiResponse | DeliveryFailedError
        try:
            async with asyncio.timeout(self._endpoint.timeout):
                outcome = await self._to_any(method, httpx2.URL(url), headers, body)
        except (TimeoutError, httpx2.TimeoutException):
            outcome = DeliveryFailedError(Reason.TIMED_OUT, f"{who} did not answer in time.", permanent=False)
        except httpx2.HTTPError as error:
            outcome = _broken(who, error)
        if isinstance(outcome, DeliveryFailedError):
            raise outcome  # outside of the handlers, so that what the library said does not hang on as its context
        return outcome

    async def close(self) -> None:
        """Let go of connections that were kept."""
        await self._transport.aclose()

    async def _to_any(self, method: str, url: httpx2.URL, headers: Mapping[str, str], body: bytes) -> ApiResponse:
        endpoint = self._endpoint
        port = url.port or (443 if url.scheme == "https" else 80)
        found = await addresses(url.host, port, allow_private=endpoint.allow_private, who=endpoint.who)
        share = endpoint.timeout / len(found)
        for address in found[:-1]:
            try:
                return await self._to(address, method, url, headers, body, share=share)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue  # nothing was sent: the next address may have it
        return await self._to(found[-1], method, url, headers, body, share=share)

    async def _to(
        self, address: str, method: str, url: httpx2.URL, headers: Mapping[str, str], body: bytes, *, share: float
    ) -> ApiResponse:
        """Ask the very address that was judged: a second look-up could be answered differently (DNS rebinding)."""
        request = httpx2.Request(
            method,
            url.copy_with(host=address),
            headers={
                "host": url.netloc.decode("ascii"),
                "accept": "application/json",
                "accept-encoding": "identity",
                "user-agent": "Countersign",
                **headers,
            },
            content=body,
            extensions={
                "sni_hostname": url.raw_host.decode("ascii"),
                "timeout": {"connect": share},  # the other waits have one bound together, in `request`
            },
        )
        response = await self._transport.handle_async_request(request)
        try:
            return ApiResponse(response.status_code, response.headers, await _beginning(response))
        finally:
            await response.aclose()


def refusal(who: str, reply: ApiResponse, now: int, detail: str = "") -> DeliveryFailedError:
    """Return what a status that is no success means where the body says nothing better; `now` is in milliseconds.

    429, and 503 with Retry-After: wait. 408, 409, 425, 5xx: try again. All else is a fault of the settings.
    """
    status = reply.status
    shown = f"{who} answered {status}{f' ({detail})' if detail else ''}"
    if status in {_THROTTLED, _UNAVAILABLE}:
        rest = rest_of(reply.headers.get("retry-after", ""), now // 1000)
        if status == _THROTTLED or rest is not None:
            return DeliveryFailedError(Reason.THROTTLED, f"{shown}.", permanent=False, retry_after=rest)
    if status in _PASSING or status >= 500:  # noqa: PLR2004
        return DeliveryFailedError(Reason.PROVIDER_ERROR, f"{shown}.", permanent=False)
    hint = {
        401: " Check the secret.",
        403: " Check the secret.",
        404: " Check the url.",
        410: " Check the url.",
    }.get(status, " Redirects are not followed: set the url it leads to." if status in _REDIRECTS else "")
    return DeliveryFailedError(Reason.MISCONFIGURED, f"{shown}.{hint}", permanent=True)


def rest_of(text: str, now: int) -> int | None:
    """Return the seconds that a Retry-After asks for, a number or a date (RFC 9110, 10.2.3); None if it is neither. `now` in seconds."""
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), MAX_REST)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(0, int(date.timestamp()) - now), MAX_REST)


def usable_id(text: object) -> str:
    """Return a provider's own id for a message if it is one that can be kept, else ""."""
    return text if isinstance(text, str) and len(text) <= MAX_ID and text.isprintable() else ""


async def _beginning(response: httpx2.Response) -> bytes:
    """Return the body, or nothing of one that is longer than MAX_BODY: its rest is not read."""
    found = bytearray()
    async for part in response.aiter_raw():
        found += part
        if len(found) > MAX_BODY:
            return b""
    return bytes(found)


def _broken(who: str, error: httpx2.HTTPError) -> DeliveryFailedError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return DeliveryFailedError(
                Reason.MISCONFIGURED,
                f"{who}: its certificate is not trusted, or not for this name; renew it, or name its authority in ca_file.",
                permanent=True,
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.RemoteProtocolError):
        return DeliveryFailedError(
            Reason.PROVIDER_ERROR, f"{who}: its answer is no HTTP, or broke off.", permanent=False
        )
    return DeliveryFailedError(Reason.UNREACHABLE, f"{who} could not be reached, or hung up.", permanent=False)
