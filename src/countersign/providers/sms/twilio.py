"""Twilio: SMS by Messages, calls by Voice; receipts are forms signed with the account's token.

Source: the public documentation of Twilio's Messages, Calls and TwiML <Say>, its error dictionary and its page on request signing.
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import Annotated, Final
from urllib.parse import quote, urlencode, urlsplit
from xml.sax.saxutils import escape, quoteattr

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError
from countersign.providers import Callback, Connectivity, ProviderContext, ProviderKind
from countersign.providers.fields import ReceiptWithin, Url, check_receipt_within, receipt_patience, require_filled
from countersign.providers.http.account import NOT_FOUND, AccountFinding, check_account, judge_status
from countersign.providers.http.client import ApiResponse, HttpClient, failure_of_response, usable_id
from countersign.providers.http.payload import error_code, json_at, parse_form, parse_json
from countersign.providers.http.receipts import make_receipt, malformed_receipt, wrong_signature
from countersign.providers.http.settings import HttpSettings
from countersign.setting import Described, Group

_LABEL: Final = "Twilio"

_REASONS: Final = {
    **dict.fromkeys((21201, 21211, 21214, 21217, 21219, 21614, 30005, 30006), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((21610, 21612, 30004, 30007, 30450), Reason.BLOCKED),
    **dict.fromkeys((20003, 20404, 21212, 21408, 21603, 21606, 21659, 21910, 30034), Reason.MISCONFIGURED),
    **dict.fromkeys((20429, 30001, 30022), Reason.THROTTLED),
    30003: Reason.NO_SIGNAL,
    30008: Reason.REFUSED,
}
_NO_ACCOUNT: Final = 20404
_TEMPORARY: Final = frozenset({Reason.THROTTLED})

_MESSAGES: Final = {
    "delivered": ReceiptState.DELIVERED,
    "read": ReceiptState.DELIVERED,
    "undelivered": ReceiptState.UNDELIVERED,
    "failed": ReceiptState.UNDELIVERED,
}
_CALLS: Final = {
    "completed": (ReceiptState.DELIVERED, None),
    "busy": (ReceiptState.UNDELIVERED, Reason.REFUSED),
    "no-answer": (ReceiptState.UNDELIVERED, Reason.NO_SIGNAL),
    "canceled": (ReceiptState.UNDELIVERED, Reason.REFUSED),
    "failed": (ReceiptState.UNDELIVERED, Reason.UNKNOWN_RECIPIENT),
}
_VOICES: Final = {
    "ar": "arb", "de": "de-DE", "en": "en-US", "es": "es-ES", "fr": "fr-FR", "he": "he-IL", "it": "it-IT", "ja": "ja-JP",
    "nl": "nl-NL", "pl": "pl-PL", "pt": "pt-BR", "tr": "tr-TR",
}  # fmt: skip
_REGIONAL: Final = frozenset({"en-GB", "en-AU", "en-IN", "es-MX", "es-US", "fr-CA", "pt-PT", "pt-BR"})
# A spelled code: at least three single characters with commas between them.
_SPELLED: Final = re.compile(r"\b[0-9A-Z](?:[,.] [0-9A-Z]){2,}\b")


class TwilioSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An account. Raises SettingsError."""

    account_sid: Annotated[str, Described("The account.", expects="a text such as AC...")]
    auth_token: Annotated[str, Described("The token of the account.", secret=True)]
    sender: Annotated[
        str,
        Described(
            "The sender of messages and calls.",
            expects="a number of yours, a name, or a Messaging Service (MG..., which makes no calls)",
        ),
    ]
    url: Url = "https://api.twilio.com"
    receipt_within: ReceiptWithin = None
    http: Annotated[HttpSettings, Group()] = HttpSettings()

    def __post_init__(self) -> None:
        require_filled(account_sid=self.account_sid, auth_token=self.auth_token, sender=self.sender)
        check_receipt_within(self.receipt_within)
        self.http.endpoint(_LABEL, self.url)

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"TwilioSettings({self.sender})"


class TwilioProvider:
    """Sends SMS and makes calls by one account."""

    def __init__(self, settings: TwilioSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._name = context.name
        self._clock = context.clock
        self._callback = settings.http.callback_of(context)
        endpoint = settings.http.endpoint(_LABEL, settings.url)
        self._base = f"{endpoint.url}/2010-04-01/Accounts/{quote(settings.account_sid, safe='')}"
        key = base64.b64encode(f"{settings.account_sid}:{settings.auth_token}".encode()).decode()
        self._headers = {"authorization": f"Basic {key}", "content-type": "application/x-www-form-urlencoded"}
        self._client = HttpClient(endpoint)

    async def send(self, message: Message) -> Accepted:
        """Send the text, or call and say it; raises DeliveryFailedError.

        Twilio has no idempotency key: if its response is lost, the next try may be a second message.
        """
        settings = self._settings
        fields = {"To": message.to}
        service = settings.sender.startswith("MG") and message.channel is Channel.SMS
        fields["MessagingServiceSid" if service else "From"] = settings.sender
        if message.channel is Channel.VOICE:
            fields["Twiml"] = twiml(message)
        else:
            fields["Body"] = message.text
        if self._callback:
            fields["StatusCallback"] = self._callback
        kind = "Calls" if message.channel is Channel.VOICE else "Messages"
        response = await self._client.post(f"{self._base}/{kind}.json", self._headers, urlencode(fields).encode())
        if not response.ok:
            raise _failure(response, self._clock())
        return Accepted(
            usable_id(json_at(parse_json(response.body), "sid")),
            receipt_patience(settings.receipt_within, self._callback),
        )

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return the receipt in a status callback; none for a state on the way."""
        fields = parse_form(callback.body)
        if not self._is_signed(callback.header("x-twilio-signature"), fields):
            raise wrong_signature()
        given = dict(fields)
        call = given.get("CallSid")
        if call is not None:
            outcome = _CALLS.get(given.get("CallStatus", ""))
            return () if outcome is None else (make_receipt(self._name, call, *outcome),)
        if "MessageStatus" not in given:
            raise malformed_receipt()
        state = _MESSAGES.get(given["MessageStatus"])
        if state is None:
            return ()
        reason = _REASONS.get(error_code(given.get("ErrorCode", "")))
        return (make_receipt(self._name, given.get("MessageSid"), state, reason),)

    def _is_signed(self, signature: str, fields: list[tuple[str, str]]) -> bool:
        """Return True if the form is signed over our address, with the port or without it: Twilio does either."""
        is_signed = False
        for url in both_ports(self._callback):
            expected = request_signature(self._settings.auth_token, url, fields)
            is_signed |= hmac.compare_digest(expected.encode(), signature.encode())
        return is_signed

    async def check(self) -> Connectivity:
        """Return whether the API can be reached, and whether the account is ours and active (GET of the account)."""
        return await check_account(
            self._client, lambda: self._client.request("GET", f"{self._base}.json", self._headers), _judge
        )

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._client.close()


def both_ports(url: str) -> tuple[str, str]:
    """Return an address without a port, and with it: the one that it names, else that of its scheme.

    >>> both_ports("https://verify.example.org/v1")
    ('https://verify.example.org/v1', 'https://verify.example.org:443/v1')

    """
    parts = urlsplit(url)
    if not parts.hostname:
        return url, url
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = parts.port or {"http": 80}.get(parts.scheme, 443)
    return parts._replace(netloc=host).geturl(), parts._replace(netloc=f"{host}:{port}").geturl()


def request_signature(auth_token: str, url: str, fields: list[tuple[str, str]]) -> str:
    """Return the X-Twilio-Signature of a form.

    It is the base64 of an HMAC-SHA1, keyed with the token, over our address as Twilio knows it and the sorted fields.
    """
    text = url + "".join(name + value for name, value in sorted(fields))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha1")).decode()


def twiml(message: Message) -> str:
    """Return the TwiML of a call: the text in the language of the message, with a pause of half a second after each symbol of the code."""
    said = _SPELLED.sub(lambda found: found[0].replace(", ", ',<break time="500ms"/> '), escape(message.text))
    said = said.replace(". ", '.<break time="300ms"/> ')
    return f'<Response><Pause length="1"/><Say language={quoteattr(_voice(message.locale))}>{said}</Say></Response>'


def _voice(locale: str) -> str:
    tag = locale.replace("_", "-")
    return tag if tag in _REGIONAL else _VOICES.get(tag.split("-")[0].lower(), "en-US")


def _judge(response: ApiResponse) -> AccountFinding:
    answer = parse_json(response.body)
    status, code = json_at(answer, "status"), error_code(json_at(answer, "code"))
    if response.status == NOT_FOUND and code == _NO_ACCOUNT:
        return AccountFinding("has no such account", "Check account_sid.")
    if response.ok and status in {"suspended", "closed"}:
        return AccountFinding(f"says that the account is {status}", "Look at the account at Twilio.")
    return judge_status(response, "Check account_sid and auth_token.")


def _failure(response: ApiResponse, now: int) -> DeliveryFailedError:
    code = error_code(json_at(parse_json(response.body), "code"))
    reason = _REASONS.get(code)
    if reason is None or reason in _TEMPORARY:
        return failure_of_response(_LABEL, response, now, f"error {code}" if code else "")
    return DeliveryFailedError(reason, f"{_LABEL} answered {response.status}, error {code}.", permanent=True)


KIND: Final = ProviderKind(
    summary="a gateway for SMS and calls",
    channels=(Channel.SMS, Channel.VOICE),
    settings=TwilioSettings,
    provider=TwilioProvider,
)
