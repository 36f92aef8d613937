"""The routes of a signed-in person's pages, and the forms that continue after a step-up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from countersign.web.pages.account.activity import ActivityPage
from countersign.web.pages.account.authenticators import AuthenticatorsPage
from countersign.web.pages.account.changes import ChangesPage
from countersign.web.pages.account.contacts import ContactsPage
from countersign.web.pages.account.integration_codes import IntegrationCodesPage
from countersign.web.pages.account.overview import AccountPage, EndForm
from countersign.web.pages.account.passkeys import EnrolPasskeyPage
from countersign.web.pages.account.password import PasswordPage
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
    changes, codes = ChangesPage(web, guard, forms), IntegrationCodesPage(web, guard, forms)

    pages: Routes = {
        "/account": {"GET": AccountPage(web, guard).get},
        "/account/sessions": {"GET": AccountPage(web, guard, "/account/sessions").get},
        "/account/devices": {"GET": AccountPage(web, guard, "/account/devices").get},
        "/account/contacts": {"GET": contacts.get},
        "/account/password": {"GET": password.get},
        "/account/methods": {"GET": methods.get},
        "/account/methods/app": {"GET": methods.get_app},
        "/account/methods/passkey": {"GET": passkey.get},
        "/account/methods/passkey/options": {"POST": passkey.post_options},
        "/account/changes": {"GET": changes.get},
        "/account/integration-codes": {"GET": codes.get},
        "/account/activity": {"GET": ActivityPage(web, guard).get},
    }
    resumed: dict[str, Act] = {
        "/account/contacts": contacts.add,
        "/account/contacts/primary": contacts.make_primary,
        "/account/contacts/remove": contacts.remove,
        "/account/methods/app": methods.begin_app,
        "/account/methods/passkey": passkey.begin,
        "/account/methods/recovery-codes": methods.make_recovery_codes,
        "/account/methods/remove": methods.remove,
        "/account/integration-codes": codes.make,
        "/account/integration-codes/rotate": codes.rotate,
        "/account/integration-codes/revoke": codes.revoke,
        "/account/changes/allow": changes.allow,
    }
    posted = {path: forms.post(path, act) for path, act in resumed.items()} | {
        "/account/end": forms.post("/account/end", end.submit),
        "/account/contacts/checked": forms.post(
            "/account/contacts/checked", contacts.confirm, page="/account/contacts"
        ),
        "/account/password": forms.post("/account/password", password.choose, page="/account/password"),
        "/account/methods/app/confirm": forms.post(
            "/account/methods/app/confirm", methods.confirm_app, page="/account/methods"
        ),
        "/account/methods/passkey/made": forms.post(
            "/account/methods/passkey/made", passkey.finish, page="/account/methods"
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
