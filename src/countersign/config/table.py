"""The table of settings: every name, what is expected of it, what it is when nobody says, and what it means."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from countersign.domain.contact import Channel
from countersign.domain.purpose import Resend
from countersign.providers.catalogue import KINDS

Port: Final = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Names: Final = tuple[str, ...]


class Setting(msgspec.Struct, frozen=True):
    """One setting: `name` as in the TOML file, its type, and three texts for people. A `secret` is never shown."""

    name: str
    type: Any
    default: str
    expects: str
    meaning: str
    secret: bool = False

    @property
    def variable(self) -> str:
        """Return the environment variable that sets it; the same name ended by _FILE reads it from a file."""
        return "COUNTERSIGN_" + self.name.replace(".", "_").upper()


def _at_least(least: int, most: int) -> Any:  # noqa: ANN401 - a type made at run time
    return Annotated[int, msgspec.Meta(ge=least, le=most)]


SETTINGS: Final = (
    Setting(
        "environment",
        Literal["development", "production"],
        "production",
        "development or production",
        "Development makes its own keys and database, shows the inbox, and sends there whatever has no route.",
    ),
    Setting("home", str, ".countersign", "a folder", "Where files are kept whose place is not set elsewhere."),
    Setting(
        "database_url",
        str,
        "sqlite:///HOME/countersign.db",
        "sqlite:///path or postgresql://user:password@host/name",
        "The database. SQLite serves one process; PostgreSQL any number of them.",
        secret=True,
    ),
    Setting(
        "database_lanes",
        _at_least(1, 16),
        "1",
        "1 to 16",
        "PostgreSQL: connections of each process for the ledger's batches; a second one helps where the database is far.",
    ),
    Setting(
        "database_pool",
        _at_least(1, 100),
        "8",
        "1 to 100",
        "PostgreSQL: most connections of each process for everything else.",
    ),
    Setting(
        "secret_file", str, "HOME/secret.keys", "a file", "The key file, which `countersign keys new` makes; mode 0600."
    ),
    Setting(
        "public_url",
        str,
        "http://localhost:PORT in development",
        "an address such as https://verify.example.org, without a path",
        "Where people and programs reach this installation: in links, and as the issuer of proofs. Required in production.",
    ),
    Setting(
        "site",
        str,
        "Countersign",
        "a name of at most 60 characters",
        "What messages call the site, unless the application has a name of its own.",
    ),
    Setting(
        "host",
        str,
        "the host of public_url",
        "a domain such as example.org",
        "The domain that SMS are bound to, unless the application has its own.",
    ),
    Setting("bind", str, "127.0.0.1", "an IP address", "The address that is listened on; 0.0.0.0 for every one."),
    Setting("port", Port, "8000", "0 to 65535", "The port that is listened on; 0 takes a free one."),
    Setting("workers", _at_least(1, 64), "1", "1 to 64", "Processes that serve; more than one needs PostgreSQL."),
    Setting("no_worker", bool, "no", "yes or no", "Leaves sending to `countersign work` elsewhere."),
    Setting(
        "grace",
        _at_least(1, 600),
        "20",
        "1 to 600 seconds",
        "How long a stop may take: what is in flight is finished, then the rest is cut off.",
    ),
    Setting(
        "trusted_proxies",
        Names,
        "none",
        "a list of networks such as 10.0.0.0/8",
        "Proxies whose X-Forwarded-* is believed.",
    ),
    Setting(
        "queue_bound",
        _at_least(1, 1_000_000),
        "4096",
        "1 to 1000000",
        "Requests that may wait for the database in each process; one more is answered 503.",
    ),
    Setting(
        "retention_days",
        _at_least(1, 3_650),
        "30",
        "1 to 3650",
        "Days after which ended verifications and their addresses are removed.",
    ),
    Setting(
        "integration_codes.scopes",
        Names,
        "read, write",
        "a list of names such as read, orders:write (lower case, at most 40 characters)",
        "What integration codes may be allowed to do: the words that a service is told.",
    ),
    Setting(
        "limits.destination",
        Names,
        "10/10m, 30/1d",
        "a list such as 10/10m, 30/1d",
        "Messages to one contact of one application: so many in so many s, m, h or d. An empty list: no limit.",
    ),
    Setting(
        "limits.requester",
        Names,
        "60/10m",
        "a list such as 60/10m",
        "Messages that one network address asks for. An empty list: no limit.",
    ),
    Setting(
        "profile",
        Literal["balanced", "strict"],
        "balanced",
        "balanced or strict",
        "What the settings of sign_in and passwords.least are where they are not set: balanced lets codes by mail and phone in, strict keeps to NIST SP 800-63B-4.",
    ),
    Setting(
        "sign_in.sent_codes",
        bool,
        "yes; strict: no",
        "yes or no",
        "Whether a code by mail or phone lets in. If not, a passkey or an authenticator app is needed, and a code serves to enrol one. NIST SP 800-63B-4, 3.1.3.1, has no out-of-band code by e-mail and restricts the telephone network.",
    ),
    Setting(
        "sign_in.trusted_browsers",
        bool,
        "yes; strict: no",
        "yes or no",
        "Whether a person may have a browser not ask for 30 days. NIST SP 800-63B-4 knows no such exception.",
    ),
    Setting(
        "sign_in.session_hours",
        _at_least(1, 24),
        "12; strict: 8",
        "1 to 24",
        "Hours from sign-in to the end of a session on a browser that is not trusted. NIST SP 800-63B-4, 2.2.3, has 24 at AAL2.",
    ),
    Setting(
        "passwords.least",
        _at_least(8, 64),
        "8; strict: 15",
        "8 to 64",
        "Code points that a password has at least. NIST SP 800-63B-4 asks for 15 where a password stands alone; here a new browser needs a code too.",
    ),
    Setting(
        "passwords.slots",
        _at_least(1, 64),
        "as many as processors",
        "1 to 64",
        "Passwords that are verified at once in each process; each takes a core for about 50 ms, and 19 MiB.",
    ),
    Setting(
        "passwords.breached_file",
        str,
        "none",
        "a file of SHA-1 digests in order, such as 5BAA61E4...:3861493",
        "Passwords that are known from breaches and so refused: what the downloader of Pwned Passwords writes.",
    ),
    Setting(
        "risk.places_file",
        str,
        "none",
        "an MMDB file in the layout of GeoIP2 City or Country",
        "Where network addresses are: for rough places in messages, new countries and impossible travel.",
    ),
    Setting(
        "risk.lists",
        Names,
        "none",
        "a list of NAME=FILE",
        "Lists of networks, one a line, such as tor=/etc/countersign/tor.txt: who is on one always needs a code.",
    ),
    Setting(
        "risk.deny_lists",
        Names,
        "none",
        "names from risk.lists",
        "Lists from which nobody signs in, with a code either.",
    ),
    Setting(
        "risk.travel_kmh",
        _at_least(0, 100_000),
        "1000",
        "0 to 100000",
        "Kilometres an hour that no person travels between two sign-ins; 0 for any.",
    ),
    Setting(
        "risk.failures",
        _at_least(0, 10),
        "5",
        "0 to 10",
        "Wrong passwords shortly before the right one that take trust back for this sign-in; 0 for any number.",
    ),
    Setting(
        "risk.new_contact_hours",
        _at_least(0, 720),
        "24",
        "0 to 720",
        "Hours for which a proved contact counts as new, which operators see with each sign-in.",
    ),
    Setting("risk.new_country", bool, "yes", "yes or no", "Whether another country than last time takes trust back."),
    *(
        Setting(
            f"routes.{channel.value}",
            Names,
            "inbox in development, else none",
            "a list of names of providers",
            f"Who carries {channel.value}: the first is tried first, the next where it fails.",
        )
        for channel in Channel
    ),
    Setting(
        "metrics.token",
        str,
        "none",
        "at least 16 characters",
        "Opens /metrics to who sends it as a bearer.",
        secret=True,
    ),
    Setting(
        "metrics.port", Port, "none", "0 to 65535", "Serves /metrics without a token on this port of `bind` instead."
    ),
    Setting(
        "log.level",
        Literal["debug", "info", "warning", "error"],
        "info",
        "debug, info, warning or error",
        "What is logged.",
    ),
    Setting(
        "log.format",
        Literal["auto", "console", "json"],
        "auto",
        "auto, console or json",
        "How it is logged; auto is console on a terminal and json elsewhere.",
    ),
)
"""Settings that there is one of."""

PURPOSE_SETTINGS: Final = (
    Setting("code_length", int, "6", "4 to 10", "Symbols of a code."),
    Setting(
        "code_alphabet",
        Literal["digits", "alphanumeric"],
        "digits",
        "digits or alphanumeric",
        "What a code is made of.",
    ),
    Setting("lifetime", int, "600", "30 to 600 seconds", "How long a code is worth something."),
    Setting("guesses", int, "5", "1 to 10", "Answers that are compared."),
    Setting("sends", int, "5", "1 to 10", "Messages that may be asked for, the first included."),
    Setting("resend_after", int, "30", "1 to 600 seconds", "The shortest time between two messages."),
    Setting(
        "resend",
        Resend,
        "same",
        "same, new or overlap",
        "What a resend sends: the same code, a new one, or a new one while the last still works.",
    ),
    Setting(
        "channels",
        tuple[Channel, ...],
        "every one with a route",
        "a list of email, sms, voice, whatsapp",
        "How it may be sent.",
    ),
    Setting(
        "binds", bool, "no", "yes or no", "Its approval binds a contact anew that was locked after too many failures."
    ),
)
"""Settings of each `[purposes.NAME]`; a purpose of ours keeps what is not set, a new one begins with the defaults."""

PROVIDER_SETTINGS: Final = (
    Setting("kind", Literal[*KINDS], "none", ", ".join(KINDS), "What it is. Required."),
    Setting("host", str, "none", "a host name", "smtp: the mail server. Required."),
    Setting("from_address", str, "none", "a mail address", "smtp: who the mail is from. Required."),
    Setting("port", int, "587", "1 to 65535", "smtp: its port."),
    Setting(
        "tls",
        Literal["starttls", "tls", "none"],
        "starttls",
        "starttls, tls or none",
        "smtp: how the connection is protected.",
    ),
    Setting("username", str, "none", "text", "smtp: whom to sign in as."),
    Setting("password", str, "none", "text", "smtp: with which password.", secret=True),
    Setting(
        "url",
        str,
        "the provider's own",
        "an address that begins with https://",
        "webhook: where messages are posted. infobip: the base address of your account. Required by both.",
        secret=True,
    ),
    Setting(
        "secret",
        str,
        "none",
        "whsec_ and base64",
        "webhook: what requests and receipts are signed with. Required.",
        secret=True,
    ),
    Setting(
        "allow_http", bool, "no", "yes or no", "All but smtp: lets codes travel in the clear, on a network of yours."
    ),
    Setting("allow_private", bool, "no", "yes or no", "All but smtp: lets it be in a private network."),
    Setting(
        "receipt_within",
        int,
        "60000; webhook: none",
        "milliseconds",
        "When a receipt is overdue, so that the next provider is tried. webhook: says that receipts are posted back.",
    ),
    Setting(
        "sender",
        str,
        "none",
        "a number of yours, or a name",
        "twilio (or a Messaging Service, MG...), vonage, infobip, sns: who the message is from. Required, but for sns.",
    ),
    Setting("account_sid", str, "none", "text", "twilio: the account. Required."),
    Setting("auth_token", str, "none", "text", "twilio: its token. Required.", secret=True),
    Setting("api_key", str, "none", "text", "vonage, infobip: the account's key. Required.", secret=True),
    Setting("api_secret", str, "none", "text", "vonage: its secret. Required.", secret=True),
    Setting(
        "signature_secret",
        str,
        "none",
        "text",
        "vonage: what receipts are signed with; without it none are asked for.",
        secret=True,
    ),
    Setting("region", str, "none", "a region such as eu-central-1", "sns: where. Required."),
    Setting("access_key_id", str, "none", "text", "sns: the access key. Required."),
    Setting("secret_access_key", str, "none", "text", "sns: its secret. Required.", secret=True),
    Setting("phone_number_id", str, "none", "text", "whatsapp: the business number's id. Required."),
    Setting("access_token", str, "none", "text", "whatsapp: the system user's access token. Required.", secret=True),
    Setting(
        "app_secret",
        str,
        "none",
        "text",
        "whatsapp: what receipts are signed with; without it none are waited for.",
        secret=True,
    ),
    Setting(
        "verify_token",
        str,
        "none",
        "text",
        "whatsapp: the word that is asked when our address is entered there.",
        secret=True,
    ),
    Setting("template", str, "none", "a name", "whatsapp: the authentication template. Required."),
    Setting(
        "languages",
        Names,
        "en",
        "a list such as en, de, pt_BR",
        "whatsapp: the languages that the template is approved in.",
    ),
    Setting("api_version", str, "v23.0", "a version such as v23.0", "whatsapp: of the Cloud API."),
    Setting("timeout", float, "15 (smtp), 10 (all others)", "below 45 seconds", "How long one hand-over may take."),
    Setting("connections", int, "4 (smtp), 16 (all others)", "at least 1", "How many at once."),
    Setting("ca_file", str, "the system's authorities", "a file of certificates in PEM form", "Whom to trust instead."),
)
"""Settings of each `[providers.NAME]`."""

FAMILIES: Final = {"purposes": PURPOSE_SETTINGS, "providers": PROVIDER_SETTINGS}
"""Tables that there may be many of: `[purposes.NAME]`, and COUNTERSIGN_PURPOSES_NAME_SETTING in the environment."""
