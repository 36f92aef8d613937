"""Settings that several kinds of providers share: types of fields for their structs, and checks."""

from __future__ import annotations

from typing import Annotated, Final

from countersign.errors import SettingsError
from countersign.setting import Described

RECEIPT_WITHIN: Final = 60_000
"""Milliseconds after which a receipt is overdue, until the provider's own latency is known."""

AllowHttp = Annotated[
    bool, Described("Whether codes may travel unencrypted; only for a server in a network of your own.")
]
AllowPrivate = Annotated[bool, Described("Whether the address may be in a private network.")]
Timeout = Annotated[
    float, Described("The longest time in seconds that one hand-over may take.", expects="above 0 and below 45")
]
CaFile = Annotated[
    str | None,
    Described(
        "The certificate authorities to trust instead.",
        expects="a file of certificates in PEM form",
        default="the system's authorities",
    ),
]
Url = Annotated[
    str,
    Described("The address of the API.", expects="an address that begins with https://", secret=True),
]
"""The address of an API. It can hold a key, so no error shows it."""

ReceiptWithin = Annotated[
    int | None,
    Described(
        "After how many milliseconds a receipt is overdue, so that the next provider is tried.",
        expects="milliseconds, above 0",
        default=str(RECEIPT_WITHIN),
    ),
]


def receipt_patience(receipt_within: int | None, callback: str) -> int | None:
    """Return the milliseconds after which a receipt is overdue; None if `callback` is "", so that none can come."""
    return (receipt_within or RECEIPT_WITHIN) if callback else None


def check_receipt_within(receipt_within: int | None) -> None:
    """Raise SettingsError for a time that is not positive."""
    if receipt_within is not None and receipt_within <= 0:
        raise SettingsError("receipt_within must be above 0 milliseconds; leave it out for the default.")


def require_filled(**values: str) -> None:
    """Raise SettingsError for a value that is empty, or could not stand in a header or an address. The keywords are its names."""
    for name, value in values.items():
        if not value or not value.isprintable():
            raise SettingsError(f"{name} is required; you find it in the provider's own console.")
