"""A visit: one flow that a browser has under way (sign-up, sign-in, step-up), kept on the server; its cookie is all the browser holds."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.accounts.session import ProofRequirement, SessionProof
from countersign.domain.verifications.challenge import Requester

LASTS: Final = 30 * 60_000
"""Milliseconds from the beginning of a visit to its end."""
MAX_KEPT: Final = 32_768
"""Bytes of an interrupted request that are kept."""


class LoginFlowKind(StrEnum):
    """What the person is about to do."""

    SIGN_UP = "sign_up"
    SIGN_IN = "sign_in"
    STEP_UP = "step_up"
    BIND = "bind_contact"
    RECOVER = "recover"
    CLAIM = "claim_access"
    ENROL = "enrol"
    ENROL_PASSKEY = "enrol_passkey"
    PASSKEY = "passkey"

    @property
    def purpose(self) -> str:
        """Return the purpose of its codes: whoever claims an account back proves a new contact."""
        return LoginFlowKind.BIND.value if self is LoginFlowKind.CLAIM else self.value


class InterruptedRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The request that a step-up interrupted: it goes on afterwards, once, as it was (semantics U1).

    An empty `path` means the first page of the account.
    """

    method: str = "GET"
    path: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Leave the fields out."""
        return f"Interrupted({self.method} {self.path})"


class LoginFlow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A flow under way; times in ms. Kept sealed as a whole.

    `account` is empty where a new one is being made: then `name`, `password` (PHC), `to` and `locale` wait here for the contact's proof.
    `known` says that the address has an account already: its owner is told, the browser is not, and no code is right.
    `session` is the id of the session that is raised, `device` the mark (hex) of the browser that it is bound to;
    `reasons` are findings of the risk rules; `between` says that one way was given up and the next could not be asked yet.
    `guesses` are the codes of an app or recovery codes that were tried, `change` the change that waits for the code, `sealed` the secret
    of an app that is being enrolled or the challenge of a passkey, `proved` how a recovery was proved, before the new password.
    """

    kind: LoginFlowKind
    begun_at: int
    expires_at: int
    device: str
    challenge: str = ""
    contact: str = ""
    account: str = ""
    known: bool = False
    name: str = ""
    password: str = ""
    to: str = ""
    locale: str = ""
    session: str = ""
    need: ProofRequirement = ProofRequirement()
    then: InterruptedRequest = InterruptedRequest()
    requester: Requester = Requester()
    place: str = ""
    reasons: tuple[str, ...] = ()
    between: bool = False
    guesses: int = 0
    change: str = ""
    sealed: str = ""
    proved: SessionProof | None = None

    def __repr__(self) -> str:
        """Show what may stand in a log."""
        return f"Visit({self.kind.value}, {self.challenge})"
