"""The states of the pages of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import markupsafe

from countersign.domain.accounts.change import ChangeKind
from countersign.domain.accounts.check_up import Holdings, check_up
from countersign.domain.accounts.integration_code import LIFETIMES
from countersign.domain.accounts.password import PasswordFault
from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.activity import MAX_MESSAGES
from countersign.flows.accounts.profile import Profile
from countersign.messages.content.change_names import CHANGE_NAMES
from countersign.messages.content.device_name import device_name
from countersign.messages.content.notice import WORDINGS
from countersign.messages.content.purposes import ACTS
from countersign.messages.language.catalogue import languages, negotiate
from countersign.messages.language.timezones import timezones
from countersign.totp import address, picture, shown
from countersign.web.http.browser import own_name
from countersign.web.pages.account.activity import CHANNELS, SENTENCES
from countersign.web.pages.account.changes import STATES as CHANGE_STATES
from countersign.web.pages.account.check_up import told
from countersign.web.pages.account.overview import CONFIRMED
from countersign.web.pages.shared.account_layout import DONE, layout_of
from countersign.web.pages.shared.wordings import DELIVERY_STATES, HELD_STATES, PASSWORD_FAULTS, fault_of_contact
from countersign.web.preview.sample import (
    ADDRESS,
    MAIL,
    MASKED_MAIL,
    MASKED_PHONE,
    NAME,
    OTHER_MAIL,
    PLACE,
    USER_AGENT,
    PageState,
    Sample,
    states,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SECRET: Final = bytes(range(20))
_CODES: Final = tuple(f"k7mq-{number:04}-x2vw-9pth" for number in range(10))
_STRONG: Final = Holdings((MASKED_MAIL,), (MASKED_PHONE,), ("هاتفي",), ("MacBook",), ("YubiKey",), 8)
_WEAK: Final = Holdings((MASKED_MAIL,))
_BOUND: Final = Holdings((MASKED_MAIL,), bound_passkeys=("YubiKey",), waits=False)


def _part(here: str, values: Callable[[Sample], Mapping[str, Any]]) -> Callable[[Sample], Mapping[str, Any]]:
    """Return what fills a page of the account at the address `here`."""

    def fill(sample: Sample) -> Mapping[str, Any]:
        return {
            **layout_of(here, sample.language),
            "application": (sample.application, "https://shop.example") if sample.application else None,
            "done": "",
            **values(sample),
        }

    return fill


def _device(sample: Sample) -> str:
    return device_name(USER_AGENT, sample.language.tag)


def _browsers(sample: Sample) -> dict[str, Any]:
    here = {
        "here": True,
        "session": "ses_1",
        "browser": "dev_1",
        "device": _device(sample),
        "place": PLACE,
        "seen": sample.when(0),
        "until": sample.say("Trusted until {day}", day=sample.on(-30)),
    }
    signed_in = {**here, "here": False, "session": "ses_2", "browser": "dev_2", "place": ADDRESS, "until": ""}
    remembered = {
        **signed_in,
        "session": "",
        "browser": "dev_3",
        "device": sample.say("Unknown browser"),
        "place": sample.say("Unknown location"),
        "seen": sample.when(20),
    }
    forgotten = {**signed_in, "session": "ses_4", "browser": "", "seen": sample.when(3)}
    return {"browsers": [here, signed_in, forgotten, remembered], "others": 2}


def _one_browser(sample: Sample) -> dict[str, Any]:
    return {"browsers": _browsers(sample)["browsers"][:1], "others": 0}


def _overview(sample: Sample) -> dict[str, Any]:
    return {
        "name": NAME,
        "level": sample.say(next(iter(CONFIRMED.values()))),
        "contacts": [("mail", MASKED_MAIL, True), ("phone", MASKED_PHONE, False)],
        "whole": False,
        "due": "",
        **_browsers(sample),
    }


def _profile(sample: Sample) -> dict[str, Any]:
    return {
        "profile": Profile(NAME, sample.language.tag, "Atlantic/Reykjavik"),
        "spoken": sample.language.tag,
        "languages": [(tag, own_name(tag)) for tag in languages()],
        "timezones": [(name, name.replace("_", " ")) for name in timezones()],
        "browser_zone": "Atlantic/Reykjavik",
        "faults": {},
    }


def _profile_faults(sample: Sample) -> dict[str, Any]:
    choose = sample.say("Choose one from the list.")
    name = sample.say("Enter your name in 80 characters or fewer.")
    return {
        "profile": Profile("", "xx", "Nowhere"),
        "spoken": negotiate("xx").tag,
        "faults": {"name": name, "language": choose, "timezone": choose},
    }


def _data(sample: Sample) -> dict[str, Any]:
    return {"ready": False, "due": "", "delay": sample.language.count("{number} day", "{number} days", 7)}


def _losses(sample: Sample, held: Holdings) -> dict[str, Any]:
    return {"losses": [told(one, sample.language) for one in check_up(held)]}


def _contacts(sample: Sample) -> dict[str, Any]:
    first = {
        "id": "con_1",
        "kind": "mail",
        "shown": MASKED_MAIL,
        "primary": True,
        "added": sample.when(400),
        "settles": "",
    }
    second = {
        **first,
        "id": "con_2",
        "kind": "phone",
        "shown": MASKED_PHONE,
        "primary": False,
        "settles": sample.when(-5),
    }
    return {"contacts": [first, second], "whole": False, "check": False, "fault": "", "typed": "", "replaces": ""}


def _whole_contact(sample: Sample) -> dict[str, Any]:
    return {"contacts": [{**_contacts(sample)["contacts"][0], "shown": MAIL}], "whole": True}


def _methods(sample: Sample) -> dict[str, Any]:
    passkey = {"id": "fac_1", "kind": "passkey", "name": "MacBook", "added": sample.when(30), "used": sample.when(1)}
    app = {**passkey, "id": "fac_2", "kind": "app", "name": "هاتفي", "used": ""}
    return {
        "methods": [passkey, app],
        "left": 8,
        "few": False,
        "unkept": False,
        "closes": False,
        "needs_codes": False,
        "has_passkey": True,
        **_losses(sample, _STRONG),
    }


def _app(sample: Sample) -> dict[str, Any]:
    where = address(_SECRET, sample.site, MASKED_MAIL)
    drawn = markupsafe.Markup(picture(where))  # noqa: S704 - drawn here, of squares alone
    return {"picture": drawn, "secret": shown(_SECRET), "link": where, "needs_codes": False, "fault": ""}


def _integration_codes(sample: Sample) -> dict[str, Any]:
    used = {
        "id": "icr_1",
        "name": "Bookkeeping",
        "scopes": "read, write",
        "expires": sample.when(-80),
        "used": sample.when(2),
        "used_from": ADDRESS,
    }
    return {
        "codes": [used, {**used, "id": "icr_2", "used": ""}],
        "offered": ("read", "write"),
        "lifetimes": LIFETIMES,
        "faults": {},
        "typed": "",
    }


def _integration_faults(sample: Sample) -> dict[str, Any]:
    fault = sample.say("Enter a name, so that you can recognise it.")
    return {"codes": [], "faults": {"name": fault, "scopes": fault, "days": fault}}


def _changes(sample: Sample) -> dict[str, Any]:
    about = f"\u2066{OTHER_MAIL}\u2069"
    labels = list(CHANGE_STATES.values())
    waiting = {
        "id": "chg_1",
        "what": sample.say(CHANGE_NAMES[ChangeKind.CONTACT_ADDED], about=about),
        "state": sample.say(labels[0]),
        "asked": sample.when(1),
        "device": _device(sample),
        "place": PLACE,
        "pending": True,
        "due": sample.when(-6),
        "undoable": "",
    }
    applied = {
        **waiting,
        "id": "chg_2",
        "state": sample.say(labels[1]),
        "pending": False,
        "due": "",
        "undoable": sample.when(-6),
        "device": "",
        "place": "",
    }
    return {"changes": [waiting, applied], "barred": ""}


def _activity(sample: Sample) -> dict[str, Any]:
    signed_in = {
        "what": sample.say(SENTENCES[EventKind.SIGN_IN_COMPLETED]),
        "time": "10:00",
        "device": _device(sample),
        "place": PLACE,
    }
    about = sample.say(CHANGE_NAMES[ChangeKind.CONTACT_REPLACED], about=f"\u2066{OTHER_MAIL}\u2069")
    changed = {
        **signed_in,
        "what": sample.say(SENTENCES[EventKind.CHANGE_APPLIED], what=about),
        "device": "",
        "place": "",
    }
    code = {
        "what": sample.say(ACTS["sign_in"].title),
        "to": MASKED_MAIL,
        "by": sample.say(CHANNELS[Channel.EMAIL]),
        "icon": "email",
        "state": sample.say(DELIVERY_STATES[DeliveryState.DELIVERED]),
        "when": sample.when(0),
    }
    notice = {
        "what": sample.say(next(iter(WORDINGS.values())).title),
        "to": MASKED_PHONE,
        "by": sample.say(CHANNELS[Channel.SMS]),
        "icon": "sms",
        "state": sample.say(HELD_STATES[DeliveryState.QUEUED]),
        "when": sample.when(1),
    }
    return {
        "days": [(sample.on(0), [signed_in, changed]), (sample.on(1), [signed_in])],
        "messages": [code, notice],
        "newest": "",
        "kept_for": sample.language.count("{number} day", "{number} days", 30),
    }


STATES: Final[tuple[PageState, ...]] = (
    *states(
        "account.html",
        _part("/account", _overview),
        overview={},
        alone=lambda one: {**_one_browser(one), "contacts": [("mail", MAIL, True)], "whole": True},
        deletion=lambda one: {"due": one.on(-7)},
        done=lambda one: {"done": one.say(DONE["others"])},
    ),
    *states(
        "profile.html",
        _part("/account/profile", _profile),
        filled={},
        zone_of_the_account={"browser_zone": ""},
        faults=_profile_faults,
    ),
    *states(
        "contacts.html",
        _part("/account/contacts", _contacts),
        two={},
        one=_whole_contact,
        fault=lambda one: {"fault": fault_of_contact("malformed", one.language), "typed": "0171", "replaces": "con_2"},
        check={"check": True},
        done=lambda one: {"done": one.say(DONE[ChangeKind.CONTACT_REPLACED.value])},
    ),
    *states(
        "data.html",
        _part("/account/data", _data),
        asked={},
        ready=lambda one: {"ready": True, "done": one.say(DONE["ready"])},
        deletion=lambda one: {"due": one.on(-7)},
    ),
    *states(
        "password.html",
        _part("/account/password", lambda _: {"least": "8", "fault": "", "username": ""}),
        empty={"username": MAIL},
        fault=lambda one: {"fault": one.say(PASSWORD_FAULTS[PasswordFault.COMMON.value])},
    ),
    *states(
        "methods.html",
        _part("/account/methods", _methods),
        some={},
        none=lambda one: {
            "methods": [],
            "left": 0,
            "few": True,
            "closes": True,
            "needs_codes": True,
            "has_passkey": False,
            **_losses(one, _WEAK),
        },
        few_codes={"left": 2, "few": True},
        unkept_codes=lambda one: {"unkept": True, **_losses(one, _BOUND)},
    ),
    *states(
        "check_up.html",
        _part("/account/methods", lambda one: {"is_safe": True, "onward": "", **_losses(one, _STRONG)}),
        safe={},
        weak=lambda one: _losses(one, _WEAK),
        unsafe_after_sign_in=lambda one: {"is_safe": False, "onward": "/account", **_losses(one, _BOUND)},
    ),
    *states(
        "app.html",
        _part("/account/methods", _app),
        new={},
        needs_codes={"needs_codes": True},
        wrong_code=lambda one: {
            "fault": one.say(
                "This is not the right code. Check that your phone’s clock is right, then enter the next code."
            )
        },
    ),
    *states(
        "passkey.html",
        _part("/account/methods", lambda _: {"fault": ""}),
        new={},
        not_taken=lambda one: {"fault": one.say("We could not add this passkey. Try again.")},
    ),
    *states(
        "recovery_codes.html",
        _part("/account/methods", lambda _: {"codes": _CODES, "waits": "", "minutes": 15}),
        new={},
        app_waits={"waits": "هاتفي"},
    ),
    *states(
        "integration_codes.html",
        _part("/account/integration-codes", _integration_codes),
        some={},
        faults=_integration_faults,
    ),
    *states(
        "integration_code.html",
        _part(
            "/account/integration-codes",
            lambda one: {
                "name": "Bookkeeping",
                "code": "cic_" + "k7mqx2vw9pth" * 4,
                "old": one.say("The old one works until {when}.", when=one.when(-1)),
                "minutes": 15,
            },
        ),
        renewed={},
        new={"old": ""},
    ),
    *states(
        "changes.html",
        _part("/account/changes", _changes),
        some={},
        none={"changes": []},
        barred=lambda one: {"barred": one.when(-20)},
    ),
    *states(
        "browsers.html",
        _part("/account/sessions", _browsers),
        some={},
        one=_one_browser,
    ),
    *states(
        "activity.html",
        _part("/account/activity", _activity),
        some={},
        many={"newest": str(MAX_MESSAGES)},
        none={"days": [], "messages": []},
    ),
)
