"""Finds the application whose pages these are: the client of the OpenID Connect request that a page belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from countersign import links

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.web.http.request import Request

_MAX_ID: Final = 64
_MAX_FIELDS: Final = 64


def client_in(path: str) -> str:
    """Return the client id of an authorization request by its path and query, or "" for any other path."""
    where, _, query = path.partition("?")
    if where != links.AUTHORIZE:
        return ""
    try:
        found = parse_qs(query, max_num_fields=_MAX_FIELDS).get("client_id", [""])
    except ValueError:
        return ""
    return found[0] if len(found) == 1 and len(found[0]) <= _MAX_ID else ""


def remember_application(req: Request, path: str) -> None:
    """Let every page that answers this request bear the theme of the client in `path`, where a login flow continues."""
    req.context.application = client_in(path)


def asking_application(req: Request, values: Mapping[str, object]) -> str:
    """Return the id of the application that a page belongs to, or "" for our own.

    It is what `remember_application` said, else the client of where the page leads back to, else the client of the request itself.
    The id is not checked: a theme is no secret, and an unknown id has none.
    """
    remembered = getattr(req.context, "application", "")
    back = values.get("return_to") or req.get_param("return_to") or ""
    own = req.get_param("client_id") if req.path == links.AUTHORIZE else ""
    return str(remembered or client_in(str(back)) or (own or "")[:_MAX_ID])
