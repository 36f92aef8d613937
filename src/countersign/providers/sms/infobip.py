"""Infobip: SMS; receipts bear a name and a password (Basic), or come to an address that holds a keyed hash.

Source: the public documentation of Infobip's SMS API (`/sms/2/text/advanced`), its status groups and its GSM error codes.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers import Callback, Connectivity, ProviderContext, ProviderKind
from countersign.providers.fields import ReceiptWithin, check_receipt_within, receipt_patience, require_filled
from countersign.providers.http.account import check_account, judge_status
from countersign.providers.http.client import HttpClient, failure_of_response, usable_id
from countersign.providers.http.payload import error_code, json_at, parse_json
from countersign.providers.http.receipts import (
    basic_credentials,
    check_size,
    make_receipt,
    malformed_receipt,
    wrong_signature,
)
from countersign.providers.http.settings import HttpSettings
from countersign.setting import Described, Group

_LABEL: Final = "Infobip"
_UNDELIVERABLE, _DELIVERED, _EXPIRED, _REJECTED = 2, 3, 4, 5

_REASONS: Final = {
    **dict.fromkeys((1, 5, 11, 12, 2048), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((6, 27, 31), Reason.NO_SIGNAL),
    32: Reason.MAILBOX_FULL,
    **dict.fromkeys((10, 13, 21), Reason.BLOCKED),
}
"""GSM errors of the handset and its network, from Infobip's table."""
_STATUSES: Final = {
    **dict.fromkeys((8, 52), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((6, 11, 12, 14, 17), Reason.MISCONFIGURED),
    **dict.fromkeys((18, 19, 20), Reason.BLOCKED),
    13: Reason.BLOCKED,
}
"""Statuses of the group REJECTED, from Infobip's table."""


class InfobipSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An account. Raises SettingsError."""

    url: Annotated[
        str,
        Described(
            "The base address of the account, which its console shows.",
            expects="an address such as https://abc.api.infobip.com",
            secret=True,
        ),
    ]
    api_key: Annotated[str, Described("The key of the account.", secret=True)]
    sender: Annotated[str, Described("The sender of messages.", expects="a number of yours, or a name")]
    receipt_username: Annotated[
        str, Described("The name that receipts bear (Basic), as it is set up at Infobip for this address.")
    ] = ""
    receipt_password: Annotated[
        str, Described("The password that receipts bear, with the name above.", secret=True)
    ] = ""
    receipt_mark: Annotated[
        bool,
        Described(
            "Whether receipts are held by a keyed hash in their address too, which every log on the way keeps. It counts where there is a"
            " password; without one the hash is all there is."
        ),
    ] = False
    receipt_within: ReceiptWithin = None
    http: Annotated[HttpSettings, Group()] = HttpSettings()

    def __post_init__(self) -> None:
        require_filled(url=self.url, api_key=self.api_key, sender=self.sender)
        if bool(self.receipt_username) != bool(self.receipt_password):
            raise SettingsError("receipt_username and receipt_password come together; one of them is missing.")
        if ":" in self.receipt_username:
            raise SettingsError("receipt_username must have no colon, which ends a name in Basic authentication.")
        check_receipt_within(self.receipt_within)
        self.http.endpoint(_LABEL, self.url)

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"InfobipSettings({self.sender})"


class InfobipProvider:
    """Sends SMS by one account."""

    def __init__(self, settings: InfobipSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._name = context.name
        self._clock = context.clock
        self._callback = settings.http.callback_of(context)
        self._mark = hmac.digest(settings.api_key.encode(), f"receipts:{self._callback}".encode(), "sha256").hex()
        self._basic = basic_credentials(settings.receipt_username, settings.receipt_password)
        self._endpoint = endpoint = settings.http.endpoint(_LABEL, settings.url)
        self._url = f"{endpoint.url}/sms/2/text/advanced"
        self._headers = {"authorization": f"App {settings.api_key}", "content-type": "application/json"}
        self._client = HttpClient(endpoint)

    async def send(self, message: Message) -> Accepted:
        """Send the text, with the key of the message as its id; raises DeliveryFailedError."""
        settings = self._settings
        request: dict[str, Any] = {
            "from": settings.sender,
            "destinations": [{"to": message.to.removeprefix("+"), "messageId": message.key}],
            "text": message.text,
        }
        if self._callback:
            marked = settings.receipt_mark or not self._basic
            request["notifyUrl"] = f"{self._callback}?sig={self._mark}" if marked else self._callback
            request["notifyContentType"] = "application/json"
        response = await self._client.post(self._url, self._headers, msgspec.json.encode({"messages": [request]}))
        answer = parse_json(response.body)
        if not response.ok:
            raise failure_of_response(_LABEL, response, self._clock())
        status = json_at(answer, "messages", 0, "status")
        if error_code(json_at(status, "groupId")) in {_UNDELIVERABLE, _REJECTED}:
            code = error_code(json_at(status, "id"))
            reason = _STATUSES.get(code, Reason.REFUSED)
            raise DeliveryFailedError(reason, f"{_LABEL} rejected it, status {code}.", permanent=True)
        return Accepted(
            usable_id(json_at(answer, "messages", 0, "messageId")) or message.key,
            receipt_patience(settings.receipt_within, self._callback),
        )

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return a receipt for each message in a delivery report that is no longer on its way."""
        check_size(callback.body)
        if not self._is_genuine(callback):
            raise wrong_signature()
        results = json_at(parse_json(callback.body), "results")
        if not isinstance(results, list):
            raise malformed_receipt()
        found: list[Receipt] = []
        for result in results:
            group = error_code(json_at(result, "status", "groupId"))
            if group == _DELIVERED:
                found.append(make_receipt(self._name, json_at(result, "messageId"), ReceiptState.DELIVERED))
            elif group in {_UNDELIVERABLE, _EXPIRED, _REJECTED}:
                reason = _REASONS.get(error_code(json_at(result, "error", "id"))) or _STATUSES.get(
                    error_code(json_at(result, "status", "id")),
                    Reason.NO_SIGNAL if group == _EXPIRED else Reason.REFUSED,
                )
                found.append(make_receipt(self._name, json_at(result, "messageId"), ReceiptState.UNDELIVERED, reason))
        return tuple(found)

    def _is_genuine(self, callback: Callback) -> bool:
        """Return True if a receipt bears the password; where none is set, or `receipt_mark` is on, if its address bears the mark."""
        if self._basic:
            headers = {name.lower(): value for name, value in callback.headers.items()}
            if hmac.compare_digest(headers.get("authorization", "").encode(), self._basic.encode()):
                return True
            if not self._settings.receipt_mark:
                return False
        given = parse_qs(callback.query).get("sig", [""])[0]
        return hmac.compare_digest(given.encode(), self._mark.encode())

    async def check(self) -> Connectivity:
        """Return whether the API can be reached and accepts our key, by asking for the balance of the account."""
        return await check_account(
            self._client,
            lambda: self._client.request("GET", f"{self._endpoint.url}/account/1/balance", self._headers),
            lambda response: judge_status(response, "Check api_key, and that url is the address of this account."),
        )

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._client.close()


KIND: Final = ProviderKind(
    summary="a gateway for SMS", channels=(Channel.SMS,), settings=InfobipSettings, provider=InfobipProvider
)
