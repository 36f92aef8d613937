"""AWS SES: mail by its API, version 2, as the very letter that SMTP would carry.

Source: the public documentation of the Amazon SES API v2, `SendEmail` with raw content.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

import msgspec

from countersign.domain.contact import Channel
from countersign.domain.delivery import Accepted, Message, Reason
from countersign.errors import DeliveryFailedError, InputError, SettingsError
from countersign.providers.carrier import at, document
from countersign.providers.http import Endpoint, Line, Reply, refusal, usable_id
from countersign.providers.mail import ascii_domain, letter
from countersign.providers.sns import AwsSettings, ask, aws_refusal

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
_BUSY: Final = frozenset({"LimitExceededException", "TooManyRequestsException"})


class SesSettings(AwsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`from_address` is an address of an identity that is verified in this region. Raises SettingsError."""

    from_address: str

    def __post_init__(self) -> None:
        if self.from_address.count("@") != 1 or not self.from_address.isprintable() or " " in self.from_address:
            raise SettingsError("ses from_address is no mail address; give one of an identity that is verified.")
        try:
            ascii_domain(self.from_address)
        except (DeliveryFailedError, InputError):
            raise SettingsError("ses from_address has a domain that is none.") from None
        self.place()

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
        self._line = Line(endpoint)

    async def send(self, message: Message) -> Accepted:
        """Send the letter; raises DeliveryFailedError. SES gives it a Message-ID of its own, and takes no key: see docs/providers.md."""
        if message.channel is not Channel.EMAIL:
            raise DeliveryFailedError(
                Reason.MISCONFIGURED, f"{_WHO} carries mail alone; route other channels elsewhere.", permanent=True
            )
        mail = letter(message, self._settings.from_address, self._clock())
        wanted = {
            "FromEmailAddress": mail.sender,
            "Destination": {"ToAddresses": [mail.recipient]},
            "Content": {"Raw": {"Data": base64.b64encode(mail.content).decode()}},
        }
        body = msgspec.json.encode(wanted)
        reply = await ask(self._line, self._url, self._settings, "ses", body, self._clock())
        if not reply.ok:
            raise _refused(reply, self._clock())
        return Accepted(usable_id(at(document(reply.body), "MessageId")))

    async def close(self) -> None:
        """Let go of connections that were kept."""
        await self._line.close()


def _refused(reply: Reply, now: int) -> DeliveryFailedError:
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
