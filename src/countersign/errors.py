"""The exceptions of Countersign: misuse and outage. Expected refusals are return values, not exceptions."""

from __future__ import annotations


class CountersignError(Exception):
    """Base of every exception that Countersign raises on purpose. Its text is safe to show to the operator."""


class SettingsError(CountersignError):
    """A setting, a key or a file is missing or invalid. The text names it and says what was expected."""


class InputError(CountersignError):
    """Input from a caller is invalid.

    `field` is the JSON path of the invalid part (`"to"`, `"requester.ip"`). `reason` is a stable slug for programs. The text is a sentence
    for people and never repeats the input.
    """

    def __init__(self, field: str, reason: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.reason = reason


class UnavailableError(CountersignError):
    """A dependency is down or overloaded. The caller may retry after `retry_after` seconds.

    Nothing was done if `outcome_known` is true. If it is false, nobody can tell whether the request was carried out.
    """

    def __init__(self, text: str, retry_after: int = 1, *, outcome_known: bool = True) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.outcome_known = outcome_known


class OverloadedError(UnavailableError):
    """The queue is full; nothing was done."""


class PeerUnavailableError(UnavailableError):
    """Something other than the database is away, which says nothing about whether this program can serve."""


class NotFoundError(CountersignError):
    """The record does not exist, or belongs to another account or application. The two cases look alike on purpose."""


class DeliveryFailedError(CountersignError):
    """A provider did not accept a message.

    `reason` is one of `domain.delivery.delivery.Reason`. `permanent` is true if the same provider would refuse the same message again.
    `retry_after` is the provider's own request in seconds, if it made one. `lasting` is true if the address is known not to exist.
    The text is for the operator and holds neither the code nor the contact.
    """

    def __init__(
        self, reason: str, text: str = "", *, permanent: bool, retry_after: int | None = None, lasting: bool = False
    ) -> None:
        super().__init__(text or reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after
        self.lasting = lasting
