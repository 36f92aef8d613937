"""Vonage: SMS by its Messages API; receipts carry a JWT with a digest of their body.

Source: the public documentation of Vonage's Messages API v1, of its Application API v2 and of its signed webhooks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Annotated, Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError
from countersign.providers import Callback, Connectivity, ProviderContext, ProviderKind
from countersign.providers.fields import ReceiptWithin, Url, check_receipt_within, receipt_patience, require_filled
from countersign.providers.http.account import check_account, judge_status
from countersign.providers.http.client import HttpClient, failure_of_response, usable_id
from countersign.providers.http.payload import error_code, json_at, parse_json
from countersign.providers.http.receipts import check_size, make_receipt, malformed_receipt, wrong_signature
from countersign.providers.http.settings import HttpSettings
from countersign.setting import Described, Group

_LABEL: Final = "Vonage"
_FRESH: Final = 300
"""Seconds by which the time of a receipt may differ from ours."""

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


class VonageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An account. Raises SettingsError."""

    api_key: Annotated[str, Described("The key of the account.", secret=True)]
    api_secret: Annotated[str, Described("The secret of the account.", secret=True)]
    sender: Annotated[str, Described("The sender of messages.", expects="a number of yours, or a name")]
    signature_secret: Annotated[
        str, Described("The secret that receipts are signed with; without it none are requested.", secret=True)
    ] = ""
    url: Url = "https://api.nexmo.com"
    receipt_within: ReceiptWithin = None
    http: Annotated[HttpSettings, Group()] = HttpSettings()

    def __post_init__(self) -> None:
        require_filled(api_key=self.api_key, api_secret=self.api_secret, sender=self.sender)
        check_receipt_within(self.receipt_within)
        self.http.endpoint(_LABEL, self.url)

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"VonageSettings({self.sender})"


class VonageProvider:
    """Sends SMS by one account."""

    def __init__(self, settings: VonageSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._name = context.name
        self._clock = context.clock
        self._callback = settings.http.callback_of(context) if settings.signature_secret else ""
        self._endpoint = endpoint = settings.http.endpoint(_LABEL, settings.url)
        key = base64.b64encode(f"{settings.api_key}:{settings.api_secret}".encode()).decode()
        self._url = f"{endpoint.url}/v1/messages"
        self._headers = {"authorization": f"Basic {key}", "content-type": "application/json"}
        self._client = HttpClient(endpoint)

    async def send(self, message: Message) -> Accepted:
        """Send the text; raises DeliveryFailedError.

        `client_ref` is the key of the message, but Vonage does not drop a second message with the same one.
        """
        settings = self._settings
        request: dict[str, Any] = {
            "message_type": "text",
            "channel": "sms",
            "to": message.to.removeprefix("+"),
            "from": settings.sender.removeprefix("+"),
            "text": message.text,
            "client_ref": message.key[:100],
        }
        if self._callback:
            request["webhook_url"] = self._callback
            request["webhook_version"] = "v1"
        response = await self._client.post(self._url, self._headers, msgspec.json.encode(request))
        answer = parse_json(response.body)
        if not response.ok:
            code = error_code(str(json_at(answer, "type") or "").rpartition("#")[2]) or error_code(
                json_at(answer, "title")
            )
            reason = _REASONS.get(code)
            if reason is None or reason is Reason.THROTTLED:
                if response.status == 422:  # noqa: PLR2004 - the request was understood, and cannot be carried out
                    raise DeliveryFailedError(Reason.REFUSED, f"{_LABEL} answered 422.", permanent=True)
                raise failure_of_response(_LABEL, response, self._clock())
            raise DeliveryFailedError(reason, f"{_LABEL} answered {response.status}, error {code}.", permanent=True)
        return Accepted(
            usable_id(json_at(answer, "message_uuid")), receipt_patience(settings.receipt_within, self._callback)
        )

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return the receipt in a status; none for a state on the way."""
        check_size(callback.body)
        body = callback.body
        self._verify(callback.header("authorization"), body)
        posted = parse_json(body)
        if not isinstance(json_at(posted, "status"), str):
            raise malformed_receipt()
        state = _STATES.get(json_at(posted, "status"))
        if state is None:
            return ()
        code = error_code(json_at(posted, "error", "title")) or error_code(
            str(json_at(posted, "error", "type") or "").rpartition("#")[2]
        )
        return (make_receipt(self._name, json_at(posted, "message_uuid"), state, _REASONS.get(code)),)

    async def check(self) -> Connectivity:
        """Return whether the API can be reached and accepts our key, by listing the applications of the account."""
        return await check_account(
            self._client,
            lambda: self._client.request("GET", f"{self._endpoint.url}/v2/applications?page_size=1", self._headers),
            lambda response: judge_status(response, "Check api_key and api_secret."),
        )

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._client.close()

    def _verify(self, authorization: str, body: bytes) -> None:
        """Raise InputError unless the JWT is signed with our secret (HS256), recent, and of this very body."""
        secret = self._settings.signature_secret
        if not secret:
            raise wrong_signature()
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "), OctKey.import_key(secret.encode()), algorithms=["HS256"]
            ).claims
        except (JoseError, ValueError):
            raise wrong_signature() from None
        issued, digest = claims.get("iat"), claims.get("payload_hash")
        if not isinstance(issued, int | float) or abs(self._clock() / 1000 - issued) > _FRESH:
            raise wrong_signature()
        if not isinstance(digest, str) or not hmac.compare_digest(
            digest.lower().encode(), hashlib.sha256(body).hexdigest().encode()
        ):
            raise wrong_signature()


KIND: Final = ProviderKind(
    summary="a gateway for SMS", channels=(Channel.SMS,), settings=VonageSettings, provider=VonageProvider
)
