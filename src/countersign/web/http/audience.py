"""Who reads a response: a person in a browser, who gets a page, or a program, which gets JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from countersign.web.http.request import Request

_MAX_ACCEPT: Final = 1_000
"""Characters of Accept that are read."""
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_DATA: Final = frozenset({"application/json", "application/problem+json"})


def is_person(req: Request) -> bool:
    """Return True if a browser opens this address as a page for somebody to read.

    Browsers name text/html when they open a page or send a form (RFC 9110, 12.5.1), and say that they want a document (Fetch Metadata).
    Scripts, pictures and programs name something else, or `*/*` alone.
    """
    if req.get_header("Sec-Fetch-Dest") == "document":
        return True
    weights = dict.fromkeys(("page", "data"), 0.0)
    for part in (req.get_header("Accept") or "")[:_MAX_ACCEPT].split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        kind = "page" if name in _PAGES else "data" if name in _DATA else ""
        if kind:
            weights[kind] = max(weights[kind], _weight(parameters))
    return weights["page"] > 0 and weights["page"] >= weights["data"]


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
