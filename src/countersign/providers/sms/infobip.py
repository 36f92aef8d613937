"""Infobip: SMS; receipts come to an address of ours that carries a keyed hash, since Infobip signs none by default.

Source: the public documentation of Infobip's SMS API (`/sms/2/text/advanced`), its status groups and its GSM error codes.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.errors import DeliveryFailedError, SettingsError
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

_WHO: Final = "Infobip"
_UNDELIVERABLE, _DELIVERED, _EXPIRED, _REJECTED = 2, 3, 4, 5

_REASONS: Final = {
    **dict.fromkeys((1, 5, 11, 12, 2048), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((6, 27, 31), Reason.NO_SIGNAL),
    32: Reason.MAILBOX_FULL,
    **dict.fromkeys((10, 13, 21), Reason.BLOCKED),
}
"""GSM errors of the handset and its network, by Infobip's table."""
_STATUSES: Final = {
    **dict.fromkeys((8, 52), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((6, 11, 12, 14, 17), Reason.MISCONFIGURED),
    **dict.fromkeys((18, 19, 20), Reason.BLOCKED),
    13: Reason.BLOCKED,
}
"""Statuses of the group REJECTED, by Infobip's table."""


class InfobipSettings(ApiSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account: `url` is its own base address (such as https://abc.api.infobip.com). Raises SettingsError."""

    api_key: str
    sender: str

    def __post_init__(self) -> None:
        if not self.url:
            raise SettingsError("infobip url is required: the base address of your account, in its console.")
        filled("infobip", api_key=self.api_key, sender=self.sender)
        self.place()

    def place(self) -> Endpoint:
        """Return where the API is."""
        return self.endpoint(_WHO, "")


class InfobipProvider:
    """Sends SMS by one account. `clock` returns milliseconds since the epoch."""

    def __init__(self, settings: InfobipSettings, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        endpoint = settings.place()
        self._url = f"{endpoint.url}/sms/2/text/advanced"
        self._headers = {"authorization": f"App {settings.api_key}", "content-type": "application/json"}
        self._line = HttpClient(endpoint)

    async def send(self, message: Message) -> Accepted:
        """Send the text under our own key as its id; raises DeliveryFailedError."""
        settings = self._settings
        wanted: dict[str, Any] = {
            "from": settings.sender,
            "destinations": [{"to": message.to.removeprefix("+"), "messageId": message.key}],
            "text": message.text,
        }
        if settings.callback:
            wanted["notifyUrl"] = f"{settings.callback}?sig={_mark(settings)}"
            wanted["notifyContentType"] = "application/json"
        reply = await self._line.post(self._url, self._headers, msgspec.json.encode({"messages": [wanted]}))
        answer = document(reply.body)
        if not reply.ok:
            raise refusal(_WHO, reply, self._clock())
        status = at(answer, "messages", 0, "status")
        if number(at(status, "groupId")) in {_UNDELIVERABLE, _REJECTED}:
            code = number(at(status, "id"))
            reason = _STATUSES.get(code, Reason.REFUSED)
            raise DeliveryFailedError(reason, f"{_WHO} rejected it, status {code}.", permanent=True)
        return Accepted(usable_id(at(answer, "messages", 0, "messageId")) or message.key, settings.patience)

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return what a delivery report says of each of its messages; of one on the way, nothing yet."""
        given = parse_qs(bounded(callback).query).get("sig", [""])[0]
        if not hmac.compare_digest(given.encode(), _mark(self._settings).encode()):
            raise forged()
        results = at(document(callback.body), "results")
        if not isinstance(results, list):
            raise malformed()
        found: list[Receipt] = []
        for result in results:
            group = number(at(result, "status", "groupId"))
            if group == _DELIVERED:
                found.append(told(self._settings.name, at(result, "messageId"), ReceiptState.DELIVERED))
            elif group in {_UNDELIVERABLE, _EXPIRED, _REJECTED}:
                reason = _REASONS.get(number(at(result, "error", "id"))) or _STATUSES.get(
                    number(at(result, "status", "id")), Reason.NO_SIGNAL if group == _EXPIRED else Reason.REFUSED
                )
                found.append(told(self._settings.name, at(result, "messageId"), ReceiptState.UNDELIVERED, reason))
        return tuple(found)

    async def close(self) -> None:
        """Let go of connections that were kept."""
        await self._line.close()


def _mark(settings: InfobipSettings) -> str:
    return hmac.digest(settings.api_key.encode(), f"receipts:{settings.callback}".encode(), "sha256").hex()
