"""The page at /account/profile: the name, the language of messages and the time zone of the signed-in person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon

from countersign.domain.accounts.change import ChangeRefusal
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.flows.accounts.context import InvalidInput
from countersign.flows.accounts.profile import Profile, ProfileSaved, find_profile, save_profile
from countersign.messages.language.catalogue import languages, mark, negotiate
from countersign.messages.language.timezones import timezones
from countersign.web.http.browser import own_name, timezone_of
from countersign.web.pages.shared.account_layout import show_part
from countersign.web.pages.shared.word_pages import show_change_refusal

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response
    from countersign.web.pages.shared.change_form import Submission
    from countersign.web.pages.shared.session_guard import SessionGuard

PATH: Final = "/account/profile"

_FAULTS: Final = {
    "name": mark("Enter your name in 80 characters or fewer."),
    "language": mark("Choose one from the list."),
    "timezone": mark("Choose one from the list."),
}


class ProfilePage:
    """The form, and what saves it."""

    def __init__(self, web: WebContext, guard: SessionGuard) -> None:
        self._web = web
        self._guard = guard

    async def get(self, req: Request, resp: Response) -> None:
        """Show the form."""
        session = await self._guard.session(req, resp, InterruptedRequest("GET", PATH))
        if session is None:
            return
        profile = await find_profile(self._web.accounts, session.account)
        if profile is None:
            resp.redirect("/sign-in")
            return
        self._show(req, resp, profile, {})

    async def save(self, form: Submission) -> None:
        """Save it, and show the page again."""
        fields = form.fields
        wanted = Profile(fields.get("name", ""), fields.get("language", ""), fields.get("timezone", ""))
        match await save_profile(self._web.accounts, form.browser, form.session, wanted):
            case ProfileSaved():
                self._web.database.notify()
                form.resp.redirect(f"{PATH}?done=saved")
            case InvalidInput(faults):
                form.resp.status = falcon.HTTP_422
                self._show(form.req, form.resp, wanted, {name: form.language.say(_FAULTS[name]) for name in faults})
            case ChangeRefusal() as refusal:
                show_change_refusal(self._web, form.req, form.resp, refusal)

    def _show(self, req: Request, resp: Response, profile: Profile, faults: dict[str, str]) -> None:
        show_part(
            self._web,
            req,
            resp,
            "profile.html",
            PATH,
            profile=profile,
            spoken=negotiate(profile.language).tag,
            languages=[(tag, own_name(tag)) for tag in languages()],
            timezones=[(name, name.replace("_", " ")) for name in timezones()],
            browser_zone=timezone_of(req).replace("_", " "),
            faults=faults,
        )
