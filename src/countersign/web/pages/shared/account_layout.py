"""The layout of the account's pages: the navigation, and a confirmation of the last change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.domain.accounts.change import ChangeKind
from countersign.messages.language.catalogue import Language, mark
from countersign.messages.language.datetimes import moment
from countersign.web.http.browser import language_of
from countersign.web.pages.shared.rendering import show

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

PARTS: Final = {
    "/account": mark("Overview"),
    "/account/profile": mark("Name and language"),
    "/account/contacts": mark("Contact details"),
    "/account/data": mark("Your data"),
    "/account/password": mark("Password"),
    "/account/methods": mark("Sign-in methods"),
    "/account/integration-codes": mark("Integration codes"),
    "/account/sessions": mark("Browsers"),
    "/account/devices": mark("Browsers"),
    "/account/activity": mark("Activity"),
    "/account/changes": mark("Changes"),
}
"""The pages by their addresses, with their titles. `/account/devices` is an earlier address of the browsers."""

GROUPS: Final = (
    (mark("Overview"), ("/account",)),
    (mark("Your details"), ("/account/profile", "/account/contacts", "/account/data")),
    (mark("Security"), ("/account/password", "/account/methods", "/account/integration-codes")),
    (mark("Browsers"), ("/account/sessions",)),
    (mark("Activity"), ("/account/activity", "/account/changes")),
)
"""The navigation: each group with its pages. The pages of a group are shown once one of them is open."""

DONE: Final = {
    ChangeKind.CONTACT_ADDED.value: mark(
        "Your contact details were added. We’ll tell you at all your email addresses and phone numbers."
    ),
    ChangeKind.CONTACT_REPLACED.value: mark(
        "Your contact details were replaced. We’ll tell you at the old ones too, and you can undo this from there for 7 days."
    ),
    ChangeKind.CONTACT_PRIMARY.value: mark("We’ll send codes there first from now on."),
    ChangeKind.CONTACT_REMOVED.value: mark(
        "Your contact details were removed. We’ll tell you there too, and you can undo this from there for 7 days."
    ),
    ChangeKind.PASSWORD_CHANGED.value: mark("Your password was changed. You’re signed out everywhere else."),
    ChangeKind.METHOD_ADDED.value: mark("Your sign-in method was added. We’ll ask for it when you sign in."),
    ChangeKind.METHOD_REMOVED.value: mark("Your sign-in method was removed."),
    ChangeKind.RECOVERY_CODES_MADE.value: mark("You have saved your new recovery codes. Older ones no longer work."),
    ChangeKind.INTEGRATION_CODE_REVOKED.value: mark("The integration code was revoked. It no longer works."),
    "signed_out": mark(
        "You were signed out before you sent this form, so nothing was changed. Check the form and send it again."
    ),
    "enrol": mark("You need a passkey or an authenticator app here. Add one to continue."),
    "canceled": mark("The change was cancelled."),
    "allowed": mark("Your account can be recovered with new contact details again. We’ll tell you if someone asks."),
    "undone": mark("The change was undone. We’ll tell you at all your email addresses and phone numbers."),
    "saved": mark("Your details were saved."),
    "ready": mark("Your file is ready."),
    "deletion": mark("Your account will be deleted. We’ll tell you at all your email addresses and phone numbers."),
    "kept": mark("The deletion was cancelled. You keep your account."),
    "checked": mark("Thank you. We’ll ask again in a year."),
    "session": mark("That browser is signed out."),
    "others": mark("You’re signed out everywhere else."),
    "browser": mark("That browser is forgotten. It will need a code next time."),
    "nothing": mark("That was already signed out or forgotten."),
}
"""The confirmation for each word in the address after a form."""


def show_part(web: WebContext, req: Request, resp: Response, template: str, here: str, **values: object) -> None:
    """Show one page of the account.

    Args:
        web: knows the names of the site.
        req: the request; `done` in its query names what was done just before.
        resp: gets the page.
        template: the template's file name.
        here: the address of the part, as in `PARTS`.
        values: what the template is filled with besides.
    """
    language = language_of(req)
    done = req.get_param("done") or ""
    said = language.say(DONE[done]) if done in DONE else ""
    show(
        web,
        req,
        resp,
        template,
        application=req.application,
        done=said,
        **layout_of(here, language),
        **values,
    )


def layout_of(here: str, language: Language) -> dict[str, object]:
    """Return the title of the page at `here`, and the navigation around it."""
    open_ = "/account/sessions" if here == "/account/devices" else here
    return {
        "here": here,
        "title": language.say(PARTS[here]),
        "groups": [(pages[0], language.say(label), open_ in pages) for label, pages in GROUPS],
        "parts": [(path, language.say(PARTS[path]), path == open_) for path in _group_of(open_)],
    }


def _group_of(here: str) -> tuple[str, ...]:
    """Return the pages of the group that a page belongs to; none if it is alone there."""
    return next((pages for _, pages in GROUPS if here in pages and len(pages) > 1), ())


def when(at: int, language: Language) -> str:
    """Return a time (ms) for a person to read."""
    return moment(at, language)
