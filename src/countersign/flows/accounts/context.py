"""The context of the account flows, what a browser brings to them, and their results."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from countersign.domain.accounts.deletion import DeletionPolicy
from countersign.domain.accounts.login_flow import InterruptedRequest
from countersign.domain.accounts.recovery import RecoveryPolicy
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
    """The browser of a request: the secrets of its cookies, each empty if it has none, and what people are shown of it.

    `regions` are the countries in which a telephone number without a country code is looked for, the likeliest first.
    `timezone` is the IANA name of its time zone, if it has told it.
    """

    session: str = ""
    device: str = ""
    flow: str = ""
    ip: str = ""
    user_agent: str = ""
    locale: str = ""
    regions: tuple[str, ...] = ()
    timezone: str = ""

    def __repr__(self) -> str:
        """Hide the secrets."""
        return "BrowserContext(hidden)"

    def requester(self, device: str = "") -> Requester:
        """Return the requester of a code; `device` is the id of this browser if the account trusts it."""
        return Requester(self.ip, self.user_agent, device)


class AccountContext(msgspec.Struct, frozen=True):
    """What the account flows need beside the core.

    `password_min_length` counts code points. A password may not be made of `password_context_words`, such as the site's name
    (NIST SP 800-63B, 3.1.1.2). `sign_in_policy` says what a sign-in needs and how long a session lasts, and
    `recovery_policy` what is offered to users without any contact, and `deletion_policy` how long an account waits to be deleted.
    `on_gathered(kind, count)` is called when notices to a kind of contact were gathered.
    """

    core: CoreContext
    log: Log
    passwords: Passwords
    risk: RiskPolicy
    password_min_length: int
    password_context_words: tuple[str, ...]
    sign_in_policy: SignInPolicy = SignInPolicy()
    on_gathered: Callable[[str, int], None] = lambda _kind, _count: None
    recovery_policy: RecoveryPolicy = RecoveryPolicy()
    deletion_policy: DeletionPolicy = DeletionPolicy()

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

    def session_secret(self, flow: str) -> str:
        """Return the secret of the session in which the flow with the secret `flow` ends, or a new one if there is no flow.

        A form that was sent twice gets the same session twice (semantics J4). Without the keys nobody finds it from the flow's secret.
        """
        if not flow:
            return self.secret()
        halves = (self.keyring.blind_index("session of a flow", flow, half) for half in ("1", "2"))
        return base64.urlsafe_b64encode(b"".join(halves)).rstrip(b"=").decode()

    def token_hash(self, secret: str) -> bytes:
        """Return the keyed hash stored for a cookie secret, or `b""` for an empty one."""
        return self.keyring.hash_secret(secret) if secret else b""

    def blind_index(self, contact: Contact) -> bytes:
        """Return the keyed hash by which a contact is found."""
        return self.keyring.blind_index("contact", contact.address)

    def blind_indexes(self, contact: Contact) -> tuple[bytes, ...]:
        """Return the keyed hashes under which a contact may be stored: its own, then those of spellings that an earlier release knew."""
        return tuple(self.blind_index(one) for one in (contact, *contact.former))

    def place(self, ip: str) -> str:
        """Return roughly where a network address is, in words; empty if that is unknown."""
        found = self.geolocation.find(ip) if ip else None
        return "" if found is None else found.label


class CodeRequested(msgspec.Struct, frozen=True):
    """A code was sent, or an authenticator is asked for. The browser keeps these two secrets and continues at the verification screen."""

    flow: str
    device: str

    def __repr__(self) -> str:
        """Hide the secrets."""
        return "CodeRequested(hidden)"


class SignedIn(msgspec.Struct, frozen=True):
    """The user is signed in, or at a higher level than before. The browser keeps these secrets, and the interrupted request continues."""

    session: str
    device: str
    account: str
    interrupted: InterruptedRequest

    def __repr__(self) -> str:
        """Hide the secrets."""
        return f"SignedIn({self.account})"


class InvalidInput(msgspec.Struct, frozen=True):
    """The input is invalid: a reason for each field."""

    faults: dict[str, str]


class InvalidCredentials(msgspec.Struct, frozen=True):
    """The sign-in failed. Unknown, wrong, locked and disabled all give this answer."""


class SignInDenied(msgspec.Struct, frozen=True):
    """The password was right, but the risk rules forbid this sign-in; `reasons` are their findings."""

    reasons: tuple[str, ...]


class NoEligibleMethod(msgspec.Struct, frozen=True):
    """The account has no method that is strong enough for what is required."""


class FlowNotFound(msgspec.Struct, frozen=True):
    """This browser has no such flow under way, or no longer."""


class AccountExists(msgspec.Struct, frozen=True):
    """The contact was proved, but has an account already: its owner may sign in."""


CodeRequestResult: TypeAlias = CodeRequested | Refused | NoEligibleMethod
"""The result of requesting a code."""
