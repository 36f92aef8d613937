"""The states of the pages of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import markupsafe

from countersign.domain.accounts.change import ChangeKind
from countersign.domain.accounts.integration_code import LIFETIMES
from countersign.domain.accounts.password import PasswordFault
from countersign.domain.delivery.delivery import DeliveryState
from countersign.domain.shared.event import EventKind
from countersign.messages.content.change_names import CHANGE_NAMES
from countersign.messages.content.device_name import device_name
from countersign.messages.content.notice import WORDINGS
from countersign.messages.content.purposes import ACTS
from countersign.totp import address, picture, shown
from countersign.web.pages.account.activity import SENTENCES
from countersign.web.pages.account.changes import STATES as CHANGE_STATES
from countersign.web.pages.account.overview import CONFIRMED
from countersign.web.pages.shared.account_layout import DONE, PARTS
from countersign.web.pages.shared.wordings import DELIVERY_STATES, PASSWORD_FAULTS, fault_of_contact
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


def _part(here: str, values: Callable[[Sample], Mapping[str, Any]]) -> Callable[[Sample], Mapping[str, Any]]:
    """Return what fills a page of the account at the address `here`."""

    def fill(sample: Sample) -> Mapping[str, Any]:
        return {
            "here": here,
            "title": sample.say(PARTS[here]),
            "parts": [(path, sample.say(label)) for path, label in PARTS.items()],
            "done": "",
            **values(sample),
        }

    return fill


def _device(sample: Sample) -> str:
    return device_name(USER_AGENT, sample.language.tag)


def _overview(sample: Sample) -> dict[str, Any]:
    trusted = sample.say("Trusted until {day}", day=sample.on(-30))
    session = {"id": "ses_1", "here": True, "device": _device(sample), "place": PLACE, "seen": sample.when(0)}
    browser = {"id": "dev_1", "here": True, "device": _device(sample), "until": trusted}
    unknown = sample.say("A browser that does not say what it is")
    return {
        "name": NAME,
        "level": sample.say(next(iter(CONFIRMED.values()))),
        "contacts": [("mail", MASKED_MAIL, True, True), ("phone", MASKED_PHONE, False, True)],
        "sessions": [session, {**session, "id": "ses_2", "here": False, "place": ADDRESS}],
        "browsers": [browser, {**browser, "id": "dev_2", "here": False, "device": unknown, "until": ""}],
    }


def _alone(sample: Sample) -> dict[str, Any]:
    found = _overview(sample)
    return {"sessions": [{**found["sessions"][0], "place": ""}], "browsers": found["browsers"][:1]}


def _contacts(sample: Sample) -> dict[str, Any]:
    first = {
        "id": "con_1",
        "kind": "mail",
        "masked": MASKED_MAIL,
        "primary": True,
        "added": sample.when(400),
        "settles": "",
    }
    second = {
        **first,
        "id": "con_2",
        "kind": "phone",
        "masked": MASKED_PHONE,
        "primary": False,
        "settles": sample.when(-5),
    }
    return {"contacts": [first, second], "check": False, "fault": "", "typed": ""}


def _methods(sample: Sample) -> dict[str, Any]:
    passkey = {"id": "fac_1", "kind": "passkey", "name": "MacBook", "added": sample.when(30), "used": sample.when(1)}
    app = {**passkey, "id": "fac_2", "kind": "app", "name": "هاتفي", "used": ""}
    return {"methods": [passkey, app], "left": 8, "few": False, "has_passkey": True}


def _app(sample: Sample) -> dict[str, Any]:
    where = address(_SECRET, sample.site, MASKED_MAIL)
    drawn = markupsafe.Markup(picture(where))  # noqa: S704 - drawn here, of squares alone
    return {"picture": drawn, "secret": shown(_SECRET), "link": where, "fault": ""}


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
    }


def _integration_faults(sample: Sample) -> dict[str, Any]:
    fault = sample.say("Give it a name, so that you know it again.")
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
        "icon": "email",
        "state": sample.say(DELIVERY_STATES[DeliveryState.DELIVERED]),
        "when": sample.when(0),
    }
    notice = {**code, "what": sample.say(next(iter(WORDINGS.values())).title), "to": MASKED_PHONE, "icon": "sms"}
    return {"days": [(sample.on(0), [signed_in, changed]), (sample.on(1), [signed_in])], "messages": [code, notice]}


STATES: Final[tuple[PageState, ...]] = (
    *states(
        "account.html",
        _part("/account", _overview),
        overview={},
        alone=_alone,
        done=lambda one: {"done": one.say(DONE["others"])},
    ),
    *states("account.html", _part("/account/sessions", _overview), sessions={}),
    *states("account.html", _part("/account/devices", _overview), devices={}),
    *states(
        "contacts.html",
        _part("/account/contacts", _contacts),
        two={},
        one=lambda one: {"contacts": _contacts(one)["contacts"][:1]},
        fault=lambda one: {"fault": fault_of_contact("malformed", one.language), "typed": "0171"},
        check={"check": True},
        done=lambda one: {"done": one.say(DONE[ChangeKind.CONTACT_REPLACED.value])},
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
        none={"methods": [], "left": 0, "few": True, "has_passkey": False},
        few_codes={"left": 2, "few": True},
    ),
    *states(
        "app.html",
        _part("/account/methods", _app),
        new={},
        wrong_code=lambda one: {
            "fault": one.say(
                "This is not the code. Look whether the clock of your phone is right, and wait for the next code."
            )
        },
    ),
    *states("passkey.html", _part("/account/methods", lambda _: {"fault": ""}), new={}),
    *states("recovery_codes.html", _part("/account/methods", lambda _: {"codes": _CODES}), new={}),
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
    *states("activity.html", _part("/account/activity", _activity), some={}, none={"days": [], "messages": []}),
)
