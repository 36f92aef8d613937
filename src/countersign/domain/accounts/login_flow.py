"""The state of a login flow: one sign-up, sign-in, step-up, recovery or enrolment that a browser has begun and not finished.

The server keeps the state, sealed as a whole; the browser holds nothing but a random secret in its flow cookie.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.accounts.session import ProofRequirement, SessionProof
from countersign.domain.verifications.challenge import Action, Requester
from countersign.domain.verifications.lanes import Lane

FLOW_LIFETIME: Final = 30 * 60_000
"""Milliseconds from the beginning of a flow to its end."""
MAX_INTERRUPTED_CHARACTERS: Final = 32_768
"""Characters of the form fields, names and values together, that are kept of an interrupted request."""


class LoginFlowKind(StrEnum):
    """What the user is doing. The values are stored, and most of them name the purpose of the codes that the flow sends."""

    SIGN_UP = "sign_up"
    SIGN_IN = "sign_in"
    STEP_UP = "step_up"
    BIND_CONTACT = "bind_contact"
    RECOVER = "recover"
    DELAYED_RECOVERY = "claim_access"
    ENROL_APP = "enrol"
    ENROL_PASSKEY = "enrol_passkey"
    PASSKEY = "passkey"
    KEEP_CODES = "keep_codes"

    @property
    def purpose(self) -> str:
        """Return the purpose of the codes of such a flow. A delayed recovery proves a new contact, so it binds one."""
        return LoginFlowKind.BIND_CONTACT.value if self is LoginFlowKind.DELAYED_RECOVERY else self.value


class InterruptedRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The request that a sign-in or a step-up interrupted. It is carried out once, unchanged, after the proof (semantics U1).

    An empty `path` means the first page of the account. `fields` are the names and values of a posted form. For example
    `InterruptedRequest("POST", "/account/end", (("id", "ses_1"),))`. `asker` is the name, for people, of the application that the request
    leads back to; it is empty if the request is for our own pages (semantics J6).
    """

    method: str = "GET"
    path: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    asker: str = ""

    def __repr__(self) -> str:
        """Leave out the fields, which may hold secrets."""
        return f"InterruptedRequest({self.method} {self.path})"


NOTHING_INTERRUPTED: Final = InterruptedRequest()


class LoginFlow(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of one flow. Times are milliseconds since the epoch; `name=` keeps the names under which states were stored.

    For every kind:

    - `device_token_hash`: the keyed hash (hex) of the device cookie of the browser that began the flow. No other browser can continue it.
    - `challenge`: the id of the challenge whose code was sent; empty if none was.
    - `account`, `contact`: the ids of the account and of its contact that the code went to.
    - `requirement`: what must be proved. `interrupted`: the request that continues afterwards.
    - `requester`: the browser that began the flow. `place`: roughly where it was.
    - `is_switching_method`: one method was given up, and no code could be sent by the next one yet.
    - `guesses`: how many authenticator or recovery codes were entered.
    - `epoch`: that of the account when the flow began. The flow ends when the account is changed (semantics A8).

    For some kinds:

    - Sign-up: `address` is the contact to prove; `name`, `password` (a PHC string) and `locale` wait for the proof. `account_exists`
      means that the contact has an account already. Its owner is told so by message, the browser is not, and no code is right.
    - Sign-in: `risk_findings` are the findings of the risk assessment.
    - Step-up and enrolment: `session` is the id of the session that asked.
    - Binding a contact: `change` is the id of the pending change, and `address` is the new contact.
    - Recovery: `address` is the contact that was entered, `recovery_proof` is the proof that was given, and `change` is the id of a
      delayed recovery that can be finished now. `decoy_notice` is the notice that is sent in place of a code, by whichever method.
    - Enrolment: `name` is the name of the new authenticator, and `contact` what has approved it, an authenticator maybe.
    - `pending_secret`: the secret (hex) of the app that is being enrolled, or the WebAuthn challenge (hex) of a passkey.
    - `pending_authenticator`: an authenticator that has shown that it works, as JSON. It counts once `codes` are kept (semantics A11).
    - Keeping codes: `codes` are shown until their user has kept them. `name` is that of an integration code, and `change` the kind of
      change that has made it; both are empty for recovery codes.
    """

    kind: LoginFlowKind
    begun_at: int
    expires_at: int
    device_token_hash: str = msgspec.field(name="device")
    challenge: str = ""
    contact: str = ""
    account: str = ""
    account_exists: bool = msgspec.field(name="known", default=False)
    name: str = ""
    password: str = ""
    address: str = msgspec.field(name="to", default="")
    locale: str = ""
    session: str = ""
    requirement: ProofRequirement = msgspec.field(name="need", default=ProofRequirement())
    interrupted: InterruptedRequest = msgspec.field(name="then", default=InterruptedRequest())
    requester: Requester = Requester()
    place: str = ""
    risk_findings: tuple[str, ...] = msgspec.field(name="reasons", default=())
    is_switching_method: bool = msgspec.field(name="between", default=False)
    guesses: int = 0
    change: str = ""
    pending_secret: str = msgspec.field(name="sealed", default="")
    recovery_proof: SessionProof | None = msgspec.field(name="proved", default=None)
    epoch: int = 0
    decoy_notice: str = msgspec.field(name="decoy", default="")
    pending_authenticator: str = msgspec.field(name="held", default="")
    codes: tuple[str, ...] = ()

    @property
    def lane(self) -> Lane:
        """Return the standing of this browser: what it has given of the account so far (semantics L1)."""
        if self.requester.device:
            return Lane.TRUSTED_BROWSER
        if self.session:
            return Lane.SESSION
        return Lane.PASSWORD if self.kind is LoginFlowKind.SIGN_IN else Lane.ANONYMOUS

    @property
    def challenge_action(self) -> Action:
        """Return the action as a challenge keeps it, with the application that asks even where there is no act (semantics J6)."""
        action = self.requirement.challenge_action
        return action if action.asker else msgspec.structs.replace(action, asker=self.interrupted.asker)

    @property
    def owned_contact(self) -> str:
        """Return the id of the account's contact that the code went to; empty if the user typed the contact.

        Whoever typed a contact chooses between its channels alone. Its id would tell that it belongs to an account (semantics R1).
        """
        return "" if self.address else self.contact

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"LoginFlow({self.kind.value}, {self.challenge})"
