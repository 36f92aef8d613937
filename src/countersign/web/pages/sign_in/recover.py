"""The pages at /recover: a forgotten password, and delayed recovery for a person without any contact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.authenticator import AuthenticatorKind
from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.login_flow import NOTHING_INTERRUPTED, InterruptedRequest, LoginFlowKind
from countersign.flows.accounts.context import CodeRequested, FlowNotFound, InvalidInput
from countersign.flows.changes.apply import Applied
from countersign.flows.sign_in.check_up import next_proof
from countersign.flows.sign_in.recover import (
    RecoveryNotOffered,
    begin_delayed_recovery,
    find_recovered_address,
    recover,
    reset_password,
)
from countersign.messages.language.catalogue import mark
from countersign.web.http.browser import language_of
from countersign.web.http.cookies import SESSION, drop, drop_flow
from countersign.web.http.forms import fields_of
from countersign.web.pages.shared.destinations import origin_of, page_of, return_to, to_verification, with_origin
from countersign.web.pages.shared.first_visit import drops_cookies, name_browser
from countersign.web.pages.shared.flash import keep_flash, redirect_with, take_flash
from countersign.web.pages.shared.flow_mark import flow_query, is_of_other_flow, show_other_flow
from countersign.web.pages.shared.origin import find_origin, keep_origin
from countersign.web.pages.shared.over import show_over
from countersign.web.pages.shared.rendering import show
from countersign.web.pages.shared.word_pages import (
    show_change_refusal,
    show_cookies_needed,
    show_outcome,
    show_refusal,
    show_word,
)
from countersign.web.pages.shared.wordings import PASSWORD_FAULTS, fault_of_contact
from countersign.web.pages.sign_in.lost import lost_view
from countersign.web.pages.sign_in.own_recovery import own_recovery_shown
from countersign.web.pages.sign_in.sign_in import MAX_IDENTIFIER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.flows.verifications.results import Refused
    from countersign.messages.language.catalogue import Language
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

_FIELDS: Final = ("identifier", "contact", "password", "current")


NEXT: Final = {
    AuthenticatorKind.APP: mark("a code from your authenticator app"),
    AuthenticatorKind.PASSKEY: mark("your passkey"),
    AuthenticatorKind.RECOVERY_CODE: mark("a recovery code"),
}
"""What a sign-in asks for beside the password."""


class RecoverPage:
    """GET shows the form, POST sends a code. Below it a new password is chosen, or delayed recovery begins."""

    def __init__(self, web: WebContext) -> None:
        self._web = web

    async def get(self, req: Request, resp: Response) -> None:
        """Ask for the identifier."""
        await self._open(req, resp, "recover.html", "/recover")

    async def post(self, req: Request, resp: Response) -> None:
        """Send a code. The answer is the same without an account (semantics R1)."""
        fields = await fields_of(req)
        if drops_cookies(self._web, req, fields):
            show_cookies_needed(self._web, req, resp, with_origin("/recover", fields.get("return_to", "")))
            return
        then = InterruptedRequest(path=await return_to(self._web, fields.get("return_to", "")))
        asked = await recover(self._web.accounts, self._web.browser(req), fields.get("identifier", ""), then)
        self._asked(req, resp, "/recover", fields, asked, then)

    async def get_lost(self, req: Request, resp: Response) -> None:
        """Explain the waiting time, and ask for a new contact."""
        if not self._web.accounts.recovery_policy.delayed:
            self._not_offered(req, resp)
            return
        await self._open(req, resp, "lost.html", "/recover/lost")

    async def post_lost(self, req: Request, resp: Response) -> None:
        """Send a code to the new contact."""
        fields = await fields_of(req)
        if drops_cookies(self._web, req, fields):
            show_cookies_needed(self._web, req, resp, with_origin("/recover/lost", fields.get("return_to", "")))
            return
        then = InterruptedRequest(path=await return_to(self._web, fields.get("return_to", "")))
        asked = await begin_delayed_recovery(
            self._web.accounts, self._web.browser(req), fields.get("identifier", ""), fields.get("contact", ""), then
        )
        if isinstance(asked, RecoveryNotOffered):
            self._not_offered(req, resp)
        else:
            self._asked(req, resp, "/recover/lost", fields, asked, then)

    def _not_offered(self, req: Request, resp: Response) -> None:
        """Say that there is no delayed recovery here, and what to do instead (semantics R8)."""
        language, site = language_of(req), self._web.settings.site
        resp.status = falcon.HTTP_404
        show_word(
            self._web,
            req,
            resp,
            "warn",
            language.say("You need contact details on the account to recover it here"),
            language.say(
                "You need one of its email addresses or phone numbers, or a recovery code. If you have neither,"
                " contact {site} to find out what you can do.",
                site=site,
            ),
            ("/recover", language.say("Recover your account")),
        )

    async def get_password(self, req: Request, resp: Response) -> None:
        """Ask for the new password once the person proved the account."""
        if address := await find_recovered_address(self._web.accounts, self._web.browser(req)):
            await self._open_new_password(req, resp, address)
        else:
            await show_over(self._web, req, resp)

    async def post_password(self, req: Request, resp: Response) -> None:
        """Replace the password, and lead to the sign-in. It signs nobody in (semantics R2)."""
        fields = await fields_of(req)
        if is_of_other_flow(self._web, req, fields):
            show_other_flow(self._web, req, resp)
            return
        origin, flow = find_origin(self._web, req), self._web.browser(req).flow
        then = origin.interrupted if origin is not None else NOTHING_INTERRUPTED
        outcome = await reset_password(
            self._web.accounts, self._web.browser(req), fields.get("password", ""), fields.get("current", "")
        )
        language = language_of(req)
        match outcome:
            case InvalidInput(faults):
                said = {f"{field}_fault": fault for field, fault in faults.items()}
                redirect_with(self._web, resp, "/recover/password", said, flow_query(self._web, req).removeprefix("&"))
            case Applied():
                self._web.database.notify()
                drop(resp, SESSION)
                drop_flow(req, resp, flow)
                if origin is not None:
                    keep_origin(self._web, resp, LoginFlowKind.SIGN_IN, then)  # whoever comes back here signs in
                show_outcome(
                    self._web,
                    req,
                    resp,
                    "good",
                    language.say("You have a new password"),
                    language.say(
                        "Everyone is signed out, and we’ll tell you at all your email addresses and phone"
                        " numbers. Sign in with your new password now."
                    ),
                    (with_origin("/sign-in", page_of(then)), language.say("Sign in")),
                )
            case ChangeRefusal():
                show_change_refusal(self._web, req, resp, outcome)
            case FlowNotFound():
                resp.redirect("/recover/password")

    async def _open_new_password(self, req: Request, resp: Response, address: str) -> None:
        """Ask for the new password, and say what will be asked for next: whoever has lost it finds out before, not after."""
        language, origin = language_of(req), find_origin(self._web, req)
        back = page_of(origin.interrupted) if origin is not None else ""
        following = await next_proof(self._web.accounts, self._web.browser(req))
        needed = [language.say(NEXT[kind]) for kind in following.authenticators]
        needed += [language.say("a code to {names}", names=f"\u2066{masked}\u2069") for masked in following.contacts]
        quick = (
            (with_origin("/recover", back), language.say("Use another email address or phone number on your account")),
        )
        label = mark("I do not have any of these")
        await self._open(
            req,
            resp,
            "new_password.html",
            "/recover/password",
            username=address,
            needed=needed,
            lost=lost_view(self._web, label, quick, language, back) if needed else None,
        )

    def _asked(
        self,
        req: Request,
        resp: Response,
        path: str,
        fields: Mapping[str, str],
        asked: CodeRequested | InvalidInput | Refused,
        then: InterruptedRequest,
    ) -> None:
        match asked:
            case CodeRequested():
                self._web.database.notify()
                to_verification(req, resp, asked)
                return
            case InvalidInput():
                faults = asked.faults
            case _ if asked.retry_after:
                show_refusal(self._web, req, resp, asked)
                return
            case _:
                faults = {"contact" if "contact" in fields else "identifier": asked.reason or "unusable"}
        said = {f"{field}_fault": fault for field, fault in faults.items()}
        said |= {field: fields.get(field, "")[:MAX_IDENTIFIER] for field in ("identifier", "contact")}
        keep_flash(self._web, resp, path, said)
        resp.redirect(with_origin(path, then.path))

    async def _open(self, req: Request, resp: Response, template: str, path: str, **values: object) -> None:
        """Show the form at `path`, filled with what was typed if something is wrong with it."""
        language, least = language_of(req), str(self._web.accounts.password_min_length)
        said = take_flash(self._web, req, resp, path)
        name_browser(self._web, req, resp)
        wanted = req.get_param("return_to") or ""
        origin = await origin_of(self._web, wanted)
        faults = {field: said[f"{field}_fault"] for field in _FIELDS if f"{field}_fault" in said}
        show(
            self._web,
            req,
            resp,
            template,
            identifier=said.get("identifier", "" if said else origin.login_hint),
            contact=said.get("contact", ""),
            asking=origin.asking,
            return_to=wanted,
            sign_in=with_origin("/sign-in", origin.path),
            recover=with_origin("/recover", origin.path),
            recover_lost=with_origin("/recover/lost", origin.path),
            origin=origin,
            form_action=origin.form_action,
            cancels=template == "new_password.html",
            least=least,
            policy=self._web.accounts.recovery_policy,
            own=own_recovery_shown(self._web, req) if template == "lost.html" else None,
            faults={field: _words(field, fault, language, least) for field, fault in faults.items()},
            **values,
        )


def _words(field: str, fault: str, language: Language, least: str) -> str:
    if field == "current":
        return language.say("This is not your old password. If you do not know it, leave this empty.")
    return (
        language.say(PASSWORD_FAULTS[fault], least=least) if field == "password" else fault_of_contact(fault, language)
    )
