"""Redirect targets: where a browser goes next, where it came from, and which addresses of applications it may be sent to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from countersign.domain.accounts.login_flow import InterruptedRequest, LoginFlowKind
from countersign.flows.oidc.asking_client import find_asking_client
from countersign.store.tables import applications
from countersign.web.http.cookies import keep_flow
from countersign.web.pages.shared.account_layout import PARTS
from countersign.web.pages.shared.word_pages import HOME

if TYPE_CHECKING:
    from countersign.flows.accounts.context import CodeRequested
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

MAX_RETURN: Final = 4_000

AGAIN: Final = {
    LoginFlowKind.SIGN_UP: "/sign-up",
    LoginFlowKind.SIGN_IN: "/sign-in",
    LoginFlowKind.STEP_UP: HOME,
    LoginFlowKind.BIND_CONTACT: "/account/contacts",
    LoginFlowKind.RECOVER: "/recover",
    LoginFlowKind.DELAYED_RECOVERY: "/recover/lost",
    LoginFlowKind.ENROL_APP: "/account/methods",
    LoginFlowKind.ENROL_PASSKEY: "/account/methods",
    LoginFlowKind.PASSKEY: "/sign-in",
    LoginFlowKind.KEEP_CODES: "/account/methods",
}
"""The page on which each kind of flow begins again."""

_FOR_A_SESSION: Final = frozenset(
    {
        LoginFlowKind.SIGN_UP,
        LoginFlowKind.SIGN_IN,
        LoginFlowKind.RECOVER,
        LoginFlowKind.DELAYED_RECOVERY,
        LoginFlowKind.PASSKEY,
    }
)


class Origin(msgspec.Struct, frozen=True):
    """Where a person came from before they signed in (semantics J1).

    `path` is where they go on afterwards; empty for the account. `application` is the name of the application that waits for them, and
    `form_action` its origin, to which a form may lead; both are empty if there is none. `asking` is that name unless it is the name of
    this very site, and `login_hint` the identifier that the application suggests.
    """

    path: str = ""
    application: str = ""
    form_action: str = ""
    asking: str = ""
    login_hint: str = ""


async def return_to(web: WebContext, wanted: str) -> str:
    """Return the target after a sign-in: a path of ours, a registered address of an application, or the account."""
    if not 0 < len(wanted) <= MAX_RETURN or not wanted.isascii() or not wanted.isprintable() or "\\" in wanted:
        return HOME
    if wanted.startswith("/") and not wanted.startswith("//"):
        return wanted
    known = await web.database.read(applications.list_all)
    return wanted if any(wanted in application.redirect_uris for application in known) else HOME


async def origin_of(web: WebContext, wanted: str) -> Origin:
    """Return the origin that `return_to` names. Whatever is no target of ours counts as the account."""
    path = await return_to(web, wanted)
    asking = await find_asking_client(web.accounts, path)
    if not asking.origin:
        return Origin("" if path == HOME else path)
    return Origin(path, asking.site or web.settings.site, asking.origin, asking.site, asking.login_hint)


async def leads_to(web: WebContext, path: str) -> str:
    """Return the registered origin of the application that an authorization request leads to, or "" for another path of ours."""
    return (await origin_of(web, path)).form_action


def with_origin(page: str, path: str) -> str:
    """Return the address of a page of ours that leads back to `path` in the end."""
    return page if path in {"", HOME} else f"{page}?return_to={quote(path, safe='/')}"


def page_of(interrupted: InterruptedRequest) -> str:
    """Return the page on which an interrupted request was made: that of the form, or the page itself."""
    if interrupted.method == "GET":
        return interrupted.path or HOME
    parents = [part for part in PARTS if interrupted.path == part or interrupted.path.startswith(f"{part}/")]
    return max(parents, key=len, default=HOME)


def again(kind: LoginFlowKind, interrupted: InterruptedRequest) -> str:
    """Return where a flow begins again, for the same thing."""
    if kind in _FOR_A_SESSION:
        return with_origin(AGAIN[kind], page_of(interrupted))
    return page_of(interrupted) if kind is LoginFlowKind.STEP_UP else AGAIN[kind]


def to_verification(req: Request, resp: Response, begun: CodeRequested) -> None:
    """Set the cookies of a login flow that has begun, and redirect to the verification screen."""
    keep_flow(req, resp, begun)
    resp.redirect("/verify")
