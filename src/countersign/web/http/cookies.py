"""Cookies: the secrets that a browser holds, each sent back to this very host and over TLS alone, and read by no script (semantics H5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.flows.accounts.context import BrowserContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcon.asgi import Request, Response

SESSION: Final = "__Host-session"
DEVICE: Final = "__Host-device"
VISIT: Final = "__Host-visit"

DEVICE_KEPT: Final = 400 * 86_400
"""Seconds: the longest that browsers keep a cookie (RFC 6265bis, 5.5)."""
SESSION_KEPT: Final = 30 * 86_400
VISIT_KEPT: Final = 1_800
MAX_SECRET: Final = 64
MAX_AGENT: Final = 400
MAX_LANGUAGES: Final = 100


def browser_of(req: Request) -> BrowserContext:
    """Return what a browser brought; a cookie that is no secret of ours is none."""
    return BrowserContext(
        session=_secret(req, SESSION),
        device=_secret(req, DEVICE),
        flow=_secret(req, VISIT),
        ip=req.remote_addr or "",
        user_agent=_line(req.get_header("User-Agent") or "", MAX_AGENT),
    )


def keep(resp: Response, name: str, secret: str, seconds: int) -> None:
    """Have the browser hold a secret."""
    resp.append_header("Set-Cookie", written(name, secret, seconds))


def written(name: str, secret: str, seconds: int) -> str:
    """Return the cookie by which a browser holds a secret."""
    return f"{name}={secret}; Max-Age={seconds}; Path=/; Secure; HttpOnly; SameSite=Lax"


def drop(resp: Response, name: str) -> None:
    """Have the browser forget a secret."""
    resp.append_header("Set-Cookie", f"{name}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax")


def _secret(req: Request, name: str) -> str:
    return sole(req.get_cookie_values(name) or [])


def sole(values: Sequence[str]) -> str:
    """Return the one value of a cookie that is a secret of ours, or nothing."""
    if len(values) != 1:  # two of one name: somebody else's host wrote one of them
        return ""
    value = values[0]
    return value if 0 < len(value) <= MAX_SECRET and value.isascii() and value.isprintable() else ""


def _line(text: str, most: int) -> str:
    return "".join(character for character in text[:most] if character.isprintable())
