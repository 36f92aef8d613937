"""Pages: what a person sees of Countersign, as templates that are filled on the server and made livelier by small modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.errors import UnavailableError
from countersign.web.http.assets import Assets
from countersign.web.pages.account.activity import ActivityPage
from countersign.web.pages.account.authenticators import MethodsPage
from countersign.web.pages.account.changes import ChangesPage
from countersign.web.pages.account.contacts import ContactsPage
from countersign.web.pages.account.integration_codes import IntegrationCodesPage
from countersign.web.pages.account.overview import AccountPage, EndPage
from countersign.web.pages.account.password import PasswordPage
from countersign.web.pages.continue_flow import Onward
from countersign.web.pages.developer.demonstration import Demonstration
from countersign.web.pages.developer.inbox import InboxMail, InboxMessages, InboxPage
from countersign.web.pages.oidc import AuthorizePage, SignOutThere
from countersign.web.pages.reports.phishing_check import IsThisUsPage
from countersign.web.pages.reports.report_change import NotMyAct
from countersign.web.pages.reports.report_code import NotMePage
from countersign.web.pages.session_guard import Door
from countersign.web.pages.sign_in.authenticator import ProvePage
from countersign.web.pages.sign_in.passkeys import PasskeyPages
from countersign.web.pages.sign_in.recover import RecoverPage
from countersign.web.pages.sign_in.sign_in import SignInPage, SignOutPage
from countersign.web.pages.sign_in.sign_up import SignUpPage
from countersign.web.pages.sign_in.verify import ProgressStream, ResendPage, VerifyPage, WayPage

if TYPE_CHECKING:
    import falcon.asgi
    from falcon.asgi import Request, Response

    from countersign.web.pages.continue_flow import Act
    from countersign.wiring import Runtime


def add_routes(app: falcon.asgi.App[Request, Response], runtime: Runtime) -> None:
    """Add the routes of every page and of what pages are made of."""
    app.add_route("/", Demonstration(runtime))
    app.add_route("/inbox", InboxPage(runtime))
    app.add_route("/inbox/messages", InboxMessages(runtime))
    app.add_route("/inbox/mail/{message_id}", InboxMail(runtime))
    app.add_route("/not-me", NotMePage(runtime, NotMyAct(Door(runtime))))
    app.add_route("/is-this-us", IsThisUsPage(Door(runtime)))
    _account(app, Door(runtime))
    app.add_route("/static/{version}/{name}", Assets())


def _account(app: falcon.asgi.App[Request, Response], door: Door) -> None:
    app.add_error_handler(UnavailableError, door.unavailable)
    end = EndPage(door)
    acts: dict[str, Act] = {"/account/end": end.act}
    onward = Onward(door, acts)
    _changes(app, onward, acts)
    prove = ProvePage(door, onward)
    verify = VerifyPage(door, onward, prove)
    _passkeys(app, PasskeyPages(onward, prove), acts)
    app.add_route("/sign-up", SignUpPage(door))
    app.add_route("/sign-in", SignInPage(door))
    app.add_route("/sign-out", SignOutPage(door))
    app.add_route("/verify", verify)
    app.add_route("/verify/resend", ResendPage(door, verify))
    app.add_route("/verify/way", WayPage(door, verify))
    app.add_route("/verify/events", ProgressStream(door))
    app.add_route("/verify/app", prove, suffix="app")
    app.add_route("/verify/recovery-code", prove, suffix="recovery_code")
    app.add_route("/oauth/authorize", AuthorizePage(door))
    app.add_route("/oauth/sign-out", SignOutThere(door))
    for path in ("/account", "/account/sessions", "/account/devices"):
        app.add_route(path, AccountPage(door, path))
    app.add_route("/account/end", end)


def _changes(app: falcon.asgi.App[Request, Response], onward: Onward, acts: dict[str, Act]) -> None:
    """Add what an account is changed at; `acts` are the forms that go on by themselves after a step-up."""
    contacts, methods = ContactsPage(onward), MethodsPage(onward)
    password, changes, recover = PasswordPage(onward), ChangesPage(onward), RecoverPage(onward)
    app.add_route("/account/contacts", contacts)
    app.add_route("/account/contacts/primary", contacts, suffix="primary")
    app.add_route("/account/contacts/remove", contacts, suffix="remove")
    app.add_route("/account/contacts/checked", contacts, suffix="checked")
    app.add_route("/account/password", password)
    app.add_route("/account/methods", methods)
    app.add_route("/account/methods/app", methods, suffix="app")
    app.add_route("/account/methods/app/confirm", methods, suffix="confirm")
    app.add_route("/account/methods/recovery-codes", methods, suffix="recovery_codes")
    app.add_route("/account/methods/remove", methods, suffix="remove")
    app.add_route("/account/changes", changes)
    app.add_route("/account/changes/cancel", changes, suffix="cancel")
    app.add_route("/account/changes/undo", changes, suffix="undo")
    app.add_route("/account/activity", ActivityPage(onward.door))
    codes = IntegrationCodesPage(onward)
    app.add_route("/account/integration-codes", codes)
    app.add_route("/account/integration-codes/rotate", codes, suffix="rotate")
    app.add_route("/account/integration-codes/revoke", codes, suffix="revoke")
    app.add_route("/recover", recover)
    app.add_route("/recover/password", recover, suffix="password")
    app.add_route("/recover/lost", recover, suffix="lost")
    acts |= {
        "/account/contacts": contacts.add,
        "/account/contacts/primary": contacts.make_primary,
        "/account/contacts/remove": contacts.remove,
        "/account/password": password.act,
        "/account/methods/app": methods.begin_app,
        "/account/methods/recovery-codes": methods.make_codes,
        "/account/methods/remove": methods.remove,
        "/account/changes/undo": changes.undo,
        "/account/integration-codes": codes.make,
        "/account/integration-codes/rotate": codes.rotate,
        "/account/integration-codes/revoke": codes.revoke,
    }


def _passkeys(app: falcon.asgi.App[Request, Response], passkeys: PasskeyPages, acts: dict[str, Act]) -> None:
    """Add where passkeys are made and used."""
    app.add_route("/account/methods/passkey", passkeys)
    app.add_route("/account/methods/passkey/options", passkeys, suffix="options")
    app.add_route("/account/methods/passkey/made", passkeys, suffix="made")
    app.add_route("/sign-in/passkey/begin", passkeys, suffix="sign_in_begin")
    app.add_route("/sign-in/passkey", passkeys, suffix="sign_in")
    app.add_route("/verify/passkey/begin", passkeys, suffix="verify_begin")
    app.add_route("/verify/passkey", passkeys, suffix="verify")
    acts["/account/methods/passkey"] = passkeys.begin
