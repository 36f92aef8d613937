"""The routes of a signed-in person's pages, and the forms that continue after a step-up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from countersign.web.pages.account import zone
from countersign.web.pages.account.activity import ActivityPage
from countersign.web.pages.account.authenticators import AuthenticatorsPage
from countersign.web.pages.account.browsers import BrowsersPage, EndForm
from countersign.web.pages.account.changes import ChangesPage
from countersign.web.pages.account.check_up import CheckUpPage
from countersign.web.pages.account.contacts import ContactsPage
from countersign.web.pages.account.integration_codes import IntegrationCodesPage
from countersign.web.pages.account.overview import AccountPage
from countersign.web.pages.account.passkeys import EnrolPasskeyPage
from countersign.web.pages.account.password import PasswordPage
from countersign.web.pages.account.personal_data import DataPage
from countersign.web.pages.account.profile import ProfilePage
from countersign.web.pages.account.recovery_codes import RecoveryCodesPage
from countersign.web.pages.shared.change_form import ChangeForms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.http.router import Routes
    from countersign.web.pages.shared.change_form import Act
    from countersign.web.pages.shared.session_guard import SessionGuard


def routes(web: WebContext, guard: SessionGuard) -> tuple[Routes, Mapping[str, Act]]:
    """Return the routes, and the handlers of forms that continue after a step-up, by path (semantics U1)."""
    forms = ChangeForms(web, guard)
    end, contacts, password = EndForm(web, guard), ContactsPage(web, guard, forms), PasswordPage(web, guard, forms)
    methods, passkey = AuthenticatorsPage(web, guard, forms), EnrolPasskeyPage(web, guard, forms)
    recovery_codes, check_up = RecoveryCodesPage(web, guard, forms), CheckUpPage(web, guard)
    profile, data = ProfilePage(web, guard), DataPage(web, guard)
    changes, codes = ChangesPage(web, guard, forms), IntegrationCodesPage(web, guard, forms)

    pages: Routes = {
        "/account": {"GET": AccountPage(web, guard).get},
        "/account/sessions": {"GET": BrowsersPage(web, guard).get},
        "/account/devices": {"GET": BrowsersPage(web, guard, "/account/devices").get},
        "/account/profile": {"GET": profile.get},
        "/account/contacts": {"GET": contacts.get},
        "/account/data": {"GET": data.get},
        "/account/password": {"GET": password.get},
        "/account/methods": {"GET": methods.get},
        "/account/methods/app": {"GET": methods.get_app},
        "/account/methods/passkey": {"GET": passkey.get},
        "/account/methods/passkey/options": {"POST": passkey.post_options},
        "/account/methods/recovery-codes": {"GET": recovery_codes.get},
        "/account/methods/recovery-codes/file": {"GET": recovery_codes.get_file},
        "/account/check-up": {"GET": check_up.get},
        "/account/changes": {"GET": changes.get},
        "/account/integration-codes": {"GET": codes.get},
        "/account/integration-codes/made": {"GET": codes.get_made},
        "/account/activity": {"GET": ActivityPage(web, guard).get},
    }
    resumed: dict[str, Act] = {
        "/account/contacts": contacts.add,
        "/account/contacts/show": contacts.show_whole,
        "/account/contacts/primary": contacts.make_primary,
        "/account/contacts/remove": contacts.remove,
        "/account/methods/app": methods.begin_app,
        "/account/methods/passkey": passkey.begin,
        "/account/methods/recovery-codes": recovery_codes.make,
        "/account/methods/remove": methods.remove,
        "/account/integration-codes": codes.make,
        "/account/integration-codes/rotate": codes.rotate,
        "/account/integration-codes/revoke": codes.revoke,
        "/account/changes/allow": changes.allow,
        "/account/data": data.prepare,
        "/account/data/delete": data.delete,
    }
    posted = {path: forms.post(path, act) for path, act in resumed.items()} | {
        "/account/end": forms.post("/account/end", end.submit),
        "/account/contacts/checked": forms.post(
            "/account/contacts/checked", contacts.confirm, page="/account/contacts"
        ),
        "/account/profile": forms.post("/account/profile", profile.save, page="/account/profile"),
        "/account/data/file": forms.post("/account/data/file", data.download, page="/account/data"),
        "/account/data/keep": forms.post("/account/data/keep", data.keep, page="/account/data"),
        "/account/password": forms.post("/account/password", password.choose, page="/account/password"),
        "/account/methods/app/confirm": forms.post(
            "/account/methods/app/confirm", methods.confirm_app, page="/account/methods"
        ),
        "/account/methods/passkey/made": forms.post(
            "/account/methods/passkey/made", passkey.finish, page="/account/methods"
        ),
        "/account/methods/recovery-codes/kept": forms.post(
            "/account/methods/recovery-codes/kept", recovery_codes.keep, page="/account/methods"
        ),
        "/account/integration-codes/kept": forms.post(
            "/account/integration-codes/kept", codes.keep, page="/account/integration-codes"
        ),
        "/account/changes/cancel": forms.post("/account/changes/cancel", changes.cancel, page="/account/changes"),
        "/account/changes/undo": forms.post("/account/changes/undo", changes.undo, page="/account/changes"),
    }
    resumed |= {
        "/account/end": end.end,
        "/account/password": password.change,
        "/account/changes/undo": changes.undo,
    }
    table: Routes = {path: pages.get(path, {}) for path in (*pages, *posted)}
    table[zone.PATH] = {"POST": zone.keep_zone}
    for path, responder in posted.items():
        table[path] = {**table[path], "POST": responder}
    for path in table:
        if "GET" not in table[path]:
            table[path] = {"GET": partial(_to_page, _page_above(path, pages)), **table[path]}
    return table, resumed


def _page_above(path: str, pages: Routes) -> str:
    """Return the page on which the form at `path` stands."""
    above = path.rpartition("/")[0]
    return above if "GET" in pages.get(above, {}) else "/account"


async def _to_page(page: str, _: Request, resp: Response) -> None:
    """Lead to the page: whoever reloads the address of a form, or opens it again, repeats nothing (semantics J2)."""
    resp.redirect(page)
