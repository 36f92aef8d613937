"""Twilio: SMS by Messages, calls by Voice; receipts are forms signed with the account's token.

Source: the public documentation of Twilio's Messages, Calls and TwiML <Say>, its error dictionary and its page on request signing.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape, quoteattr

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError
from countersign.providers import Callback
from countersign.providers.http.api_settings import (
    ApiSettings,
    at,
    document,
    filled,
    forged,
    form,
    malformed,
    number,
    told,
)
from countersign.providers.http.client import ApiResponse, Endpoint, HttpClient, refusal, usable_id

_WHO: Final = "Twilio"
_API: Final = "https://api.twilio.com"

_REASONS: Final = {
    **dict.fromkeys((21201, 21211, 21214, 21217, 21219, 21614, 30005, 30006), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((21610, 21612, 30004, 30007, 30450), Reason.BLOCKED),
    **dict.fromkeys((20003, 20404, 21212, 21408, 21603, 21606, 21659, 21910, 30034), Reason.MISCONFIGURED),
    **dict.fromkeys((20429, 30001, 30022), Reason.THROTTLED),
    30003: Reason.NO_SIGNAL,
    30008: Reason.REFUSED,
}
_PASSING: Final = frozenset({Reason.THROTTLED})

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
# A code that is spelled: at least three single characters with commas between.
_SPELLED: Final = re.compile(r"\b[0-9A-Z](?:[,.] [0-9A-Z]){2,}\b")


class TwilioSettings(ApiSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account. `sender` is a number of it (E.164), a name where a country allows one, or a Messaging Service (MG...).

    Raises SettingsError.
    """

    account_sid: str
    auth_token: str
    sender: str

    def __post_init__(self) -> None:
        filled("twilio", account_sid=self.account_sid, auth_token=self.auth_token, sender=self.sender)
        self.place()

    def place(self) -> Endpoint:
        """Return where the API is."""
        return self.endpoint(_WHO, _API)


class TwilioProvider:
    """Sends SMS and makes calls by one account. `clock` returns milliseconds since the epoch."""

    def __init__(self, settings: TwilioSettings, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        endpoint = settings.place()
        self._base = f"{endpoint.url}/2010-04-01/Accounts/{quote(settings.account_sid, safe='')}"
        key = base64.b64encode(f"{settings.account_sid}:{settings.auth_token}".encode()).decode()
        self._headers = {"authorization": f"Basic {key}", "content-type": "application/x-www-form-urlencoded"}
        self._line = HttpClient(endpoint)

    async def send(self, message: Message) -> Accepted:
        """Send the text, or say it; raises DeliveryFailedError. Twilio has no idempotency key: a lost answer may mean two messages."""
        settings = self._settings
        fields = {"To": message.to}
        service = settings.sender.startswith("MG") and message.channel is Channel.SMS
        fields["MessagingServiceSid" if service else "From"] = settings.sender
        if message.channel is Channel.VOICE:
            fields["Twiml"] = twiml(message)
        else:
            fields["Body"] = message.text
        if settings.callback:
            fields["StatusCallback"] = settings.callback
        kind = "Calls" if message.channel is Channel.VOICE else "Messages"
        reply = await self._line.post(f"{self._base}/{kind}.json", self._headers, urlencode(fields).encode())
        if not reply.ok:
            raise _refused(reply, self._clock())
        return Accepted(usable_id(at(document(reply.body), "sid")), settings.patience)

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return what a status callback says; one of a state on the way says nothing yet."""
        fields = form(callback.body)
        given_signature = callback.header("x-twilio-signature").encode()
        if not hmac.compare_digest(signature(self._settings, fields).encode(), given_signature):
            raise forged()
        given = dict(fields)
        call = given.get("CallSid")
        if call is not None:
            state, reason = _CALLS.get(given.get("CallStatus", ""), (None, None))
            return (told(self._settings.name, call, state, reason),) if state is not None else ()
        if "MessageStatus" not in given:
            raise malformed()
        moved = _MESSAGES.get(given["MessageStatus"])
        if moved is None:
            return ()
        reason = _REASONS.get(number(given.get("ErrorCode", "")))
        return (told(self._settings.name, given.get("MessageSid"), moved, reason),)

    async def close(self) -> None:
        """Let go of connections that were kept."""
        await self._line.close()


def signature(settings: TwilioSettings, fields: list[tuple[str, str]]) -> str:
    """Return what X-Twilio-Signature must be: HMAC-SHA1 over our address as Twilio was told it and the sorted fields, in base64."""
    text = settings.callback + "".join(name + value for name, value in sorted(fields))
    return base64.b64encode(hmac.digest(settings.auth_token.encode(), text.encode(), "sha1")).decode()


def twiml(message: Message) -> str:
    """Return what a call says: the text in the message's language, and half a second after each symbol of the code."""
    said = _SPELLED.sub(lambda found: found[0].replace(", ", ',<break time="500ms"/> '), escape(message.text))
    said = said.replace(". ", '.<break time="300ms"/> ')
    return f'<Response><Pause length="1"/><Say language={quoteattr(_voice(message.locale))}>{said}</Say></Response>'


def _voice(locale: str) -> str:
    tag = locale.replace("_", "-")
    return tag if tag in _REGIONAL else _VOICES.get(tag.split("-")[0].lower(), "en-US")


def _refused(reply: ApiResponse, now: int) -> DeliveryFailedError:
    code = number(at(document(reply.body), "code"))
    reason = _REASONS.get(code)
    if reason is None or reason in _PASSING:
        return refusal(_WHO, reply, now, f"error {code}" if code else "")
    return DeliveryFailedError(reason, f"{_WHO} answered {reply.status}, error {code}.", permanent=True)
