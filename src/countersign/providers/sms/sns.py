"""AWS SNS: SMS by Publish.

SNS reports deliveries to CloudWatch only, so there are no receipts: it belongs at the end of a route.

Source: the public documentation of the Amazon SNS API and its "Publishing to a mobile phone".
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError
from countersign.providers import Connectivity, ProviderContext, ProviderKind
from countersign.providers.fields import check_receipt_within
from countersign.providers.http.account import check_account
from countersign.providers.http.aws import AwsSettings, failure_of_aws_error, judge_aws_answer, post_signed
from countersign.providers.http.client import ApiResponse, Endpoint, HttpClient, usable_id
from countersign.providers.http.payload import json_at, parse_json
from countersign.providers.http.settings import HttpSettings
from countersign.setting import Described, Group

_LABEL: Final = "AWS SNS"
_FORM: Final = "application/x-www-form-urlencoded"

_REASONS: Final = {
    "OptedOut": Reason.BLOCKED,
    "InvalidParameter": Reason.UNKNOWN_RECIPIENT,
    "InvalidParameterValue": Reason.UNKNOWN_RECIPIENT,
    "ParameterValueInvalid": Reason.UNKNOWN_RECIPIENT,
}


class SnsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An account. Raises SettingsError."""

    aws: Annotated[AwsSettings, Group()]
    sender: Annotated[
        str,
        Described(
            "The sender of messages; without one SNS chooses.",
            expects="a number of yours, or a name of at most 11 characters",
        ),
    ] = ""
    url: Annotated[
        str,
        Described(
            "The address of the API.",
            expects="an address that begins with https://",
            default="https://sns.REGION.amazonaws.com",
            secret=True,
        ),
    ] = ""
    receipt_within: Annotated[
        int | None, Described("Has no effect: SNS gives no receipts.", expects="milliseconds, above 0")
    ] = None
    http: Annotated[HttpSettings, Group()] = HttpSettings()

    def __post_init__(self) -> None:
        check_receipt_within(self.receipt_within)
        self.endpoint()

    def endpoint(self) -> Endpoint:
        """Return where the API is; raises SettingsError."""
        return self.http.endpoint(_LABEL, self.url or f"https://sns.{self.aws.region}.amazonaws.com")

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"SnsSettings({self.aws.region})"


class SnsProvider:
    """Sends SMS by one account."""

    def __init__(self, settings: SnsSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._clock = context.clock
        endpoint = settings.endpoint()
        self._url = f"{endpoint.url}/"
        self._client = HttpClient(endpoint)

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
        response = await post_signed(
            self._client,
            self._url,
            settings.aws,
            urlencode(fields).encode(),
            service="sns",
            content_type=_FORM,
            now=self._clock(),
        )
        if not response.ok:
            raise _failure(response, self._clock())
        return Accepted(_read_element(response, "MessageId"))

    async def check(self) -> Connectivity:
        """Return whether the API can be reached and accepts our key, by asking for the account's settings of SMS."""
        fields = urlencode({"Action": "GetSMSAttributes", "Version": "2010-03-31"}).encode()

        async def ask() -> ApiResponse:
            now = self._clock()
            return await post_signed(
                self._client, self._url, self._settings.aws, fields, service="sns", content_type=_FORM, now=now
            )

        return await check_account(
            self._client, ask, lambda response: judge_aws_answer(response, _read_element(response, "Code"))
        )

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._client.close()


def _failure(response: ApiResponse, now: int) -> DeliveryFailedError:
    code = _read_element(response, "Code")
    reason = _REASONS.get(code)
    if reason is not None:
        return DeliveryFailedError(reason, f"{_LABEL}: {code}.", permanent=True)
    return failure_of_aws_error(_LABEL, response, code, now)


def _read_element(response: ApiResponse, name: str) -> str:
    """Return one element of a response in XML or JSON; a word between two tags needs no XML parser."""
    found: Any = re.search(rf"<{name}>([^<]{{1,200}})</{name}>", response.body.decode("utf-8", "replace"))
    if found is not None:
        return usable_id(found[1])
    answer = parse_json(response.body)
    return usable_id(json_at(answer, "PublishResponse", "PublishResult", name) or json_at(answer, "Error", name))


KIND: Final = ProviderKind(
    summary="a gateway for SMS", channels=(Channel.SMS,), settings=SnsSettings, provider=SnsProvider
)
