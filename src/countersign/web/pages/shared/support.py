"""Where people get help from the operator, as a link for any page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext


def support_of(web: WebContext) -> tuple[str, str] | None:
    """Return where people get help from the operator: an address for a link, and its label. None if nothing is set."""
    found = str(getattr(web.settings, "support", "") or "")
    if not found:
        return None
    if "://" in found or found.startswith(("mailto:", "tel:")):
        return found, found.partition("://")[2] or found.partition(":")[2]
    if "@" in found:
        return f"mailto:{found}", found
    return "tel:" + "".join(one for one in found if one.isdigit() or one == "+"), found
