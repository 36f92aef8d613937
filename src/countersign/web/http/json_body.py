"""JSON bodies: bounded in size, time and depth, and typed. An error names the path of the invalid value, never the value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from countersign.errors import InputError
from countersign.web.http.problems import ProblemError
from countersign.web.http.request import Request
from countersign.web.http.response import JSON

_JSON: Final = re.compile(r"application/json[ \t]*(?:;[ \t]*charset=\"?utf-?8\"?[ \t]*)?", re.IGNORECASE)
_PATH: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_TYPES: Final = re.compile(r"Expected `([a-z |`]+)`, got `([a-z]+)`")
_LENGTH: Final = re.compile(r"Expected `str` of length (>=|<=) (\d+)")
_REQUIRED: Final = re.compile(r"Object missing required field `([a-z_]+)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `([^`]*)`")
_ALLOWED: Final = {
    "channel": "Expected one of email, sms, voice, whatsapp; where a verification begins, also auto.",
    "locale": "Expected a language tag (BCP 47), such as en or de-AT.",
    "requester.ip": "Expected an IPv4 or IPv6 address without a zone; leave the field out where there is none.",
    "to": "Expected text: a mail address, or a telephone number with its country code.",
}
_A_NAME: Final = re.compile(r"[a-z_]{1,40}")
_WORDS: Final = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
    "array": "an array",
    "object": "an object",
}
_JOINERS: Final = frozenset("\u200c\u200d")
"""Zero-width characters that Persian, Indic scripts and emoji need."""

T = TypeVar("T")


async def json_of(req: Request) -> bytes:
    """Return the body of a request that must have JSON. Raises ProblemError for another content type."""
    kind = req.content_type
    if (kind != JSON and (kind is None or not _JSON.fullmatch(kind))) or req.get_header("Content-Encoding") is not None:
        raise ProblemError("not_json")
    return await req.body()


async def json_if_any(req: Request) -> bytes:
    """Return the body of a request that may have JSON, or `{}` without a body."""
    kind = req.content_type
    if kind is not None and _JSON.fullmatch(kind):
        return await json_of(req) or b"{}"
    if await req.body():
        raise ProblemError("not_json")
    return b"{}"


def decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    """Return the decoded body. Raises InputError with the JSON path of the invalid value."""
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from None
    except UnicodeDecodeError:
        raise InputError("body", "malformed", "The body is not UTF-8.") from None
    except (msgspec.DecodeError, RecursionError):
        raise InputError("body", "malformed", "The body is not JSON.") from None


def clean(field: str, text: str) -> str:
    """Return a text for people or for a column. Raises InputError if it has unprintable characters.

    Control characters, line ends, marks that turn the direction of writing, and half surrogates are refused.
    """
    if text.isprintable():
        return text
    for character in text:
        if not character.isprintable() and character not in _JOINERS and unicodedata.category(character) != "Zs":
            raise InputError(
                field, "malformed", "The text holds control or invisible characters; send it without them."
            )
    return text


def _misfit(said: str) -> InputError:
    """Return our own words for an error of msgspec, which may repeat the input."""
    found = _PATH.search(said)
    path = found[1] if found else ""
    if match := _UNKNOWN.match(said):
        named = _A_NAME.fullmatch(match[1])
        inside = f"{path}.{match[1]}" if path and named else match[1] if named else path or "body"
        return InputError(inside, "unknown_field", "There is no such field here; check its spelling.")
    if match := _REQUIRED.match(said):
        return InputError(f"{path}.{match[1]}" if path else match[1], "required", "This field is required.")
    path = path or "body"
    if match := _TYPES.match(said):
        wanted = " or ".join(_WORDS.get(word, word) for word in re.findall("[a-z]+", match[1]))
        return InputError(path, "wrong_type", f"Expected {wanted}, got {_WORDS.get(match[2], match[2])}.")
    if match := _LENGTH.match(said):
        at_most = match[1] == "<="
        return InputError(
            path,
            "too_long" if at_most else "too_short",
            f"Expected {'at most' if at_most else 'at least'} {match[2]} characters.",
        )
    return InputError(path, "malformed", _ALLOWED.get(path, "This is not one of the values that are allowed here."))
