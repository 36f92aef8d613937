"""Read what an HTTP API answers or posts: JSON of any shape, forms, and error codes that some write as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from countersign.providers.http.client import MAX_BODY
from countersign.providers.http.receipts import check_size, malformed_receipt

_MAX_FIELDS: Final = 200
_MAX_DIGITS: Final = 9


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a posted form in their order; raises InputError if it is too large or no form."""
    check_size(body)
    try:
        return parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        raise malformed_receipt() from None


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - whatever JSON it is; `json_at` reads it
    """Return the JSON that was posted or answered; None if it is too large or no JSON."""
    try:
        return msgspec.json.decode(body) if len(body) <= MAX_BODY else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def json_at(value: Any, *path: str | int) -> Any:  # noqa: ANN401
    """Return what a JSON document has at a path; None if there is no such place.

    >>> json_at({"messages": [{"id": "m-1"}]}, "messages", 0, "id")
    'm-1'
    """
    for step in path:
        if isinstance(step, str) and isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def json_list_at(value: Any, *path: str | int) -> list[Any]:  # noqa: ANN401
    """Return the list that a JSON document has at a path; an empty one if there is none."""
    found = json_at(value, *path)
    return found if isinstance(found, list) else []


def error_code(value: Any) -> int:  # noqa: ANN401
    """Return the error code of an API, whether it is a number or a text of digits; 0 if it is neither."""
    if isinstance(value, int):
        return int(value)
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0
