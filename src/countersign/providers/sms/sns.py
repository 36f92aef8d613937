"""AWS SNS: SMS by Publish.

SNS tells deliveries to CloudWatch alone, so no receipt comes: it stands last in a route.

Source: the public documentation of the Amazon SNS API and its "Publishing to a mobile phone".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from countersign.domain.delivery.delivery import Accepted, Message, Reason
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers.http.api_settings import ApiSettings, at, document, filled
from countersign.providers.http.client import ApiResponse, Endpoint, HttpClient, refusal, usable_id
from countersign.providers.http.sigv4 import signed

_WHO: Final = "AWS SNS"
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]", re.ASCII)
_REASONS: Final = {
    "OptedOut": Reason.BLOCKED,
    "InvalidParameter": Reason.UNKNOWN_RECIPIENT,
    "InvalidParameterValue": Reason.UNKNOWN_RECIPIENT,
    "ParameterValueInvalid": Reason.UNKNOWN_RECIPIENT,
}
_MISCONFIGURED: Final = frozenset(
    {
        "AuthorizationError",
        "AccessDenied",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "UserError",
        "IncompleteSignature",
        "ExpiredToken",
    }
)
_THROTTLED: Final = frozenset({"Throttled", "Throttling", "ThrottledException", "ThrottlingException"})


class AwsSettings(ApiSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account of AWS: a region such as eu-central-1, and an access key that may do this one thing."""

    region: str
    access_key_id: str
    secret_access_key: str

    def at_service(self, who: str, service: str) -> Endpoint:
        """Return where the service of this region is; raises SettingsError."""
        filled(service, access_key_id=self.access_key_id, secret_access_key=self.secret_access_key)
        if not _REGION.fullmatch(self.region):
            raise SettingsError(f"{service} region is one such as eu-central-1.")
        return self.endpoint(who, f"https://{service}.{self.region}.amazonaws.com")


class SnsSettings(AwsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`sender` is a name of up to eleven characters, or a number of yours; without one SNS chooses. Raises SettingsError."""

    sender: str = ""

    def __post_init__(self) -> None:
        self.place()

    def place(self) -> Endpoint:
        """Return where the API is."""
        return self.at_service(_WHO, "sns")


class SnsProvider:
    """Sends SMS by one account. `clock` returns milliseconds since the epoch."""

    def __init__(self, settings: SnsSettings, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        endpoint = settings.place()
        self._url = f"{endpoint.url}/"
        self._line = HttpClient(endpoint)

    async def send(self, message: Message) -> Accepted:
        """Publish the text as a transactional SMS; raises DeliveryFailedError."""
        settings = self._settings
        fields = {
            "Action": "Publish",
            "Version": "2010-03-31",
            "PhoneNumber": message.to,
            "Message": message.text,
            "MessageAttributes.entry.1.Name": "AWS.SNS.SMS.SMSType",
            "MessageAttributes.entry.1.Value.DataType": "String",
            "MessageAttributes.entry.1.Value.StringValue": "Transactional",
        }
        if settings.sender:
            number = settings.sender.startswith("+")
            fields["MessageAttributes.entry.2.Name"] = (
                "AWS.MM.SMS.OriginationNumber" if number else "AWS.SNS.SMS.SenderID"
            )
            fields["MessageAttributes.entry.2.Value.DataType"] = "String"
            fields["MessageAttributes.entry.2.Value.StringValue"] = settings.sender
        reply = await ask(self._line, self._url, settings, "sns", urlencode(fields).encode(), self._clock())
        if not reply.ok:
            raise _refused(reply, self._clock())
        return Accepted(_told(reply, "MessageId"))

    async def close(self) -> None:
        """Let go of connections that were kept."""
        await self._line.close()


async def ask(line: HttpClient, url: str, settings: AwsSettings, service: str, body: bytes, now: int) -> ApiResponse:
    """Make one signed request of an AWS API."""
    kind = "application/x-www-form-urlencoded" if service == "sns" else "application/json"
    headers = signed(
        url,
        {"content-type": kind},
        body,
        service=service,
        region=settings.region,
        key_id=settings.access_key_id,
        secret=settings.secret_access_key,
        now=now,
    )
    return await line.post(url, headers, body)


def aws_refusal(who: str, reply: ApiResponse, code: str, now: int) -> DeliveryFailedError:
    """Return what an AWS error means: refused keys are a fault of the settings, throttling passes, the rest goes by the status."""
    if code in _THROTTLED:
        return DeliveryFailedError(Reason.THROTTLED, f"{who}: {code}.", permanent=False)
    if code in _MISCONFIGURED:
        return DeliveryFailedError(Reason.MISCONFIGURED, f"{who}: {code}. Check the access key.", permanent=True)
    return refusal(who, reply, now, code)


def _refused(reply: ApiResponse, now: int) -> DeliveryFailedError:
    code = _told(reply, "Code")
    reason = _REASONS.get(code)
    if reason is not None:
        return DeliveryFailedError(reason, f"{_WHO}: {code}.", permanent=True)
    return aws_refusal(_WHO, reply, code, now)


def _told(reply: ApiResponse, name: str) -> str:
    """Return one element of the answer, which is XML unless JSON could be had; a word between two tags needs no XML parser."""
    found: Any = re.search(rf"<{name}>([^<]{{1,200}})</{name}>", reply.body.decode("utf-8", "replace"))
    if found is not None:
        return usable_id(found[1])
    answer = document(reply.body)
    return usable_id(at(answer, "PublishResponse", "PublishResult", name) or at(answer, "Error", name))
