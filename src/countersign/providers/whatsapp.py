"""WhatsApp: codes by an authentication template of the Cloud API, whose button copies the code; receipts are signed by the app's secret.

Source: the public documentation of the WhatsApp Business Platform: Cloud API messages, authentication templates, webhooks, error codes.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, quote

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.errors import DeliveryFailedError
from countersign.providers import Callback
from countersign.providers.http.api_settings import (
    ApiSettings,
    at,
    bounded,
    document,
    each,
    filled,
    forged,
    malformed,
    number,
    told,
)
from countersign.providers.http.client import Endpoint, HttpClient, refusal, usable_id

_WHO: Final = "WhatsApp"
_API: Final = "https://graph.facebook.com"

_REASONS: Final = {
    **dict.fromkeys((131026, 131021, 133010), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((131047, 131049, 131050, 130497, 131048), Reason.BLOCKED),
    **dict.fromkeys((0, 3, 10, 190, 200, 100, 131005, 131008, 131009, 131031, 132000, 132001, 132015, 132016, 133000), Reason.MISCONFIGURED),
    **dict.fromkeys((4, 80007, 130429, 131056), Reason.THROTTLED),
    **dict.fromkeys((1, 2, 131000, 131016), Reason.PROVIDER_ERROR),
}  # fmt: skip
_PASSING: Final = frozenset({Reason.THROTTLED, Reason.PROVIDER_ERROR})
# What the Cloud API calls some languages differently (its table of template languages).
_LANGUAGES: Final = {"en": "en", "pt": "pt_BR"}


class WhatsappSettings(ApiSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A business number and the app that speaks for it; `template` is an approved authentication template with a copy-code button.

    `languages` are those that the template is approved in, the first for all others. `app_secret` signs receipts, `verify_token`
    answers the check that is made when their address is entered. Raises SettingsError.
    """

    phone_number_id: str
    access_token: str
    template: str
    languages: tuple[str, ...] = ("en",)
    app_secret: str = ""
    verify_token: str = ""
    api_version: str = "v23.0"

    def __post_init__(self) -> None:
        filled(
            "whatsapp",
            phone_number_id=self.phone_number_id,
            access_token=self.access_token,
            template=self.template,
            api_version=self.api_version,
            languages=",".join(self.languages),
        )
        self.place()

    def place(self) -> Endpoint:
        """Return where the API is."""
        return self.endpoint(_WHO, _API)


class WhatsappProvider:
    """Sends codes from one number. `clock` returns milliseconds since the epoch."""

    def __init__(self, settings: WhatsappSettings, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        endpoint = settings.place()
        version, sender = quote(settings.api_version, safe=""), quote(settings.phone_number_id, safe="")
        self._url = f"{endpoint.url}/{version}/{sender}/messages"
        self._headers = {"authorization": f"Bearer {settings.access_token}", "content-type": "application/json"}
        self._line = HttpClient(endpoint)

    async def send(self, message: Message) -> Accepted:
        """Send the code in its template; raises DeliveryFailedError, for a notice always: it has no code, and no template is for it."""
        if not message.code:
            raise DeliveryFailedError(
                Reason.REFUSED, f"{_WHO} carries codes alone: a notice has no template there.", permanent=True
            )
        wanted = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": message.to.removeprefix("+"),
            "type": "template",
            "template": {
                "name": self._settings.template,
                "language": {"code": self._language(message.locale)},
                "components": [
                    {"type": "body", "parameters": [{"type": "text", "text": message.code}]},
                    {
                        "type": "button",
                        "sub_type": "url",
                        "index": "0",
                        "parameters": [{"type": "text", "text": message.code}],
                    },
                ],
            },
        }
        reply = await self._line.post(self._url, self._headers, msgspec.json.encode(wanted))
        answer = document(reply.body)
        if not reply.ok:
            code = at(answer, "error", "code")
            reason = _REASONS.get(number(code)) if code is not None else None
            if reason is None:
                raise refusal(_WHO, reply, self._clock())
            raise DeliveryFailedError(
                reason, f"{_WHO} answered {reply.status}, error {number(code)}.", permanent=reason not in _PASSING
            )
        within = self._settings.patience if self._settings.app_secret else None
        return Accepted(usable_id(at(answer, "messages", 0, "id")), within)

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return what the statuses of one callback say; of one on the way, nothing yet."""
        body = bounded(callback).body
        secret = self._settings.app_secret
        right = f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"
        if not secret or not hmac.compare_digest(callback.header("x-hub-signature-256").encode(), right.encode()):
            raise forged()
        said = document(body)
        entries = at(said, "entry")
        if not isinstance(entries, list):
            raise malformed()
        found: list[Receipt] = []
        for entry in entries:
            for change in each(entry, "changes"):
                for status in each(change, "value", "statuses"):
                    word = at(status, "status")
                    if word in {"delivered", "read"}:
                        found.append(told(self._settings.name, at(status, "id"), ReceiptState.DELIVERED))
                    elif word == "failed":
                        reason = _REASONS.get(number(at(status, "errors", 0, "code")))
                        found.append(told(self._settings.name, at(status, "id"), ReceiptState.UNDELIVERED, reason))
        return tuple(found)

    def greet(self, query: str) -> str | None:
        """Return the challenge of the check that is made once when our address is entered; None if it is not ours to answer."""
        given = {name: values[0] for name, values in parse_qs(query).items()}
        wanted = self._settings.verify_token
        right = hmac.compare_digest(given.get("hub.verify_token", "").encode(), wanted.encode())
        return given.get("hub.challenge", "")[:200] if wanted and right else None

    async def close(self) -> None:
        """Let go of connections that were kept."""
        await self._line.close()

    def _language(self, locale: str) -> str:
        """Return the language of the template nearest to the message's: `de-AT` finds de_AT, then de, then the first there is."""
        tag = locale.replace("-", "_")
        short = tag.split("_")[0]
        for wanted in (tag, short, _LANGUAGES.get(short, "")):
            if wanted in self._settings.languages:
                return wanted
        return self._settings.languages[0]
