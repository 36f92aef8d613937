"""What the settings of every carrier with an HTTP API have in common, and how the words of such APIs are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from countersign.domain.delivery.delivery import Reason, Receipt, ReceiptState
from countersign.errors import InputError, SettingsError
from countersign.providers import Callback
from countersign.providers.http.client import MAX_BODY, MAX_ID, Endpoint

RECEIPT_WITHIN: Final = 60_000
"""Milliseconds after which a receipt that should come is overdue, until the provider's own pace is known."""

_MAX_FIELDS: Final = 200


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each has. `callback` is the address of ours that receipts are posted to; "" where none can come."""

    url: str = ""
    name: str
    callback: str = ""
    receipt_within: int | None = None
    timeout: float = 10.0
    connections: int = 16
    allow_http: bool = False
    allow_private: bool = False
    ca_file: str | None = None

    def place(self) -> Endpoint:
        """Return where the provider is spoken to; raises SettingsError where that cannot be meant."""
        raise NotImplementedError

    def endpoint(self, who: str, default: str) -> Endpoint:
        """Return an endpoint with these bounds; raises SettingsError where that cannot be meant."""
        endpoint = Endpoint(
            who,
            (self.url or default).rstrip("/"),
            self.timeout,
            self.connections,
            self.allow_http,
            self.allow_private,
            self.ca_file,
        )
        endpoint.check(who.lower())
        if self.receipt_within is not None and self.receipt_within <= 0:
            raise SettingsError(
                f"{who.lower()} receipt_within must be above 0 milliseconds; leave it out for what fits this provider."
            )
        return endpoint

    @property
    def patience(self) -> int | None:
        """Return the milliseconds after which a receipt is overdue; None where none can come."""
        if not self.callback:
            return None
        return self.receipt_within or RECEIPT_WITHIN

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"{type(self).__name__}({self.name})"


def filled(kind: str, **values: str) -> None:
    """Raise SettingsError for what is required and empty, or could not stand in a header or an address."""
    for name, value in values.items():
        if not value or not value.isprintable():
            raise SettingsError(f"{kind} {name} is required; it is in the provider's own console.")


def form(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a form that was posted; raises InputError."""
    if len(body) > MAX_BODY:
        raise InputError("", "too_large", f"A receipt has at most {MAX_BODY} bytes.")
    try:
        return parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        raise malformed() from None


def document(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON it is; `at` reads it
    """Return the JSON that was posted or answered; None if it is none."""
    try:
        return msgspec.json.decode(body) if len(body) <= MAX_BODY else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def at(value: Any, *path: str | int) -> Any:  # noqa: ANN401
    """Return what a JSON document has at a path, None where there is no such place."""
    for step in path:
        if isinstance(step, str) and isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def each(value: Any, *path: str | int) -> list[Any]:  # noqa: ANN401
    """Return the list that a JSON document has at a path, an empty one where there is none."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def number(value: Any) -> int:  # noqa: ANN401
    """Return a code of an API, which some write as text; 0 if it is none."""
    if isinstance(value, int):
        return int(value)
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0  # noqa: PLR2004 - longer is no code


def told(name: str, identifier: object, state: ReceiptState, reason: Reason | None = None) -> Receipt:
    """Return a receipt; raises InputError where its id cannot be one."""
    if not isinstance(identifier, str) or not 0 < len(identifier) <= MAX_ID or not identifier.isprintable():
        raise malformed()
    return Receipt(name, identifier, state, (reason or Reason.REFUSED) if state is ReceiptState.UNDELIVERED else None)


def malformed() -> InputError:
    """Return the error for a receipt that is none."""
    return InputError("", "malformed", "This is no receipt as the provider's documentation has them.")


def forged() -> InputError:
    """Return the error for a receipt that is not signed with the secret we share."""
    return InputError("headers", "signature_wrong", "The receipt is not signed with the secret that the settings hold.")


def bounded(callback: Callback) -> Callback:
    """Return the callback if its body is of a size that is read; raises InputError."""
    if len(callback.body) > MAX_BODY:
        raise InputError("", "too_large", f"A receipt has at most {MAX_BODY} bytes.")
    return callback
