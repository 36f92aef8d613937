"""Vonage: SMS by its Messages API; receipts carry a JWT that holds a digest of their body.

Source: the public documentation of Vonage's Messages API v1 and of its signed webhooks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.errors import DeliveryFailedError
from countersign.providers import Callback
from countersign.providers.http.api_settings import (
    ApiSettings,
    at,
    bounded,
    document,
    filled,
    forged,
    malformed,
    number,
    told,
)
from countersign.providers.http.client import Endpoint, HttpClient, refusal, usable_id

_WHO: Final = "Vonage"
_API: Final = "https://api.nexmo.com"
_FRESH: Final = 300
"""Seconds by which a receipt's time may differ from ours."""

_REASONS: Final = {
    1000: Reason.THROTTLED,
    **dict.fromkeys((1050, 1110, 1130, 1140, 1240, 1250, 1280, 1300, 1380), Reason.REFUSED),
    **dict.fromkeys((1120, 1020, 1021, 1022, 1030), Reason.MISCONFIGURED),
    **dict.fromkeys((1170, 1180), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((1160, 1190, 1210, 1220, 1230, 1290), Reason.BLOCKED),
    1260: Reason.NO_SIGNAL,
    1270: Reason.NO_SIGNAL,
}
_STATES: Final = {
    "delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.DELIVERED,
    "rejected": ReceiptState.UNDELIVERED,
    "undeliverable": ReceiptState.UNDELIVERED,
}


class VonageSettings(ApiSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account: its key and secret; `signature_secret` signs receipts, `sender` is a number or a name. Raises SettingsError."""

    api_key: str
    api_secret: str
    sender: str
    signature_secret: str = ""

    def __post_init__(self) -> None:
        filled("vonage", api_key=self.api_key, api_secret=self.api_secret, sender=self.sender)
        self.place()

    def place(self) -> Endpoint:
        """Return where the API is."""
        return self.endpoint(_WHO, _API)


class VonageProvider:
    """Sends SMS by one account. `clock` returns milliseconds since the epoch."""

    def __init__(self, settings: VonageSettings, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        endpoint = settings.place()
        key = base64.b64encode(f"{settings.api_key}:{settings.api_secret}".encode()).decode()
        self._url = f"{endpoint.url}/v1/messages"
        self._headers = {"authorization": f"Basic {key}", "content-type": "application/json"}
        self._line = HttpClient(endpoint)

    async def send(self, message: Message) -> Accepted:
        """Send the text; raises DeliveryFailedError. `client_ref` names it, but Vonage does not drop a second one for that."""
        settings = self._settings
        wanted: dict[str, Any] = {
            "message_type": "text",
            "channel": "sms",
            "to": message.to.removeprefix("+"),
            "from": settings.sender.removeprefix("+"),
            "text": message.text,
            "client_ref": message.key[:100],
        }
        receipts = bool(settings.callback and settings.signature_secret)
        if receipts:
            wanted["webhook_url"] = settings.callback
            wanted["webhook_version"] = "v1"
        reply = await self._line.post(self._url, self._headers, msgspec.json.encode(wanted))
        answer = document(reply.body)
        if not reply.ok:
            code = number(str(at(answer, "type") or "").rpartition("#")[2]) or number(at(answer, "title"))
            reason = _REASONS.get(code)
            if reason is None or reason is Reason.THROTTLED:
                if reply.status == 422:  # noqa: PLR2004 - it was understood, and cannot be done
                    raise DeliveryFailedError(Reason.REFUSED, f"{_WHO} answered 422.", permanent=True)
                raise refusal(_WHO, reply, self._clock())
            raise DeliveryFailedError(reason, f"{_WHO} answered {reply.status}, error {code}.", permanent=True)
        return Accepted(usable_id(at(answer, "message_uuid")), settings.patience if receipts else None)

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return what a status says; one on the way says nothing yet."""
        body = bounded(callback).body
        self._judge(callback.header("authorization"), body)
        said = document(body)
        if not isinstance(at(said, "status"), str):
            raise malformed()
        state = _STATES.get(at(said, "status"))
        if state is None:
            return ()
        code = number(at(said, "error", "title")) or number(str(at(said, "error", "type") or "").rpartition("#")[2])
        return (told(self._settings.name, at(said, "message_uuid"), state, _REASONS.get(code)),)

    async def close(self) -> None:
        """Let go of connections that were kept."""
        await self._line.close()

    def _judge(self, authorization: str, body: bytes) -> None:
        """Raise InputError unless the JWT is signed with our secret (HS256), fresh, and of this very body."""
        secret = self._settings.signature_secret
        if not secret:
            raise forged()
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "), OctKey.import_key(secret.encode()), algorithms=["HS256"]
            ).claims
        except (JoseError, ValueError):
            raise forged() from None
        issued, digest = claims.get("iat"), claims.get("payload_hash")
        if not isinstance(issued, int | float) or abs(self._clock() / 1000 - issued) > _FRESH:
            raise forged()
        if not isinstance(digest, str) or not hmac.compare_digest(
            digest.lower().encode(), hashlib.sha256(body).hexdigest().encode()
        ):
            raise forged()
