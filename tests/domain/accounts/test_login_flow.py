"""The state of a login flow: what it is stored as, what a log may show of it, and the purpose of its codes."""

from __future__ import annotations

import msgspec

from countersign.domain.accounts.login_flow import InterruptedRequest, LoginFlow, LoginFlowKind
from countersign.domain.accounts.session import Level, Method, ProofRequirement, SessionProof
from countersign.domain.verifications.challenge import Action, Requester
from countersign.domain.verifications.purpose import DEFAULT_POLICIES

STORED = (
    b'{"kind":"sign_in","begun_at":1,"expires_at":2,"device":"ab","challenge":"ver_1","contact":"con_1","account":"acc_1",'
    b'"known":true,"name":"Ada","password":"$argon2id$","to":"ada@example.org","locale":"en","session":"ses_1",'
    b'"need":{"level":5,"max_age":60,"action":{"summary":"Pay","hash":"h"},"without":"con_2"},'
    b'"then":{"method":"POST","path":"/account/end","fields":[["id","ses_1"]]},"requester":{"ip":"203.0.113.9"},'
    b'"place":"CH","reasons":["new_browser"],"between":true,"guesses":3,"change":"chg_1","sealed":"cd",'
    b'"proved":{"method":"app_code","at":5}}'
)
FLOW = LoginFlow(
    kind=LoginFlowKind.SIGN_IN,
    begun_at=1,
    expires_at=2,
    device_token_hash="ab",
    challenge="ver_1",
    contact="con_1",
    account="acc_1",
    account_exists=True,
    name="Ada",
    password="$argon2id$",
    address="ada@example.org",
    locale="en",
    session="ses_1",
    requirement=ProofRequirement(Level.APP_CODE, 60, Action("Pay", "h"), "con_2"),
    interrupted=InterruptedRequest("POST", "/account/end", (("id", "ses_1"),)),
    requester=Requester("203.0.113.9"),
    place="CH",
    risk_findings=("new_browser",),
    is_switching_method=True,
    guesses=3,
    change="chg_1",
    pending_secret="cd",
    recovery_proof=SessionProof(Method.APP_CODE, 5),
)


def test_a_flow_is_stored_under_names_that_do_not_change() -> None:
    """A flow that began before an upgrade goes on after it."""
    assert msgspec.json.encode(FLOW) == STORED
    assert msgspec.json.decode(STORED, type=LoginFlow) == FLOW


def test_what_a_flow_does_not_use_is_not_stored() -> None:
    assert msgspec.json.encode(LoginFlow(LoginFlowKind.PASSKEY, 1, 2, "ab")) == (
        b'{"kind":"passkey","begun_at":1,"expires_at":2,"device":"ab"}'
    )


def test_neither_a_flow_nor_an_interrupted_request_shows_a_secret_in_a_log() -> None:
    """C8."""
    assert repr(FLOW) == "LoginFlow(sign_in, ver_1)"
    assert repr(FLOW.interrupted) == "InterruptedRequest(POST /account/end)"


def test_every_kind_that_sends_codes_has_the_policy_of_its_purpose() -> None:
    silent = {
        LoginFlowKind.ENROL_APP,
        LoginFlowKind.ENROL_PASSKEY,
        LoginFlowKind.PASSKEY,
        LoginFlowKind.KEEP_CODES,
    }
    assert {kind.purpose for kind in LoginFlowKind if kind not in silent} <= set(DEFAULT_POLICIES)
    assert LoginFlowKind.DELAYED_RECOVERY.purpose == LoginFlowKind.BIND_CONTACT.purpose == "bind_contact"
