"""Forms: the fields that a person sent, and the language that they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import falcon

from countersign.messages.language.catalogue import Language, negotiate

if TYPE_CHECKING:
    from falcon.asgi import Request

MAX_FORM: Final = 65_536
"""Bytes of a form that are read; more is answered 413 (semantics H3)."""
MAX_FIELDS: Final = 32
_FORM: Final = "application/x-www-form-urlencoded"
_MAX_LANGUAGES: Final = 400
_MAX_TAG: Final = 35  # RFC 5646, 4.4.1


async def fields_of(req: Request, most: int = MAX_FORM) -> dict[str, str]:
    """Return the fields of a form; of one that comes twice, the first. Raises HTTPError for what is no form, or too long."""
    if (req.content_type or "").partition(";")[0].strip().lower() != _FORM:
        raise falcon.HTTPUnsupportedMediaType
    body = await req.bounded_stream.read(most + 1)
    if len(body) > most:
        raise falcon.HTTPContentTooLarge
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise falcon.HTTPBadRequest from error
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def wish_of(req: Request) -> str:
    """Return the first tag of Accept-Language (RFC 9110, 12.5.4) whose language we speak, by weight; empty if there is none."""
    wishes: list[tuple[float, int, str]] = []
    for place, part in enumerate((req.get_header("Accept-Language") or "")[:_MAX_LANGUAGES].split(",")):
        tag, _, weight = part.partition(";")
        try:
            wishes.append((-float(weight.strip().removeprefix("q=") or 1), place, tag.strip()))
        except ValueError:
            continue
    for rank, _, tag in sorted(wishes):
        if rank < 0 and negotiate(tag).tag.split("-")[0] == tag.lower().split("-")[0]:
            return tag[:_MAX_TAG]
    return ""


def spoken(req: Request) -> Language:
    """Return the language that a page is written in for this reader."""
    return negotiate(wish_of(req))
