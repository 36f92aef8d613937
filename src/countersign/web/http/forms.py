"""Form bodies: the fields that a browser or an OAuth client sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from countersign.web.http.problems import ProblemError
from countersign.web.http.request import MAX_BODY

if TYPE_CHECKING:
    from countersign.web.http.request import Request

MAX_FIELDS: Final = 32
FORM: Final = "application/x-www-form-urlencoded"


async def fields_of(req: Request, most: int = MAX_BODY) -> dict[str, str]:
    """Return the fields of a form. The first of two fields with one name counts.

    Args:
        req: the request that brings the form.
        most: how many bytes it may have.

    Raises:
        ProblemError: what was sent is no form, or too long.
    """
    if not is_form(req):
        raise ProblemError("not_json")
    try:
        pairs = pairs_of((await req.body(most)).decode())
    except ValueError as error:
        raise ProblemError("malformed") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def is_form(req: Request) -> bool:
    """Return True if the request declares a form body."""
    return (req.content_type or "").partition(";")[0].strip().lower() == FORM


def pairs_of(text: str, most: int = MAX_FIELDS) -> list[tuple[str, str]]:
    """Return the names and values of a form or query in order. Raises ValueError if it is malformed or has more than `most` fields."""
    return parse_qsl(text, keep_blank_values=True, max_num_fields=most, errors="strict")
