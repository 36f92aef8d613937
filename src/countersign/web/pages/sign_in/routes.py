"""The routes of the pages for signing up, signing in, verification and recovery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.web.pages.sign_in.authenticator import AuthenticatorPage
from countersign.web.pages.sign_in.cancel import CancelForm
from countersign.web.pages.sign_in.code_requests import CodeRequestForms
from countersign.web.pages.sign_in.own_recovery import OwnRecoveryPage
from countersign.web.pages.sign_in.passkeys import PasskeyPages
from countersign.web.pages.sign_in.progress import ProgressEvents
from countersign.web.pages.sign_in.recover import RecoverPage
from countersign.web.pages.sign_in.sign_in import SignInPage
from countersign.web.pages.sign_in.sign_out import SignOutPage
from countersign.web.pages.sign_in.sign_up import SignUpPage
from countersign.web.pages.sign_in.verify import VerifyPage

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.router import Routes
    from countersign.web.pages.shared.continue_flow import ContinueFlow


def routes(web: WebContext, continue_flow: ContinueFlow) -> Routes:
    """Return the routes. `continue_flow` sends a browser on when a login flow has its proof."""
    sign_out = SignOutPage(web)
    sign_up, sign_in, recover = SignUpPage(web), SignInPage(web), RecoverPage(web)
    authenticator = AuthenticatorPage(web, continue_flow)
    passkeys = PasskeyPages(web, continue_flow)
    verify = VerifyPage(web, continue_flow, authenticator)
    code, cancel = CodeRequestForms(web), CancelForm(web)
    own_recovery = OwnRecoveryPage(web)
    return {
        "/sign-up": {"GET": sign_up.get, "POST": sign_up.post},
        "/sign-in": {"GET": sign_in.get, "POST": sign_in.post},
        "/sign-in/passkey/begin": {"POST": passkeys.post_sign_in_begin},
        "/sign-in/passkey": {"GET": passkeys.to_sign_in, "POST": passkeys.post_sign_in},
        "/sign-in/cancel": {"GET": cancel.get, "POST": cancel.post},
        "/sign-out": {"GET": sign_out.get, "POST": sign_out.post},
        "/verify": {"GET": verify.get, "POST": verify.post},
        "/verify/events": {"GET": ProgressEvents(web).get},
        "/verify/resend": {"GET": code.to_screen, "POST": code.resend},
        "/verify/new": {"GET": code.to_screen, "POST": code.renew},
        "/verify/address": {"GET": code.to_screen, "POST": code.change_address},
        "/verify/way": {"GET": code.to_screen, "POST": code.another_way},
        "/verify/app": {"GET": code.to_screen, "POST": authenticator.post_app},
        "/verify/recovery-code": {"GET": code.to_screen, "POST": authenticator.post_recovery_code},
        "/verify/passkey/begin": {"POST": passkeys.post_verify_begin},
        "/verify/passkey": {"GET": code.to_screen, "POST": passkeys.post_verify},
        "/verify/cancel": {"GET": cancel.get, "POST": cancel.post},
        "/recover": {"GET": recover.get, "POST": recover.post},
        "/recover/password": {"GET": recover.get_password, "POST": recover.post_password},
        "/recover/lost": {"GET": recover.get_lost, "POST": recover.post_lost},
        "/recover/lost/calendar": {"GET": own_recovery.calendar},
        "/recover/lost/withdraw": {"GET": own_recovery.to_lost, "POST": own_recovery.withdraw},
    }
