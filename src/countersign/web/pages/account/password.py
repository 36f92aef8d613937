"""The page at /account/password: a new password, approved by a code. It ends all other sessions."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.domain.accounts.change import ChangeKind, ChangeRequest
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.password import normalize_password
from countersign.domain.accounts.session import Level, ProofRequirement, satisfies
from countersign.errors import CountersignError
from countersign.flows.accounts.contact_names import opened
from countersign.flows.accounts.sessions import overview
from countersign.flows.sign_in.sign_up import find_password_fault
from countersign.web.http.browser import language_of
from countersign.web.http.problems import ProblemError
from countersign.web.pages.shared.account_layout import show_part
from countersign.web.pages.shared.flash import redirect_with, take_flash
from countersign.web.pages.shared.wordings import PASSWORD_FAULTS

if TYPE_CHECKING:
    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.sessions import Overview
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import ChangeForms, Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

PATH: Final = "/account/password"
_CODE: Final = ProofRequirement(Level.MAIL_CODE)
"""What a session must have proved before its page holds a contact in full."""


class PasswordPage:
    """The form for a new password."""

    def __init__(self, web: WebContext, guard: SessionGuard, forms: ChangeForms) -> None:
        self._web = web
        self._guard = guard
        self._forms = forms

    async def get(self, req: Request, resp: Response) -> None:
        """Show the form."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        said, least = take_flash(self._web, req, resp, PATH), str(self._web.accounts.password_min_length)
        fault = PASSWORD_FAULTS.get(said.get("fault", ""), "")
        words = language_of(req).say(fault, least=least) if fault else ""
        self._show(req, resp, session, await overview(self._web.accounts, session), words)

    def _show(self, req: Request, resp: Response, session: Session, found: Overview | None, fault: str) -> None:
        least = str(self._web.accounts.password_min_length)
        username = self._username(session, found)
        show_part(self._web, req, resp, "password.html", PATH, fault=fault, least=least, username=username)

    def _username(self, session: Session, found: Overview | None) -> str:
        """Return the contact under which a password manager keeps the password; empty for a session that has proved none."""
        accounts = self._web.accounts
        if found is None or not satisfies(session, _CODE, accounts.now()):
            return ""
        first = next((one for one in found.contacts if one.primary), None)
        return opened(accounts, first).address if first is not None else ""

    async def choose(self, form: Submission) -> None:
        """Check the new password, and ask for a proof. Meanwhile only its sealed hash is kept."""
        accounts, password = self._web.accounts, normalize_password(form.fields.get("password", ""))
        found = await overview(accounts, form.session)
        if fault := await find_password_fault(accounts, password, (found.name,) if found is not None else ()):
            redirect_with(self._web, form.resp, PATH, {"fault": fault})
            return
        hashed = await accounts.passwords.hash(password)
        sealed = base64.b64encode(accounts.keyring.seal(hashed, form.session.id)).decode()
        await self.change(msgspec.structs.replace(form, fields={"sealed": sealed}))

    async def change(self, form: Submission) -> None:
        """Request the change, with a hash that was sealed for this session."""
        try:
            hashed = self._web.keyring.unseal(base64.b64decode(form.fields.get("sealed", "")), form.session.id)
        except (binascii.Error, ValueError, CountersignError):
            raise ProblemError("malformed") from None
        wanted = ChangeRequest(
            ChangeKind.PASSWORD_CHANGED,
            hashlib.sha256(hashed.encode()).hexdigest(),
            summary=form.act_language.say("Change the password of your account"),
            password=hashed,
        )
        if await self._forms.submit(form, wanted) is not None:
            form.resp.redirect(f"{PATH}?done={wanted.kind.value}")
