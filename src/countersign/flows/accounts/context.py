"""The context of the account flows, what a browser brings to them, and their results."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.session import SignInPolicy
from countersign.domain.shared import identifier
from countersign.domain.verifications.challenge import Requester
from countersign.flows.verifications.results import Refused

if TYPE_CHECKING:
    from countersign.domain.accounts.risk import RiskPolicy
    from countersign.domain.policy import InstallationPolicy
    from countersign.domain.shared.application import Application
    from countersign.domain.shared.contact import Contact
    from countersign.flows.context import CoreContext
    from countersign.geolocation import GeoDatabase
    from countersign.keys import Keyring
    from countersign.links import Links
    from countersign.passwords import Passwords
    from countersign.store.engine.database import Database
    from countersign.store.ledger.event_log import Log

_SECRET_BYTES: Final = 32


class BrowserContext(msgspec.Struct, frozen=True):
    """What a browser brought: the secrets of its cookies (empty: none), and what is shown of it to people."""

    session: str = ""
    device: str = ""
    flow: str = ""
    ip: str = ""
    user_agent: str = ""
    locale: str = ""

    def __repr__(self) -> str:
        """Hide the secrets."""
        return "Browser(hidden)"

    def requester(self, device: str = "") -> Requester:
        """Return who asks; `device` is the id of a browser that the account trusts."""
        return Requester(self.ip, self.user_agent, device)


class AccountContext(msgspec.Struct, frozen=True):
    """What the account flows need beside the core.

    `password_min_length` counts code points. A password may not be made of `password_context_words`, such as the site's name
    (NIST SP 800-63B, 3.1.1.2). `sign_in_policy` says what a sign-in needs and how long a session lasts.
    """

    core: CoreContext
    log: Log
    passwords: Passwords
    risk: RiskPolicy
    password_min_length: int
    password_context_words: tuple[str, ...]
    sign_in_policy: SignInPolicy = SignInPolicy()

    @property
    def database(self) -> Database:
        """Return the database."""
        return self.core.database

    @property
    def keyring(self) -> Keyring:
        """Return the keys."""
        return self.core.keyring

    @property
    def policy(self) -> InstallationPolicy:
        """Return the policies, rate limits and routes of the installation."""
        return self.core.policy

    @property
    def links(self) -> Links:
        """Return the addresses of the installation."""
        return self.core.links

    @property
    def own(self) -> Application:
        """Return the application of our own pages."""
        return self.core.own

    @property
    def geolocation(self) -> GeoDatabase:
        """Return the database that says where a network address is."""
        return self.core.geolocation

    def now(self) -> int:
        """Return the time in milliseconds since the epoch."""
        return self.core.clock()

    def random_bytes(self, count: int) -> bytes:
        """Return `count` random bytes."""
        return self.core.random_bytes(count)

    def id(self, prefix: str) -> str:
        """Return a new identifier."""
        return identifier.make(prefix, self.now(), self.random_bytes(identifier.RANDOM_BYTES))

    def secret(self) -> str:
        """Return a new secret for a cookie."""
        return base64.urlsafe_b64encode(self.random_bytes(_SECRET_BYTES)).rstrip(b"=").decode()

    def mark(self, secret: str) -> bytes:
        """Return what stands for a secret in the database; of none, what stands for nothing."""
        return self.keyring.hash_secret(secret) if secret else b""

    def blind_index(self, contact: Contact) -> bytes:
        """Return what a contact is found by."""
        return self.keyring.blind_index("contact", contact.address)

    def place(self, ip: str) -> str:
        """Return roughly where an address is, in words; empty if nobody knows."""
        found = self.geolocation.find(ip) if ip else None
        return "" if found is None else found.label


class CodeRequested(msgspec.Struct, frozen=True):
    """A code was asked for: the browser keeps these two secrets and goes on at the verification screen."""

    flow: str
    device: str

    def __repr__(self) -> str:
        """Hide the secrets."""
        return "ToVerify(hidden)"


class SignedIn(msgspec.Struct, frozen=True):
    """The person is in, or is further in than before: the browser keeps these secrets, and the request goes on."""

    session: str
    device: str
    account: str
    interrupted: InterruptedRequest

    def __repr__(self) -> str:
        """Hide the secrets."""
        return f"Entered({self.account})"


class InvalidInput(msgspec.Struct, frozen=True):
    """What was typed cannot be taken: a reason for each field."""

    faults: dict[str, str]


class InvalidCredentials(msgspec.Struct, frozen=True):
    """Not let in: unknown, wrong, locked and disabled are all told like this."""


class SignInDenied(msgspec.Struct, frozen=True):
    """The password was right, and the rules of risk forbid this sign-in all the same; the findings say why."""

    reasons: tuple[str, ...]


class NoEligibleMethod(msgspec.Struct, frozen=True):
    """The account has no method that is strong enough for what is asked."""


class FlowNotFound(msgspec.Struct, frozen=True):
    """There is no such flow under way in this browser (any more)."""


class AccountExists(msgspec.Struct, frozen=True):
    """The contact was proved, and has an account already: its owner may sign in."""


CodeRequestResult: TypeAlias = CodeRequested | Refused | NoEligibleMethod
"""What comes of asking a person for a code."""
