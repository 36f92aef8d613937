"""Misuse and outage: the only things in Countersign that are raised; what a person may expect is returned."""

from __future__ import annotations


class CountersignError(Exception):
    """Anything Countersign raises on purpose; its text is safe to show to the operator."""


class SettingsError(CountersignError):
    """A setting, a key or a file is missing or bad; the text names it and what was expected."""


class InputError(CountersignError):
    """What a caller sent cannot be used.

    `field` is the JSON path of the part that is wrong (`"to"`, `"requester.ip"`), `reason` a stable
    slug for programs, and the text a sentence for people. It never repeats what was sent.
    """

    def __init__(self, field: str, reason: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.reason = reason


class UnavailableError(CountersignError):
    """Something we depend on is down or full; try again after `retry_after` seconds."""

    def __init__(self, text: str, retry_after: int = 1) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class OverloadedError(UnavailableError):
    """More is waiting than we promise to get through; nothing was done."""


class NotFoundError(CountersignError):
    """No such record, or it belongs to somebody else: the two are not told apart."""


class DeliveryFailedError(CountersignError):
    """A provider did not take a message.

    `reason` is one of `domain.delivery.Reason`; `permanent` says that the same provider would refuse
    the same message again; `retry_after` is the provider's own wish in seconds, if it gave one; `lasting` says that the address is
    known not to be there. The text is for the operator and holds neither the code nor the contact.
    """

    def __init__(
        self, reason: str, text: str = "", *, permanent: bool, retry_after: int | None = None, lasting: bool = False
    ) -> None:
        super().__init__(text or reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after
        self.lasting = lasting
