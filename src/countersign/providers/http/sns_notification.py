"""Read SNS notifications; they are trusted only if signed with a certificate that AWS itself serves.

Source: the public documentation of Amazon SNS, "Verifying the signatures of Amazon SNS messages" and "HTTP/HTTPS notifications".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from countersign.errors import DeliveryFailedError, PeerUnavailableError
from countersign.providers.http.client import Endpoint, HttpClient
from countersign.providers.http.payload import parse_json
from countersign.providers.http.receipts import malformed_receipt, wrong_signature

ARN: Final = re.compile(r"arn:aws(?:-[a-z-]+)?:sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_-]{1,256}", re.ASCII)

_SIGNED: Final = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
"""The fields that the signature of each type covers, in their order; a missing field is left out."""

_HASHES: Final = {"1": SHA1, "2": SHA256}
_MAX_CERTIFICATES: Final = 8
_MAX_URL: Final = 2_000
_PATH: Final = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem", re.ASCII)
"""Where AWS keeps the certificates that sign: one file for each, named by a digest."""

FETCHES: Final = 10
"""Certificates that are fetched in FETCHES_WITHIN, whoever asks: whoever knows the topic's ARN could make us fetch any."""
FETCHES_WITHIN: Final = 60_000
"""Milliseconds. AWS sends a notification that was refused for this reason again later."""
_MAX_FAILURES: Final = 64


class SnsTopic:
    """One topic, with the signing certificates that were fetched so far.

    Arguments:
        arn: the topic; "" if no notification is to be trusted.
        region: the region of the topic.
        endpoint: where SNS is reached, to fetch certificates and to confirm the subscription.
        clock: returns milliseconds since the epoch.

    """

    def __init__(self, arn: str, region: str, endpoint: Endpoint, clock: Callable[[], int]) -> None:
        self._arn = arn
        self._host = f"sns.{region}.amazonaws.com"
        self._base = endpoint.url.rstrip("/")
        self._client = HttpClient(endpoint)
        self._clock = clock
        self._certificates: dict[str, x509.Certificate] = {}
        self._failed: dict[str, int] = {}
        self._fetched: deque[int] = deque(maxlen=FETCHES)

    async def read_message(self, body: bytes) -> Any:  # noqa: ANN401 - whatever JSON was published
        """Return the JSON that a notification holds; None for another message. A request to confirm a subscription is confirmed.

        Raises InputError if the message is not from our topic, PeerUnavailableError if AWS could not be reached: AWS then sends it again.
        """
        message = parse_json(body)
        kind = message.get("Type") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(kind, str) or kind not in _SIGNED:
            raise malformed_receipt()
        # The cheap check comes first: a stranger must not make us fetch anything.
        if not self._arn or message.get("TopicArn") != self._arn:
            raise wrong_signature()
        await self._verify(message, kind)
        if kind == "Notification":
            return parse_json(str(message["Message"]).encode("utf-8", "surrogatepass"))
        if kind == "SubscriptionConfirmation":
            await self._confirm(message)
        return None

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._client.close()

    async def _verify(self, message: dict[str, Any], kind: str) -> None:
        """Raise InputError unless the message is signed by a certificate of AWS."""
        fields = [(name, message[name]) for name in _SIGNED[kind] if message.get(name) is not None]
        there = {name for name, value in fields if isinstance(value, str)} | {"Subject"}
        hash_ = _HASHES.get(str(message.get("SignatureVersion", "")))
        if (
            hash_ is None
            or not there.issuperset(_SIGNED[kind])
            or not isinstance(message.get("Subject", ""), str | None)
        ):
            raise wrong_signature()
        try:
            signature = base64.b64decode(str(message.get("Signature", "")), validate=True)
        except (binascii.Error, ValueError):
            raise wrong_signature() from None
        key = (await self._certificate(str(message.get("SigningCertURL", "")))).public_key()
        if not isinstance(key, RSAPublicKey):
            raise wrong_signature()
        text = "".join(f"{name}\n{value}\n" for name, value in fields).encode("utf-8", "surrogatepass")
        try:
            key.verify(signature, text, PKCS1v15(), hash_())
        except InvalidSignature:
            raise wrong_signature() from None

    async def _certificate(self, url: str) -> x509.Certificate:
        path = self._path_of(url)
        if path is None or not _PATH.fullmatch(path):
            raise wrong_signature()
        found = self._certificates.get(path)
        if found is None:
            found = await self._fetch_certificate(path)
            if len(self._certificates) >= _MAX_CERTIFICATES:
                self._certificates.clear()
            self._certificates[path] = found
        now = datetime.fromtimestamp(self._clock() / 1000, UTC)
        if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
            self._certificates.pop(path, None)
            raise wrong_signature()
        return found

    async def _fetch_certificate(self, path: str) -> x509.Certificate:
        """Return the certificate at a path of SNS. One that was none is not fetched again soon, and all fetches are bounded."""
        now = self._clock()
        if now - self._failed.get(path, -FETCHES_WITHIN) < FETCHES_WITHIN:
            raise wrong_signature()
        if len(self._fetched) == FETCHES and now - self._fetched[0] < FETCHES_WITHIN:
            raise PeerUnavailableError("Many certificates were asked for; the notification will come again.")
        self._fetched.append(now)
        try:
            return x509.load_pem_x509_certificate(await self._fetch(path))
        except ValueError:
            if len(self._failed) >= _MAX_FAILURES:
                self._failed.clear()
            self._failed[path] = now
            raise wrong_signature() from None

    async def _confirm(self, message: dict[str, Any]) -> None:
        url = str(message["SubscribeURL"])
        path = self._path_of(url)
        asked = parse_qs(urlsplit(url).query) if path is not None else {}
        if (
            path not in {"", "/"}
            or asked.get("Action") != ["ConfirmSubscription"]
            or asked.get("TopicArn") != [self._arn]
        ):
            raise wrong_signature()
        await self._fetch(f"/?{urlsplit(url).query}")

    def _path_of(self, url: str) -> str | None:
        """Return the path of a URL of SNS in our region; None for every other URL."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return None
        sound = parts.scheme == "https" and parts.netloc == self._host and port is None and not parts.fragment
        return parts.path if sound and len(url) <= _MAX_URL and url.isascii() and url.isprintable() else None

    async def _fetch(self, path: str) -> bytes:
        try:
            response = await self._client.request("GET", f"{self._base}{path}", {"accept": "*/*"})
        except DeliveryFailedError as error:
            raise PeerUnavailableError(str(error)) from None
        if not response.ok:
            raise PeerUnavailableError(f"AWS SNS answered {response.status}; the notification will come again.")
        return response.body
