"""The settings of an installation: each is declared here, beside its default, what is expected and what it means.

A setting of one value is a field of `Settings`, or of the group whose name its own begins with: `log.level` is `level` in
`LogSettings`. `[purposes.NAME]` and `[detours.NAME]` are declared in files of their own, `[providers.NAME]` in the file of each provider.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from countersign.config.accounts import AccountSettings
from countersign.config.events import EventSettings
from countersign.config.fraud import FraudSettings
from countersign.config.limits import LimitSettings
from countersign.config.observability import LogSettings, MetricsSettings
from countersign.config.risk import RiskSettings
from countersign.config.routes import RouteSettings
from countersign.config.theme import ThemeSettings
from countersign.config.values import (
    Network,
    Port,
    read_bind,
    read_country,
    read_database_url,
    read_host,
    read_networks,
    read_optional_path,
    read_path,
    read_public_url,
    read_scopes,
    read_site,
)
from countersign.domain.accounts.recovery import RecoveryPolicy
from countersign.domain.accounts.session import SignInPolicy
from countersign.domain.delivery.route import PrefixRoute, WeightedProvider
from countersign.domain.look.theme import Themes
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.purpose import Policy
from countersign.errors import SettingsError
from countersign.providers.email.bounce_mailbox import MailboxSettings
from countersign.providers.registry import ConfiguredProvider
from countersign.setting import Described, Group

_HOUR = 3_600_000


def _default_public_url(found: Any) -> str:  # noqa: ANN401 - the settings read before, by name
    if found["environment"] != "development":
        raise SettingsError(
            "public_url (COUNTERSIGN_PUBLIC_URL) is required in production: the https address by which people reach this"
            " installation. To try Countersign out, set COUNTERSIGN_ENVIRONMENT=development."
        )
    return f"http://localhost:{found['port']}"


def _default_host(found: Any) -> str:  # noqa: ANN401 - as above
    host = urlsplit(found.get("public_url") or "").hostname or ""
    try:
        return read_host(host)
    except ValueError:
        return host  # an IPv6 address, to which no SMS can be bound


class IntegrationCodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[integration_codes]`."""

    scopes: Annotated[
        tuple[str, ...],
        Described(
            "What integration codes may allow: the names that a service learns with each of them.",
            expects="a list of names such as read, orders:write (lower case, at most 40 characters)",
            reads=read_scopes,
        ),
    ] = ("read", "write")


class SignInSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[sign_in]`."""

    sent_codes: Annotated[
        bool,
        Described(
            "Whether a code by mail or phone is enough to sign in. If not, a passkey or an authenticator app is needed, and a"
            " code serves to enrol one. NIST SP 800-63B-4, 3.1.3.1, allows no out-of-band code by e-mail and restricts the"
            " telephone network.",
            default="yes; strict: no",
            computed=lambda found: found["profile"] != "strict",
        ),
    ]
    trusted_browsers: Annotated[
        bool,
        Described(
            "Whether people may trust a browser, which then needs no code for 30 days. NIST SP 800-63B-4 has no such exception.",
            default="yes; strict: no",
            computed=lambda found: found["profile"] != "strict",
        ),
    ]
    session_hours: Annotated[
        int,
        msgspec.Meta(ge=1, le=24),
        Described(
            "Hours from sign-in to the end of a session on a browser that is not trusted. NIST SP 800-63B-4, 2.2.3, has 24 at AAL2.",
            default="12; strict: 8",
            computed=lambda found: 8 if found["profile"] == "strict" else 12,
        ),
    ]

    @property
    def policy(self) -> SignInPolicy:
        """Return these settings as the flows use them."""
        return SignInPolicy(
            session_lifetime=self.session_hours * _HOUR,
            trusts_browsers=self.trusted_browsers,
            sent_codes=self.sent_codes,
        )


class RecoverySettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[recovery]`."""

    delayed: Annotated[
        bool,
        Described(
            "Whether people who have lost every contact may prove a new one and get the account after 7 days, if nobody stops it. It gets"
            " past authenticator apps and passkeys too, unless recovery.keeps_authenticators is on. NIST SP 800-63B-4, 4.2, has no such"
            " recovery.",
            default="yes; strict: no",
            computed=lambda found: found["profile"] != "strict",
        ),
    ]
    keeps_authenticators: Annotated[
        bool,
        Described(
            "Whether authenticator apps and passkeys stay after a delayed recovery, so that signing in still needs one of them or a"
            " recovery code. If not, they are removed; each contact is told, and can bring them back for 7 days."
        ),
    ] = False

    @property
    def policy(self) -> RecoveryPolicy:
        """Return these settings as the flows use them."""
        return RecoveryPolicy(delayed=self.delayed, keeps_authenticators=self.keeps_authenticators)


class PasswordSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[passwords]`."""

    least: Annotated[
        int,
        msgspec.Meta(ge=8, le=64),
        Described(
            "The fewest code points of a password. NIST SP 800-63B-4 asks for 15 where a password stands alone; here a new"
            " browser needs a code too.",
            default="8; strict: 15",
            computed=lambda found: 15 if found["profile"] == "strict" else 8,
        ),
    ]
    slots: Annotated[
        int,
        msgspec.Meta(ge=1, le=64),
        Described(
            "Passwords that each process verifies at once; each takes a core for about 50 ms, and 19 MiB.",
            default="as many as processors",
            computed=lambda _: os.cpu_count() or 1,
        ),
    ]
    breached_file: Annotated[
        Path | None,
        Described(
            "Passwords that are refused because they are known from breaches: the file that the downloader of Pwned Passwords writes.",
            expects="a file of SHA-1 digests in order, such as 5BAA61E4...:3861493",
            reads=read_optional_path,
        ),
    ] = None


class MessageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[messages]`."""

    folder: Annotated[
        Path | None,
        Described(
            "Your own words for pages, and for SMS and mail with codes; docs/messages.md says how they are written.",
            expects="a folder of files such as sms.de.txt and pages.de.toml",
            reads=read_optional_path,
        ),
    ] = None
    code_in_subject: Annotated[
        bool, Described("Whether your mail.subject.txt may hold the code, which is then visible on locked screens.")
    ] = False


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of an installation, checked as a whole. The repr shows nothing secret.

    Five of the last fields are made of the tables `[purposes.NAME]`, `[providers.NAME]`, `[routes]`, `[detours.NAME]`, and `[theme]` with
    `[themes.NAME]`. `secret_files` are the files from which values were read (those of settings that end in `_file`), by their settings.
    """

    environment: Annotated[
        Literal["development", "production"],
        Described(
            "Development makes its own keys and database, shows the inbox, and delivers there whatever has no route."
        ),
    ] = "production"
    home: Annotated[
        Path,
        Described("Where files are kept whose place is not set elsewhere.", expects="a folder", reads=read_path),
    ] = Path(".countersign")
    database_url: Annotated[
        str,
        Described(
            "The database. SQLite serves one process; PostgreSQL any number of them.",
            expects="sqlite:///path or postgresql://user:password@host/name",
            default="sqlite:///HOME/countersign.db",
            secret=True,
            reads=read_database_url,
            computed=lambda found: f"sqlite:///{found['home'] / 'countersign.db'}",
        ),
    ]
    database_lanes: Annotated[
        int,
        msgspec.Meta(ge=1, le=16),
        Described(
            "PostgreSQL: connections of each process for the ledger's batches; a second one helps if the database is far away."
        ),
    ] = 1
    database_pool: Annotated[
        int,
        msgspec.Meta(ge=1, le=100),
        Described("PostgreSQL: the most connections of each process for everything else."),
    ] = 8
    database_pooled: Annotated[
        bool, Described("Whether `database_url` leads to a connection pooler in transaction mode, such as PgBouncer.")
    ] = False
    database_direct_url: Annotated[
        str | None,
        Described(
            "The database past a pooler, for notifications and migrations. Without it workers look for messages four times a second.",
            expects="postgresql://user:password@host/name",
            secret=True,
            reads=read_database_url,
        ),
    ] = None
    secret_file: Annotated[
        Path,
        Described(
            "The key file, which `countersign keys new` makes; mode 0600.",
            expects="a file",
            default="HOME/secret.keys",
            reads=read_path,
            computed=lambda found: found["home"] / "secret.keys",
        ),
    ]
    mark_file: Annotated[
        Path,
        Described(
            "Where this machine remembers the last page of the event log that it has seen, so that it notices a database that was set back."
            " A file that can be written, of this machine alone.",
            expects="a file",
            default="HOME/database.mark",
            reads=read_path,
            computed=lambda found: found["home"] / "database.mark",
        ),
    ]
    secret_command: Annotated[
        tuple[str, ...],
        Described(
            "A command that writes what a key file holds, instead of `secret_file`: for keys that a KMS, a vault or an HSM unwraps. It"
            " runs without a shell, for 10 seconds at most.",
            expects="a list of the program and its arguments",
            secret=True,
        ),
    ] = ()
    port: Annotated[Port, Described("The port to listen on; 0 takes a free one.")] = 8000
    public_url: Annotated[
        str,
        Described(
            "Where people and programs reach this installation: in links, and as the issuer of proofs. Required in production.",
            expects="an address such as https://verify.example.org, without a path",
            default="http://localhost:PORT in development",
            reads=read_public_url,
            computed=_default_public_url,
        ),
    ]
    site: Annotated[
        str,
        Described(
            "What messages call the site, unless the application has a name of its own.",
            expects="a name of at most 60 characters",
            reads=read_site,
        ),
    ] = "Countersign"
    host: Annotated[
        str,
        Described(
            "The domain that SMS are bound to, unless the application has its own.",
            expects="a domain such as example.org",
            default="the host of public_url",
            reads=read_host,
            computed=_default_host,
        ),
    ]
    default_country: Annotated[
        str,
        Described(
            "Where telephone numbers without a country code are at home, on pages. After it, and without it, the browser's languages decide.",
            expects="a country such as DE",
            reads=read_country,
        ),
    ] = ""
    bind: Annotated[
        str,
        Described("The address to listen on; 0.0.0.0 for all of them.", expects="an IP address", reads=read_bind),
    ] = "127.0.0.1"
    workers: Annotated[
        int, msgspec.Meta(ge=1, le=64), Described("Processes that serve; more than one needs PostgreSQL.")
    ] = 1
    no_worker: Annotated[bool, Described("Leaves delivering to `countersign work` elsewhere.")] = False
    grace: Annotated[
        int,
        msgspec.Meta(ge=1, le=600),
        Described(
            "How long a stop may take: requests in flight are finished, then the rest is cut off.",
            expects="1 to 600 seconds",
        ),
    ] = 20
    trusted_proxies: Annotated[
        tuple[Network, ...],
        Described(
            "Proxies whose X-Forwarded-* headers are believed.",
            expects="a list of networks such as 10.0.0.0/8",
            reads=read_networks,
        ),
    ] = ()
    queue_bound: Annotated[
        int,
        msgspec.Meta(ge=1, le=1_000_000),
        Described("Requests that may wait for the database in each process; further ones are answered 503."),
    ] = 4096
    retention_days: Annotated[
        int,
        msgspec.Meta(ge=1, le=3_650),
        Described("Days after which ended verifications and their addresses are removed."),
    ] = 30
    profile: Annotated[
        Literal["balanced", "strict"],
        Described(
            "The defaults of sign_in, recovery.delayed and passwords.least: balanced lets people sign in with codes by mail and phone, strict keeps to"
            " NIST SP 800-63B-4."
        ),
    ] = "balanced"
    integration_codes: Annotated[IntegrationCodeSettings, Group("integration_codes.")]
    limits: Annotated[LimitSettings, Group("limits.")]
    sign_in: Annotated[SignInSettings, Group("sign_in.")]
    recovery: Annotated[RecoverySettings, Group("recovery.")]
    accounts: Annotated[AccountSettings, Group("accounts.")]
    passwords: Annotated[PasswordSettings, Group("passwords.")]
    risk: Annotated[RiskSettings, Group("risk.")]
    fraud: Annotated[FraudSettings, Group("fraud.")]
    route_names: Annotated[RouteSettings, Group("routes.")]
    bounces: Annotated[MailboxSettings | None, Group("bounces.imap_")] = None
    messages: Annotated[MessageSettings, Group("messages.")]
    theme: Annotated[ThemeSettings, Group("theme.")]
    events: Annotated[EventSettings, Group("events.")]
    metrics: Annotated[MetricsSettings, Group("metrics.")]
    log: Annotated[LogSettings, Group("log.")]

    purposes: dict[str, Policy]
    providers: dict[str, ConfiguredProvider]
    routes: dict[Channel, tuple[WeightedProvider, ...]]
    detours: dict[Channel, tuple[PrefixRoute, ...]]
    themes: Themes = Themes()
    secret_files: dict[str, Path] = {}

    @property
    def development(self) -> bool:
        """Return True on a developer's machine."""
        return self.environment == "development"

    @property
    def sqlite(self) -> bool:
        """Return True if the database is an SQLite file."""
        return self.database_url.startswith("sqlite:")

    @property
    def support(self) -> str:
        """Return the address where people get help, or ""."""
        return self.themes.own.links.support

    @property
    def policy(self) -> InstallationPolicy:
        """Return what the flows are given."""
        return InstallationPolicy(
            policies=self.purposes,
            destination=self.limits.destination,
            requester=self.limits.requester,
            application=self.limits.application,
            routes=self.routes,
            prefix_routes=self.detours,
            pumping=self.fraud.policy,
        )

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"Settings({self.environment}, {self.home})"
