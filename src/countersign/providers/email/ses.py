"""AWS SES: mail by its API, version 2, with the same content that SMTP would carry; receipts come as notifications of SNS.

Source: the public documentation of the Amazon SES API v2, `SendEmail` with raw content, and of SES's "Amazon SNS notification contents"
and "Event publishing". SES signs with DKIM by itself.
"""

from __future__ import annotations

import base64
from typing import Annotated, Final

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, InputError, SettingsError
from countersign.providers import Callback, Connectivity, ProviderContext, ProviderKind
from countersign.providers.email.dsn import reason_of
from countersign.providers.email.message import ascii_domain, write_message
from countersign.providers.fields import check_receipt_within
from countersign.providers.http.account import AccountFinding, check_account
from countersign.providers.http.aws import (
    AwsSettings,
    failure_of_aws_error,
    get_signed,
    judge_aws_answer,
    post_signed,
)
from countersign.providers.http.client import ApiResponse, Endpoint, HttpClient, failure_of_response, usable_id
from countersign.providers.http.payload import json_at, parse_json
from countersign.providers.http.receipts import check_size, make_receipt
from countersign.providers.http.settings import HttpSettings
from countersign.providers.http.sns_notification import ARN, SnsTopic
from countersign.setting import Described, Group

_LABEL: Final = "AWS SES"
_REFUSED: Final = frozenset({"MessageRejected"})
_ACCOUNT_ERRORS: Final = frozenset(
    {
        "AccountSuspendedException",
        "BadRequestException",
        "MailFromDomainNotVerifiedException",
        "NotFoundException",
        "SendingPausedException",
    }
)
_UNKNOWN: Final = frozenset({"NoEmail", "Suppressed", "OnAccountSuppressionList"})
_MAX_TEXT: Final = 998
_BUSY: Final = frozenset({"LimitExceededException", "TooManyRequestsException"})


class SesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An account. Raises SettingsError."""

    aws: Annotated[AwsSettings, Group()]
    from_address: Annotated[
        str,
        Described("The sender of mail: an address of an identity that is verified.", expects="a mail address"),
    ]
    topic_arn: Annotated[
        str,
        Described(
            "The topic that the identity's notifications are published to; without it no notification is trusted.",
            expects="arn:aws:sns:REGION:ACCOUNT:NAME",
        ),
    ] = ""
    sns_url: Annotated[
        str,
        Described(
            "The address of SNS, for the certificates of notifications.",
            expects="an address that begins with https://",
            default="https://sns.REGION.amazonaws.com",
        ),
    ] = ""
    url: Annotated[
        str,
        Described(
            "The address of the API.",
            expects="an address that begins with https://",
            default="https://email.REGION.amazonaws.com",
            secret=True,
        ),
    ] = ""
    receipt_within: Annotated[
        int | None,
        Described(
            "After how many milliseconds a receipt is overdue, so that the next provider is tried. Set it only if the"
            " identity publishes deliveries too.",
            expects="milliseconds, above 0",
        ),
    ] = None
    http: Annotated[HttpSettings, Group()] = HttpSettings()

    def __post_init__(self) -> None:
        if self.from_address.count("@") != 1 or not self.from_address.isprintable() or " " in self.from_address:
            raise SettingsError("from_address is no mail address; give one of an identity that is verified.")
        try:
            ascii_domain(self.from_address)
        except (DeliveryFailedError, InputError):
            raise SettingsError("from_address has a domain that is none.") from None
        topic = ARN.fullmatch(self.topic_arn)
        if self.topic_arn and (topic is None or topic[1] != self.aws.region):
            raise SettingsError(
                "topic_arn must be one such as arn:aws:sns:eu-central-1:123456789012:mail, of a topic in the same region."
            )
        if self.receipt_within is not None and not self.topic_arn:
            raise SettingsError("receipt_within needs topic_arn: without a topic no receipt comes.")
        check_receipt_within(self.receipt_within)
        self.endpoint()
        self.sns_endpoint()

    def endpoint(self) -> Endpoint:
        """Return where the API is; raises SettingsError."""
        return self.http.endpoint(_LABEL, self.url or f"https://email.{self.aws.region}.amazonaws.com")

    def sns_endpoint(self) -> Endpoint:
        """Return where SNS is, to fetch certificates and to confirm the subscription; raises SettingsError."""
        endpoint = Endpoint(
            label="AWS SNS",
            url=self.sns_url or f"https://sns.{self.aws.region}.amazonaws.com",
            timeout=self.http.timeout,
            connections=2,
            allow_http=self.http.allow_http,
            allow_private=self.http.allow_private,
            ca_file=self.http.ca_file,
        )
        endpoint.check("sns_url")
        return endpoint

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"SesSettings({self.aws.region}, {self.from_address})"


class SesProvider:
    """Sends mail by one account."""

    def __init__(self, settings: SesSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._name = context.name
        self._clock = context.clock
        self._callback = settings.http.callback_of(context)
        self._endpoint = endpoint = settings.endpoint()
        self._url = f"{endpoint.url}/v2/email/outbound-emails"
        self._client = HttpClient(endpoint)
        self._topic = SnsTopic(settings.topic_arn, settings.aws.region, settings.sns_endpoint(), context.clock)

    async def send(self, message: Message) -> Accepted:
        """Send the mail; raises DeliveryFailedError.

        SES gives it a Message-ID of its own and knows no idempotency key: see docs/providers.md.
        """
        if message.channel is not Channel.EMAIL:
            raise DeliveryFailedError(
                Reason.MISCONFIGURED, f"{_LABEL} carries mail only; route other channels elsewhere.", permanent=True
            )
        mail = write_message(message, self._settings.from_address, self._clock())
        request = {
            "FromEmailAddress": mail.sender,
            "Destination": {"ToAddresses": [mail.recipient]},
            "Content": {"Raw": {"Data": base64.b64encode(mail.content).decode()}},
        }
        body = msgspec.json.encode(request)
        response = await post_signed(
            self._client,
            self._url,
            self._settings.aws,
            body,
            service="ses",
            content_type="application/json",
            now=self._clock(),
        )
        if not response.ok:
            raise _failure(response, self._clock())
        # A receipt of a delivery comes only if the identity publishes those, which `receipt_within` says.
        within = self._settings.receipt_within if self._callback else None
        return Accepted(usable_id(json_at(parse_json(response.body), "MessageId")), within)

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return the receipts in a notification; a request to confirm the subscription of our topic is confirmed."""
        check_size(callback.body)
        notification = await self._topic.read_message(callback.body)
        if notification is None:
            return ()
        kind = json_at(notification, "notificationType") or json_at(notification, "eventType")
        if not isinstance(kind, str):
            return ()  # a test message of SNS, or what others publish to the topic
        identifier = json_at(notification, "mail", "messageId")
        match kind:
            case "Bounce":
                return (
                    make_receipt(
                        self._name, identifier, ReceiptState.UNDELIVERED, _bounced(json_at(notification, "bounce"))
                    ),
                )
            case "Complaint":
                arrived = make_receipt(self._name, identifier, ReceiptState.DELIVERED)
                return (msgspec.structs.replace(arrived, complained=True),)
            case "Delivery":
                return (make_receipt(self._name, identifier, ReceiptState.DELIVERED),)
            case "Reject":
                return (make_receipt(self._name, identifier, ReceiptState.UNDELIVERED, Reason.REFUSED),)
            case _:
                return ()

    async def check(self) -> Connectivity:
        """Return whether the API can be reached, accepts our key, and may send (GetAccount)."""
        url = f"{self._endpoint.url}/v2/email/account"
        return await check_account(
            self._client,
            lambda: get_signed(self._client, url, self._settings.aws, service="ses", now=self._clock()),
            _judge,
        )

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._client.close()
        await self._topic.close()


def _bounced(bounce: object) -> Reason:
    """Return why a mail came back. SES retries by itself, so a transient bounce is final for this mail, but not for the address."""
    kind, detail = json_at(bounce, "bounceType"), json_at(bounce, "bounceSubType")
    if kind == "Permanent":
        if detail in _UNKNOWN:
            return Reason.UNKNOWN_RECIPIENT
        first = json_at(bounce, "bouncedRecipients", 0)
        status, diagnostic = (
            str(json_at(first, "status") or "")[:_MAX_TEXT],
            str(json_at(first, "diagnosticCode") or "")[:_MAX_TEXT],
        )
        return reason_of(status, diagnostic) or Reason.REFUSED
    return Reason.MAILBOX_FULL if detail == "MailboxFull" else Reason.REFUSED


def _error_code(response: ApiResponse) -> str:
    error = response.headers.get("x-amzn-errortype") or json_at(parse_json(response.body), "__type") or ""
    return usable_id(str(error).partition(":")[0].rpartition("#")[2])


def _judge(response: ApiResponse) -> AccountFinding:
    answer = parse_json(response.body)
    if not response.ok:
        return judge_aws_answer(response, _error_code(response))
    if json_at(answer, "SendingEnabled") is False or json_at(answer, "EnforcementStatus") == "SHUTDOWN":
        return AccountFinding("says that the account may not send", "Look at the account in the console of SES.")
    if json_at(answer, "ProductionAccessEnabled") is False:
        return AccountFinding(
            "says that the account is in the sandbox: mail goes to verified addresses only",
            "Request production access in the console of SES.",
        )
    return judge_aws_answer(response, "")


def _failure(response: ApiResponse, now: int) -> DeliveryFailedError:
    code = _error_code(response)
    if code in _REFUSED:
        return DeliveryFailedError(Reason.REFUSED, f"{_LABEL}: {code}.", permanent=True)
    if code in _ACCOUNT_ERRORS:
        return DeliveryFailedError(
            Reason.MISCONFIGURED, f"{_LABEL}: {code}. Check the account and from_address.", permanent=True
        )
    if code in _BUSY:
        return DeliveryFailedError(Reason.THROTTLED, f"{_LABEL}: {code}.", permanent=False)
    return failure_of_aws_error(_LABEL, response, code, now) if code else failure_of_response(_LABEL, response, now)


KIND: Final = ProviderKind(
    summary="a mail service", channels=(Channel.EMAIL,), settings=SesSettings, provider=SesProvider
)
