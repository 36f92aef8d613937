"""Lanes: whoever asks has a standing, and each standing has counters of its own.

No counter that a weaker standing can feed stops a stronger one (semantics L1). A counter without a line in COUNTERS cannot be used.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Lane(StrEnum):
    """The standing of whoever asks, the weakest first.

    - `anonymous`: anybody. Nothing of the account was given.
    - `password`: one proof of the account was given. At a sign-in that is the password.
    - `session`: a session of the account asks.
    - `trusted_browser`: the browser has the secret by which the account trusts it, or an application vouches for it as remembered.
    """

    ANONYMOUS = "anonymous"
    PASSWORD = "password"  # noqa: S105 - a standing
    SESSION = "session"
    TRUSTED_BROWSER = "trusted_browser"

    @property
    def strength(self) -> int:
        """Return the place of this lane among all, the weakest first."""
        return list(Lane).index(self)


class Act(StrEnum):
    """What is counted before it is carried out."""

    SIGN_UP = "sign_up"
    RECOVER = "recover"
    TRY_PASSWORD = "try_password"  # noqa: S105 - an act
    TRY_CURRENT_PASSWORD = "try_current_password"  # noqa: S105 - an act
    BEGIN_PASSKEY = "begin_passkey"
    TRY_PASSKEY = "try_passkey"
    TRY_APP_CODE = "try_app_code"
    TRY_RECOVERY_CODE = "try_recovery_code"
    SEND_CODE = "send_code"
    TRY_CODE = "try_code"
    CHANGE_ACCOUNT = "change_account"
    CHECK_MESSAGE = "check_message"


class CounterSubject(StrEnum):
    """What a counter belongs to. Of two subjects, each has a count of its own."""

    NETWORK = "network"
    CONTACT = "contact"
    CONTACT_AND_NETWORK = "contact_and_network"
    CONTACT_OF_ACCOUNT = "contact_of_account"
    ACCOUNT = "account"
    ACCOUNT_AND_CONTACT = "account_and_contact"
    BROWSER = "browser"
    APPLICATION = "application"


class Counter(msgspec.Struct, frozen=True):
    """One count: its name, the act that it stands before and that feeds it, the lane of that act, and what it belongs to.

    Two counters that differ in name or lane never share a key; see `counter_parts`.
    """

    name: str
    act: Act
    lane: Lane
    subject: CounterSubject


def _counters(act: Act, *rows: tuple[str, dict[Lane, CounterSubject]]) -> tuple[Counter, ...]:
    return tuple(Counter(name, act, lane, subject) for name, lanes in rows for lane, subject in lanes.items())


_A, _P, _S, _T = Lane
_OWN: Final = {_P: CounterSubject.ACCOUNT, _S: CounterSubject.ACCOUNT, _T: CounterSubject.BROWSER}
_EACH_NETWORK: Final = dict.fromkeys(Lane, CounterSubject.NETWORK)
_MESSAGES: Final = {
    _A: CounterSubject.CONTACT,
    _P: CounterSubject.CONTACT_OF_ACCOUNT,
    _S: CounterSubject.CONTACT_OF_ACCOUNT,
    _T: CounterSubject.BROWSER,
}

COUNTERS: Final = (
    *_counters(Act.SIGN_UP, ("sign_up_network", {_A: CounterSubject.NETWORK})),
    *_counters(Act.RECOVER, ("recover_network", {_A: CounterSubject.NETWORK})),
    *_counters(
        Act.TRY_PASSWORD,
        ("sign_in_name", {_A: CounterSubject.ACCOUNT, _T: CounterSubject.BROWSER}),
        ("sign_in_network", {_A: CounterSubject.NETWORK}),
        ("password_failures", {_A: CounterSubject.ACCOUNT, _T: CounterSubject.BROWSER}),
    ),
    *_counters(
        Act.TRY_CURRENT_PASSWORD,
        ("recover_password", {_P: CounterSubject.ACCOUNT_AND_CONTACT}),
        ("current_password_failures", {_P: CounterSubject.ACCOUNT_AND_CONTACT}),
    ),
    *_counters(Act.BEGIN_PASSKEY, ("begin_passkey", {_A: CounterSubject.NETWORK})),
    *_counters(Act.TRY_PASSKEY, ("sign_in_passkey", {_A: CounterSubject.NETWORK})),
    *_counters(Act.TRY_APP_CODE, ("factor_codes", _OWN), ("app_code_failures", _OWN)),
    *_counters(
        Act.TRY_RECOVERY_CODE,
        ("recovery_codes", {_A: CounterSubject.CONTACT_AND_NETWORK, **_OWN}),
        ("recovery_code_failures", _OWN),
    ),
    *_counters(
        Act.SEND_CODE,
        ("destination", _MESSAGES),
        ("destination_day", _MESSAGES),
        ("requester", _EACH_NETWORK),
        ("application", dict.fromkeys(Lane, CounterSubject.APPLICATION)),
    ),
    *_counters(
        Act.TRY_CODE,
        (
            "contact_failures",
            {
                _A: CounterSubject.CONTACT_AND_NETWORK,
                **dict.fromkeys((_P, _S, _T), CounterSubject.CONTACT_OF_ACCOUNT),
            },
        ),
    ),
    *_counters(Act.CHANGE_ACCOUNT, ("changes", {_S: CounterSubject.ACCOUNT})),
    *_counters(Act.CHECK_MESSAGE, ("phishing_check", {_A: CounterSubject.NETWORK})),
)
"""Every counter. Nobody who merely asks has a recovery code's consecutive failures counted: 80 bits need no limit (NIST SP 800-63B-4,
3.1.2.2), and the count would tell which contacts belong to one account."""

ANONYMOUS_PURPOSES: Final = frozenset({"sign_up", "recover"})
"""Purposes of an application's codes that anybody may ask for, without having given anything of the account before."""

_CONFIGURED: Final = {"destination": "destination_day", "requester": "requester", "application": "application"}
"""Limits of messages whose number is the operator's: the counter that a further one, such as `destination_2h`, stands for."""


def counters_before(act: Act, lane: Lane) -> tuple[Counter, ...]:
    """Return the counters that stand before an act of this lane. The act feeds each of them."""
    return tuple(counter for counter in COUNTERS if counter.act is act and counter.lane is lane)


def counter_parts(name: str, lane: Lane) -> tuple[str, str]:
    """Return the parts that the key of a counter begins with: its name and its lane.

    Raises LookupError if COUNTERS has no such counter: one without a lane would be shared by all.
    """
    family = _CONFIGURED.get(name.split("_", maxsplit=1)[0], name)
    if not any(counter.name in {name, family} and counter.lane is lane for counter in COUNTERS):
        raise LookupError(f"{name} is no counter of the lane {lane.value}")
    return name, lane.value


def lane_of_request(purpose: str, device: str) -> Lane:
    """Return the lane of an application's request for a code. `device` is its id of a remembered browser, or empty."""
    if device:
        return Lane.TRUSTED_BROWSER
    return Lane.ANONYMOUS if purpose in ANONYMOUS_PURPOSES else Lane.PASSWORD
