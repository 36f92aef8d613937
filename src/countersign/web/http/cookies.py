"""Cookies: the secrets of a browser. They are sent only to this host over TLS, and scripts cannot read them (semantics H5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from countersign.flows.accounts.context import CodeRequested, SignedIn
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

SESSION: Final = "__Host-session"
DEVICE: Final = "__Host-device"
FLOW: Final = "__Host-visit"
EARLIER_FLOWS: Final = ("__Host-visit2", "__Host-visit3")
"""The flows that other tabs of the browser had begun before, the latest first."""
FLASH: Final = "__Host-flash"
ORIGIN: Final = "__Host-origin"
OWN_RECOVERY: Final = "__Host-recovery"
LANGUAGE: Final = "__Host-language"
"""The tag of the language that the person chose: no secret, but kept as the others are."""
ASKED_LANGUAGE: Final = "__Host-asked-language"
"""The language that an application asked for. It holds a tag and no secret."""
REMINDED: Final = "__Host-reminded"
"""No secret: this browser was reminded lately that its user could be locked out."""
ZONE: Final = "__Host-zone"
"""The time zone of the browser, which a script of ours tells: no secret, and believed only to show times."""

DEVICE_KEPT: Final = 400 * 86_400
"""Seconds: the maximum lifetime that browsers grant a cookie (RFC 6265bis, 5.5)."""
SESSION_KEPT: Final = 30 * 86_400
FLOW_KEPT: Final = 1_800
OWN_RECOVERY_KEPT: Final = 14 * 86_400
"""Seconds: the wait of a delayed recovery, and the week in which it can be finished."""
ASKED_LANGUAGE_KEPT: Final = FLOW_KEPT
MAX_SECRET: Final = 64
MAX_SEALED: Final = 2_000

_ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Lax"


def keep(resp: Response, name: str, secret: str, seconds: int) -> None:
    """Set a cookie."""
    resp.append_header("Set-Cookie", f"{name}={secret}; Max-Age={seconds}; {_ATTRIBUTES}")


def drop(resp: Response, name: str) -> None:
    """Delete a cookie."""
    resp.append_header("Set-Cookie", f"{name}=; Max-Age=0; {_ATTRIBUTES}")


def keep_flow(req: Request, resp: Response, begun: CodeRequested) -> None:
    """Set the cookies of a login flow that has begun. Those of other tabs stay: each form says to which flow it belongs."""
    keep(resp, DEVICE, begun.device, DEVICE_KEPT)
    keep(resp, FLOW, begun.flow, FLOW_KEPT)
    earlier = [flow for flow in flows_in(req) if flow != begun.flow]
    for name, flow in zip(EARLIER_FLOWS, earlier, strict=False):
        keep(resp, name, flow, FLOW_KEPT)


def flows_in(req: Request) -> list[str]:
    """Return the secrets of the flows of this browser, the latest first."""
    found = [secret_in(req, name) for name in (FLOW, *EARLIER_FLOWS)]
    return [secret for secret in found if secret]


def keep_session(req: Request, resp: Response, signed_in: SignedIn, flow: str = "") -> None:
    """Set the cookies of a session that has begun or was raised, and delete that of its flow; left out, that of the latest one."""
    keep(resp, SESSION, signed_in.session, SESSION_KEPT)
    keep(resp, DEVICE, signed_in.device, DEVICE_KEPT)
    drop_flow(req, resp, flow)


def drop_flow(req: Request, resp: Response, flow: str = "") -> None:
    """Delete the cookie of a flow that is over; left out, that of the latest one. Those of other tabs stay."""
    name = next((name for name in EARLIER_FLOWS if flow and secret_in(req, name) == flow), FLOW)
    drop(resp, name)


def secret_in(req: Request, name: str, most: int = MAX_SECRET) -> str:
    """Return the secret in a cookie, or "" if it is absent, malformed or longer than `most` characters."""
    values = req.get_cookie_values(name) or []
    if len(values) != 1:  # two cookies of one name: another host wrote one of them
        return ""
    value = values[0]
    return value if 0 < len(value) <= most and value.isascii() and value.isprintable() else ""
