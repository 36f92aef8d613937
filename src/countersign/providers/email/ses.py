"""AWS SES: mail by its API, version 2, as the very letter that SMTP would carry, and what SNS tells of it later.

Source: the public documentation of the Amazon SES API v2, `SendEmail` with raw content, and of SES's "Amazon SNS notification contents"
and "Event publishing". SES signs with DKIM by itself.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message, Reason, Receipt, ReceiptState
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, InputError, SettingsError
from countersign.providers import Callback
from countersign.providers.email.dsn import reason_of
from countersign.providers.email.message import ascii_domain, write_message
from countersign.providers.http.api_settings import at, bounded, document, told
from countersign.providers.http.client import ApiResponse, Endpoint, HttpClient, refusal, usable_id
from countersign.providers.http.sns_notification import ARN, SnsTopic
from countersign.providers.sms.sns import AwsSettings, ask, aws_refusal

_WHO: Final = "AWS SES"
_REFUSED: Final = frozenset({"MessageRejected"})
_OURS: Final = frozenset(
    {
        "AccountSuspendedException",
        "BadRequestException",
        "MailFromDomainNotVerifiedException",
        "NotFoundException",
        "SendingPausedException",
    }
)
_NOT_THERE: Final = frozenset({"NoEmail", "Suppressed", "OnAccountSuppressionList"})
_MAX_TEXT: Final = 998
_BUSY: Final = frozenset({"LimitExceededException", "TooManyRequestsException"})


class SesSettings(AwsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`from_address` is an address of an identity that is verified in this region.

    `topic_arn` is the topic that the identity's notifications are published to; `sns_url` where SNS is reached, if not at AWS's own
    address. Raises SettingsError.
    """

    from_address: str
    topic_arn: str = ""
    sns_url: str = ""

    def __post_init__(self) -> None:
        if self.from_address.count("@") != 1 or not self.from_address.isprintable() or " " in self.from_address:
            raise SettingsError("ses from_address is no mail address; give one of an identity that is verified.")
        try:
            ascii_domain(self.from_address)
        except (DeliveryFailedError, InputError):
            raise SettingsError("ses from_address has a domain that is none.") from None
        topic = ARN.fullmatch(self.topic_arn)
        if self.topic_arn and (topic is None or topic[1] != self.region):
            raise SettingsError(
                "ses topic_arn is one such as arn:aws:sns:eu-central-1:123456789012:mail, of a topic in the same region."
            )
        if self.receipt_within is not None and not self.topic_arn:
            raise SettingsError("ses receipt_within needs topic_arn: without a topic no receipt comes.")
        self.place()
        self.place_of_sns()

    def place_of_sns(self) -> Endpoint:
        """Return where SNS is, for certificates and to confirm the subscription."""
        endpoint = Endpoint(
            "AWS SNS",
            self.sns_url or f"https://sns.{self.region}.amazonaws.com",
            self.timeout,
            connections=2,
            allow_http=self.allow_http,
            allow_private=self.allow_private,
            ca_file=self.ca_file,
        )
        endpoint.check("ses sns")
        return endpoint

    def place(self) -> Endpoint:
        """Return where the API is."""
        return self.at_service(_WHO, "email")


class SesProvider:
    """Sends mail by one account. `clock` returns milliseconds since the epoch."""

    def __init__(self, settings: SesSettings, clock: Callable[[], int]) -> None:
        self._settings = settings
        self._clock = clock
        endpoint = settings.place()
        self._url = f"{endpoint.url}/v2/email/outbound-emails"
        self._line = HttpClient(endpoint)
        self._topic = SnsTopic(settings.topic_arn, settings.region, settings.place_of_sns(), clock)

    async def send(self, message: Message) -> Accepted:
        """Send the letter; raises DeliveryFailedError. SES gives it a Message-ID of its own, and takes no key: see docs/providers.md."""
        if message.channel is not Channel.EMAIL:
            raise DeliveryFailedError(
                Reason.MISCONFIGURED, f"{_WHO} carries mail alone; route other channels elsewhere.", permanent=True
            )
        mail = write_message(message, self._settings.from_address, self._clock())
        wanted = {
            "FromEmailAddress": mail.sender,
            "Destination": {"ToAddresses": [mail.recipient]},
            "Content": {"Raw": {"Data": base64.b64encode(mail.content).decode()}},
        }
        body = msgspec.json.encode(wanted)
        reply = await ask(self._line, self._url, self._settings, "ses", body, self._clock())
        if not reply.ok:
            raise _refused(reply, self._clock())
        # A receipt of delivery comes only where the identity publishes those too: then `receipt_within` says so.
        within = self._settings.receipt_within if self._settings.callback else None
        return Accepted(usable_id(at(document(reply.body), "MessageId")), within)

    async def receipts(self, callback: Callback) -> tuple[Receipt, ...]:
        """Return what a notification says; a subscription of our topic is confirmed on the way."""
        said = await self._topic.told(bounded(callback).body)
        if said is None:
            return ()
        kind = at(said, "notificationType") or at(said, "eventType")
        if not isinstance(kind, str):
            return ()  # SNS publishes a word of test, and what others publish to the topic
        identifier = at(said, "mail", "messageId")
        match kind:
            case "Bounce":
                return (told(self._settings.name, identifier, ReceiptState.UNDELIVERED, _bounced(at(said, "bounce"))),)
            case "Complaint":
                arrived = told(self._settings.name, identifier, ReceiptState.DELIVERED)
                return (msgspec.structs.replace(arrived, complained=True),)
            case "Delivery":
                return (told(self._settings.name, identifier, ReceiptState.DELIVERED),)
            case "Reject":
                return (told(self._settings.name, identifier, ReceiptState.UNDELIVERED, Reason.REFUSED),)
            case _:
                return ()

    async def close(self) -> None:
        """Let go of connections that were kept."""
        await self._line.close()
        await self._topic.close()


def _bounced(bounce: object) -> Reason:
    """Return why a mail came back. SES tries again by itself: what it calls transient is over for this mail, not for the address."""
    kind, detail = at(bounce, "bounceType"), at(bounce, "bounceSubType")
    if kind == "Permanent":
        if detail in _NOT_THERE:
            return Reason.UNKNOWN_RECIPIENT
        first = at(bounce, "bouncedRecipients", 0)
        status, diagnostic = (
            str(at(first, "status") or "")[:_MAX_TEXT],
            str(at(first, "diagnosticCode") or "")[:_MAX_TEXT],
        )
        return reason_of(status, diagnostic) or Reason.REFUSED
    return Reason.MAILBOX_FULL if detail == "MailboxFull" else Reason.REFUSED


def _refused(reply: ApiResponse, now: int) -> DeliveryFailedError:
    told = reply.headers.get("x-amzn-errortype") or at(document(reply.body), "__type") or ""
    code = usable_id(str(told).partition(":")[0].rpartition("#")[2])
    if code in _REFUSED:
        return DeliveryFailedError(Reason.REFUSED, f"{_WHO}: {code}.", permanent=True)
    if code in _OURS:
        return DeliveryFailedError(
            Reason.MISCONFIGURED, f"{_WHO}: {code}. Check the account and from_address.", permanent=True
        )
    if code in _BUSY:
        return DeliveryFailedError(Reason.THROTTLED, f"{_WHO}: {code}.", permanent=False)
    return aws_refusal(_WHO, reply, code, now) if code else refusal(_WHO, reply, now)
