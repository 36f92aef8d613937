"""WhatsApp: codes in an authentication template of the Cloud API, with a button that copies the code; receipts are signed by the app.

Source: the public documentation of the WhatsApp Business Platform: Cloud API messages, authentication templates, webhooks, error codes.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Final
from urllib.parse import parse_qs, quote

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError
from countersign.providers import Callback, Connectivity, ProviderContext, ProviderKind
from countersign.providers.fields import ReceiptWithin, Url, check_receipt_within, receipt_patience, require_filled
from countersign.providers.http.account import AccountFinding, check_account, judge_status
from countersign.providers.http.client import ApiResponse, HttpClient, failure_of_response, usable_id
from countersign.providers.http.payload import error_code, json_at, json_list_at, parse_json
from countersign.providers.http.receipts import check_size, make_receipt, malformed_receipt, wrong_signature
from countersign.providers.http.settings import HttpSettings
from countersign.setting import Described, Group

_LABEL: Final = "WhatsApp"

_REASONS: Final = {
    **dict.fromkeys((131026, 131021, 133010), Reason.UNKNOWN_RECIPIENT),
    **dict.fromkeys((131047, 131049, 131050, 130497, 131048), Reason.BLOCKED),
    **dict.fromkeys((0, 3, 10, 190, 200, 100, 131005, 131008, 131009, 131031, 132000, 132001, 132015, 132016, 133000), Reason.MISCONFIGURED),
    **dict.fromkeys((4, 80007, 130429, 131056), Reason.THROTTLED),
    **dict.fromkeys((1, 2, 131000, 131016), Reason.PROVIDER_ERROR),
}  # fmt: skip
_BAD_TOKEN: Final = 190
_NO_NUMBER: Final = frozenset({10, 100, 200})
_TEMPORARY: Final = frozenset({Reason.THROTTLED, Reason.PROVIDER_ERROR})
# Languages with another tag in the Cloud API (its table of template languages).
_LANGUAGES: Final = {"en": "en", "pt": "pt_BR"}


class WhatsappSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A business number and the app that may use it. Raises SettingsError."""

    phone_number_id: Annotated[str, Described("The id of the business number.")]
    access_token: Annotated[str, Described("The access token of the system user.", secret=True)]
    template: Annotated[
        str, Described("An approved authentication template with a button that copies the code.", expects="a name")
    ]
    languages: Annotated[
        tuple[str, ...],
        Described(
            "The languages that the template is approved in; the first serves all others.",
            expects="a list such as en, de, pt_BR",
        ),
    ] = ("en",)
    app_secret: Annotated[
        str, Described("The secret that receipts are signed with; without it none are expected.", secret=True)
    ] = ""
    verify_token: Annotated[
        str, Described("The word that Meta asks for when you enter our address for receipts.", secret=True)
    ] = ""
    api_version: Annotated[str, Described("The version of the Cloud API.", expects="a version such as v23.0")] = "v23.0"
    url: Url = "https://graph.facebook.com"
    receipt_within: ReceiptWithin = None
    http: Annotated[HttpSettings, Group()] = HttpSettings()

    def __post_init__(self) -> None:
        require_filled(
            phone_number_id=self.phone_number_id,
            access_token=self.access_token,
            template=self.template,
            api_version=self.api_version,
            languages=",".join(self.languages),
        )
        check_receipt_within(self.receipt_within)
        self.http.endpoint(_LABEL, self.url)

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"WhatsappSettings({self.phone_number_id})"


class WhatsappProvider:
    """Sends codes from one number."""

    def __init__(self, settings: WhatsappSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._name = context.name
        self._clock = context.clock
        endpoint = settings.http.endpoint(_LABEL, settings.url)
        version, sender = quote(settings.api_version, safe=""), quote(settings.phone_number_id, safe="")
        self._url = f"{endpoint.url}/{version}/{sender}/messages"
        self._headers = {"authorization": f"Bearer {settings.access_token}", "content-type": "application/json"}
        self._callback = settings.http.callback_of(context) if settings.app_secret else ""
        self._client = HttpClient(endpoint)

    async def send(self, message: Message) -> Accepted:
        """Send the code in the template; raises DeliveryFailedError.

        A notice always fails, because it has neither a code nor a template. So does an act, because the template does not name it.
        """
        if not message.code:
            raise DeliveryFailedError(
                Reason.REFUSED, f"{_LABEL} carries codes only: there is no template for notices.", permanent=True
            )
        if message.has_act:
            raise DeliveryFailedError(
                Reason.REFUSED, f"{_LABEL} carries codes only: the act would not be named.", permanent=True
            )
        request = {
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
        response = await self._client.post(self._url, self._headers, msgspec.json.encode(request))
        answer = parse_json(response.body)
        if not response.ok:
            code = json_at(answer, "error", "code")
            reason = _REASONS.get(error_code(code)) if code is not None else None
            if reason is None:
                raise failure_of_response(_LABEL, response, self._clock())
            raise DeliveryFailedError(
                reason,
                f"{_LABEL} answered {response.status}, error {error_code(code)}.",
                permanent=reason not in _TEMPORARY,
            )
        within = receipt_patience(self._settings.receipt_within, self._callback)
        return Accepted(usable_id(json_at(answer, "messages", 0, "id")), within)

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return a receipt for each status in a callback that is not one of a message on its way."""
        check_size(callback.body)
        body = callback.body
        secret = self._settings.app_secret
        expected = f"sha256={hmac.digest(secret.encode(), body, 'sha256').hex()}"
        if not secret or not hmac.compare_digest(callback.header("x-hub-signature-256").encode(), expected.encode()):
            raise wrong_signature()
        posted = parse_json(body)
        entries = json_at(posted, "entry")
        if not isinstance(entries, list):
            raise malformed_receipt()
        found: list[Receipt] = []
        for entry in entries:
            for change in json_list_at(entry, "changes"):
                for status in json_list_at(change, "value", "statuses"):
                    word = json_at(status, "status")
                    if word in {"delivered", "read"}:
                        found.append(make_receipt(self._name, json_at(status, "id"), ReceiptState.DELIVERED))
                    elif word == "failed":
                        reason = _REASONS.get(error_code(json_at(status, "errors", 0, "code")))
                        found.append(make_receipt(self._name, json_at(status, "id"), ReceiptState.UNDELIVERED, reason))
        return tuple(found)

    def answer_challenge(self, query: str) -> str | None:
        """Return the challenge that Meta wants back when our address is entered there; None if the word is not our `verify_token`.

        `query` is that of the request, without its question mark.
        """
        given = {name: values[0] for name, values in parse_qs(query).items()}
        token = self._settings.verify_token
        matches = hmac.compare_digest(given.get("hub.verify_token", "").encode(), token.encode())
        return given.get("hub.challenge", "")[:200] if token and matches else None

    async def check(self) -> Connectivity:
        """Return whether the API can be reached, and whether the number may be used with our token (GET of the number)."""
        url = f"{self._url.removesuffix('/messages')}?fields=verified_name,quality_rating"
        return await check_account(self._client, lambda: self._client.request("GET", url, self._headers), _judge)

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._client.close()

    def _language(self, locale: str) -> str:
        """Return the language of the template for a locale: `de-AT` finds de_AT, else de, else the first of `languages`."""
        tag = locale.replace("-", "_")
        short = tag.split("_")[0]
        for language in (tag, short, _LANGUAGES.get(short, "")):
            if language in self._settings.languages:
                return language
        return self._settings.languages[0]


def _judge(response: ApiResponse) -> AccountFinding:
    """Return what is said of the number. A token that was refused is error 190, whatever the status (Graph API, error codes)."""
    code = error_code(json_at(parse_json(response.body), "error", "code"))
    if code == _BAD_TOKEN:
        return AccountFinding("refuses our token", "Check access_token, and whether it has ended.")
    if code in _NO_NUMBER and not response.ok:
        return AccountFinding(
            "has no such number, or our token may not use it", "Check phone_number_id, and the rights of the token."
        )
    return judge_status(response, "Check access_token, and whether it has ended.")


KIND: Final = ProviderKind(
    summary="a gateway for WhatsApp",
    channels=(Channel.WHATSAPP,),
    settings=WhatsappSettings,
    provider=WhatsappProvider,
)
