"""Make HTTPS requests to a provider: bounded in time and size, to checked addresses only, with every failure sorted."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import httpx2
import msgspec
import structlog

from countersign.domain.delivery.delivery import MAX_TRY, Reason
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers import Connectivity, TlsPeer
from countersign.providers.http import tls
from countersign.providers.http.ssrf_guard import resolve_allowed

MAX_BODY: Final = 64 * 1024
"""Bytes of a response or a receipt that are read; a longer response counts as empty, a longer receipt is refused."""
MAX_RETRY_AFTER: Final = 24 * 60 * 60
"""Seconds; a longer Retry-After is taken as this."""
MAX_ID: Final = 200
"""Characters of a provider's own id for a message."""

SKEWED: Final = 30_000
"""Milliseconds. A clock that is so much off has codes of authenticator apps refused; signed requests are refused from five minutes on."""

_REDIRECTS: Final = range(300, 400)
_THROTTLED: Final = 429
_UNAVAILABLE: Final = 503
_TEMPORARY: Final = frozenset({408, 409, 425})
"""The server waited too long for our request, still works on the last try, or will not risk a replay."""

# At level DEBUG httpcore2 logs every header of a response, and a provider may repeat the recipient there.
logging.getLogger("httpcore2").setLevel(logging.INFO)


_log = structlog.get_logger("countersign.clock")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider is reached, and the bounds of each request.

    Arguments:
        label: the provider's name as it begins sentences: "Twilio".
        url: the address of its API, without a slash at the end.
        timeout: seconds for one request as a whole, name resolution included.
        connections: the most requests at once.
        allow_http: whether the address may begin with http://.
        allow_private: whether the host may be in a private network.
        ca_file: authorities to trust instead of the system's, in PEM form.

    """

    label: str
    url: str
    timeout: float = 10.0
    connections: int = 16
    allow_http: bool = False
    allow_private: bool = False
    ca_file: str | None = None

    def check(self, setting: str = "url") -> None:
        """Raise SettingsError if something cannot be meant; `setting` is what the settings call the address."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
            host = httpx2.URL(self.url).host
        except (ValueError, httpx2.InvalidURL):
            raise SettingsError(
                f"{setting} is no address; write it like https://sender.example.org/messages."
            ) from None
        if parts.scheme not in {"https", "http"} or not host or port == 0:
            raise SettingsError(f"{setting} must begin with https:// and name a host.")
        if parts.scheme == "http" and not self.allow_http:
            raise SettingsError(
                f"{setting} would send codes unencrypted; use https, or set allow_http on a network of yours."
            )
        if parts.username is not None or parts.fragment:
            raise SettingsError(f"{setting} must hold no user name, password or fragment.")
        if not 0 < self.timeout < MAX_TRY / 1000:
            raise SettingsError(f"timeout must be above 0 and below {MAX_TRY // 1000} seconds.")
        if self.connections < 1:
            raise SettingsError("connections must be at least 1.")


class ApiResponse(msgspec.Struct, frozen=True):
    """A response; `body` is empty if it was longer than MAX_BODY."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Return True if the provider accepted the request."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110, 15.3


class HttpClient:
    """Keeps connections to one endpoint and uses them again.

    It follows no redirect, keeps no cookie, uses no proxy, reads no environment variable, and no URL reaches a log.

        client = HttpClient(endpoint)
        response = await client.post(f"{endpoint.url}/messages", {"content-type": "application/json"}, body)
        if not response.ok:
            raise failure_of_response("Twilio", response, clock())

    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport = httpx2.AsyncHTTPTransport(
            verify=tls.client_context(endpoint.ca_file),
            trust_env=False,
            limits=httpx2.Limits(max_connections=endpoint.connections, keepalive_expiry=30),
        )
        self._is_skewed = False

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ApiResponse:
        """Post `body` and return the response; raises DeliveryFailedError, within the time-out of the endpoint."""
        return await self.request("POST", url, headers, body)

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> ApiResponse:
        """Make one request and return the response, whatever its status.

        Raises DeliveryFailedError if there is none within the time-out of the endpoint.
        """
        label = self._endpoint.label
        outcome: ApiResponse | DeliveryFailedError
        addresses: list[str] = []
        before = time.time()
        try:
            async with asyncio.timeout(self._endpoint.timeout):
                addresses += await self._resolve(httpx2.URL(url))
                outcome = await self._try_addresses(addresses, method, httpx2.URL(url), headers, body)
        except (TimeoutError, httpx2.TimeoutException):
            outcome = (
                DeliveryFailedError(Reason.TIMED_OUT, f"{label} did not answer in time.", permanent=False)
                if addresses
                else DeliveryFailedError(
                    Reason.UNREACHABLE, f"{label}: no DNS server told the address of its host in time.", permanent=False
                )
            )
        except httpx2.HTTPError as error:
            outcome = _failure_of_error(label, error)
        if isinstance(outcome, DeliveryFailedError):
            raise outcome  # outside of the handlers: the library's error may name the recipient, and would be its context
        self._compare_clocks(measure_ahead(outcome.headers, before))
        return outcome

    async def check(self) -> Connectivity:
        """Return whether the endpoint can be reached, and its certificate is valid; nothing is sent."""
        endpoint = self._endpoint
        parts = urlsplit(endpoint.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = await resolve_allowed(host, port, allow_private=endpoint.allow_private, label=endpoint.label)
        except DeliveryFailedError as error:
            return Connectivity(str(error), "Check the url; for a network of your own set allow_private.")
        context = tls.client_context(endpoint.ca_file) if parts.scheme == "https" else None
        peer = None if context is None else TlsPeer(host, port, endpoint.ca_file)
        try:
            _, writer = await asyncio.open_connection(
                found[0], port, ssl=context, server_hostname=host if context is not None else None
            )
            writer.close()
        except ssl.SSLCertVerificationError as error:
            fault = tls.certificate_fault(error)
            what, remedy = (fault.what, fault.remedy) if fault else ("", "")
            return Connectivity(f"{host} port {port}: its certificate is not valid: it {what}.", remedy, peer)
        except ssl.SSLError as error:
            return Connectivity(
                f"{host} port {port}: TLS failed there ({error.reason or type(error).__name__}).",
                "Check that it speaks TLS on this port, and look at its own log. Its certificate was not reached.",
            )
        except OSError as error:
            return Connectivity(
                f"{host} port {port} cannot be reached ({type(error).__name__}).",
                "Check the url, and that the server runs.",
            )
        return Connectivity(
            f"{host} port {port} can be reached{' over TLS' if context is not None else ' without TLS'}", peer=peer
        )

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._transport.aclose()

    def _compare_clocks(self, ahead: int | None) -> None:
        """Log once that our clock and the provider's differ, and once that they agree. On a single machine nobody else would say so."""
        if ahead is None or (abs(ahead) >= SKEWED) == self._is_skewed:
            return
        self._is_skewed = not self._is_skewed
        if self._is_skewed:
            _log.warning(
                "provider_clock_differs",
                provider=self._endpoint.label,
                seconds=round(ahead / 1_000),
                remedy="Synchronise this machine by NTP. `countersign doctor` compares it with every provider.",
            )
        else:
            _log.info("provider_clock_agrees", provider=self._endpoint.label)

    async def _resolve(self, url: httpx2.URL) -> list[str]:
        port = url.port or (443 if url.scheme == "https" else 80)
        return await resolve_allowed(
            url.host, port, allow_private=self._endpoint.allow_private, label=self._endpoint.label
        )

    async def _try_addresses(
        self, found: Sequence[str], method: str, url: httpx2.URL, headers: Mapping[str, str], body: bytes
    ) -> ApiResponse:
        share = self._endpoint.timeout / len(found)
        for address in found[:-1]:
            try:
                return await self._try_address(address, method, url, headers, body, share=share)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue  # nothing was sent, so the next address may be tried
        return await self._try_address(found[-1], method, url, headers, body, share=share)

    async def _try_address(
        self, address: str, method: str, url: httpx2.URL, headers: Mapping[str, str], body: bytes, *, share: float
    ) -> ApiResponse:
        """Connect to the very address that was checked: a second look-up could be answered differently (DNS rebinding)."""
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
                "timeout": {"connect": share},  # `request` bounds all other waits together
            },
        )
        response = await self._transport.handle_async_request(request)
        try:
            return ApiResponse(response.status_code, response.headers, await _read_body(response))
        finally:
            await response.aclose()


def failure_of_response(label: str, response: ApiResponse, now: int, detail: str = "") -> DeliveryFailedError:
    """Return the failure that an unsuccessful status stands for, if the body says nothing better.

    429, and 503 with Retry-After, ask to wait. 408, 409, 425 and 5xx are temporary. All else is a fault of the settings.

    Arguments:
        label: the provider's name as it begins sentences.
        response: a response whose `ok` is False.
        now: milliseconds since the epoch, for a Retry-After that is a date.
        detail: what the provider said, to stand in parentheses; nothing of the message or the recipient.

    """
    status = response.status
    text = f"{label} answered {status}{f' ({detail})' if detail else ''}"
    if status in {_THROTTLED, _UNAVAILABLE}:
        seconds = parse_retry_after(response.headers.get("retry-after", ""), now // 1000)
        if status == _THROTTLED or seconds is not None:
            return DeliveryFailedError(Reason.THROTTLED, f"{text}.", permanent=False, retry_after=seconds)
    if status in _TEMPORARY or status >= 500:  # noqa: PLR2004
        return DeliveryFailedError(Reason.PROVIDER_ERROR, f"{text}.", permanent=False)
    hint = {
        401: " Check the secret.",
        403: " Check the secret.",
        404: " Check the url.",
        410: " Check the url.",
    }.get(status, " Redirects are not followed: set the url it leads to." if status in _REDIRECTS else "")
    return DeliveryFailedError(Reason.MISCONFIGURED, f"{text}.{hint}", permanent=True)


def parse_retry_after(text: str, now: int) -> int | None:
    """Return the seconds that a Retry-After asks for, as a number or a date (RFC 9110, 10.2.3); None if it is neither.

    `now` is in seconds since the epoch; the result is at most MAX_RETRY_AFTER.
    """
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), MAX_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(0, int(date.timestamp()) - now), MAX_RETRY_AFTER)


def measure_ahead(headers: Mapping[str, str], before: float) -> int | None:
    """Return by how many ms we are ahead of the Date of a response (RFC 9110, 6.6.1), at least; None if it has none.

    `before` is when the request was made, in seconds. A Date has whole seconds, and is of some moment between the request and its response.
    """
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, IndexError, OverflowError):  # whatever it is, the message was taken
        return None
    theirs = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    if theirs + 1 < before:
        return round((before - theirs - 1) * 1_000)
    after = time.time()
    return round((after - theirs) * 1_000) if theirs > after else 0


def usable_id(text: object) -> str:
    """Return a provider's id of a message if it can be stored, else ""."""
    return text if isinstance(text, str) and len(text) <= MAX_ID and text.isprintable() else ""


async def _read_body(response: httpx2.Response) -> bytes:
    """Return the body; empty if it is longer than MAX_BODY, whose rest is not read."""
    found = bytearray()
    async for part in response.aiter_raw():
        found += part
        if len(found) > MAX_BODY:
            return b""
    return bytes(found)


def _failure_of_error(label: str, error: httpx2.HTTPError) -> DeliveryFailedError:
    fault = tls.certificate_fault(error)
    if fault is not None:
        return DeliveryFailedError(
            Reason.MISCONFIGURED, f"{label}: its certificate {fault.what}. {fault.remedy}", permanent=not fault.passes
        )
    if tls.is_tls_failure(error):
        return DeliveryFailedError(Reason.UNREACHABLE, f"{label}: TLS failed on its side.", permanent=False)
    if isinstance(error, httpx2.RemoteProtocolError):
        return DeliveryFailedError(
            Reason.PROVIDER_ERROR, f"{label}: its response is no HTTP, or broke off.", permanent=False
        )
    return DeliveryFailedError(
        Reason.UNREACHABLE, f"{label} could not be reached, or closed the connection.", permanent=False
    )
