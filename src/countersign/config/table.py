"""The table of settings: every name, what is expected of it, what it is when nobody says, and what it means."""

from __future__ import annotations

from typing import Final, Literal

from countersign.config.provider_table import PROVIDER_SETTINGS
from countersign.config.setting import Names, Port, Setting, at_least
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.purpose import ResendMode

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
        at_least(1, 16),
        "1",
        "1 to 16",
        "PostgreSQL: connections of each process for the ledger's batches; a second one helps where the database is far.",
    ),
    Setting(
        "database_pool",
        at_least(1, 100),
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
    Setting("workers", at_least(1, 64), "1", "1 to 64", "Processes that serve; more than one needs PostgreSQL."),
    Setting("no_worker", bool, "no", "yes or no", "Leaves sending to `countersign work` elsewhere."),
    Setting(
        "grace",
        at_least(1, 600),
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
        at_least(1, 1_000_000),
        "4096",
        "1 to 1000000",
        "Requests that may wait for the database in each process; one more is answered 503.",
    ),
    Setting(
        "retention_days",
        at_least(1, 3_650),
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
        at_least(1, 24),
        "12; strict: 8",
        "1 to 24",
        "Hours from sign-in to the end of a session on a browser that is not trusted. NIST SP 800-63B-4, 2.2.3, has 24 at AAL2.",
    ),
    Setting(
        "passwords.least",
        at_least(8, 64),
        "8; strict: 15",
        "8 to 64",
        "Code points that a password has at least. NIST SP 800-63B-4 asks for 15 where a password stands alone; here a new browser needs a code too.",
    ),
    Setting(
        "passwords.slots",
        at_least(1, 64),
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
        at_least(0, 100_000),
        "1000",
        "0 to 100000",
        "Kilometres an hour that no person travels between two sign-ins; 0 for any.",
    ),
    Setting(
        "risk.failures",
        at_least(0, 10),
        "5",
        "0 to 10",
        "Wrong passwords shortly before the right one that take trust back for this sign-in; 0 for any number.",
    ),
    Setting(
        "risk.new_contact_hours",
        at_least(0, 720),
        "24",
        "0 to 720",
        "Hours for which a proved contact counts as new, which operators see with each sign-in.",
    ),
    Setting("risk.new_country", bool, "yes", "yes or no", "Whether another country than last time takes trust back."),
    Setting(
        "fraud.mode",
        Literal["off", "shadow", "on"],
        "on",
        "off, shadow or on",
        "Whether places that are pumped (much is sent and hardly a code comes back) are held; shadow lets through and writes down what it would have held.",
    ),
    Setting(
        "fraud.price",
        str,
        "0.05",
        "an amount such as 0.05",
        "What a phone message costs where fraud.prices says nothing else, in your currency.",
    ),
    Setting(
        "fraud.prices",
        Names,
        "none",
        "a list such as DE=0.07, +4917=0.08",
        "What a phone message costs by country or by how its number begins; the longest beginning wins.",
    ),
    Setting(
        "fraud.prefix_money",
        at_least(0, 1_000_000_000),
        "500",
        "0 to 1000000000",
        "What may be spent in an hour by each application on one prefix, in your currency; 0 for any.",
    ),
    Setting(
        "fraud.country_money",
        at_least(0, 1_000_000_000),
        "2000",
        "0 to 1000000000",
        "The same for one country.",
    ),
    Setting(
        "fraud.application_money",
        at_least(0, 1_000_000_000),
        "5000",
        "0 to 1000000000",
        "The same for everywhere together.",
    ),
    Setting(
        "fraud.prefix_messages",
        at_least(0, 1_000_000_000),
        "0",
        "0 to 1000000000",
        "Messages that each application may send to one prefix in an hour; 0 for any.",
    ),
    Setting(
        "fraud.country_messages",
        at_least(0, 1_000_000_000),
        "0",
        "0 to 1000000000",
        "The same for one country; 0 for any.",
    ),
    Setting(
        "fraud.application_messages",
        at_least(0, 1_000_000_000),
        "0",
        "0 to 1000000000",
        "The same for everywhere together; 0 for any.",
    ),
    Setting(
        "fraud.new_prefix",
        at_least(1, 100_000),
        "30",
        "1 to 100000",
        "Messages of a day to a new prefix that may stay unanswered; each code that comes back allows four more.",
    ),
    *(
        Setting(
            f"routes.{channel.value}",
            Names,
            "inbox in development, else none",
            "a list of names of providers",
            f"Who carries {channel.value}: the first is tried first, the next where it fails. With weights (first=3, second=1) chance draws the order.",
        )
        for channel in Channel
    ),
    Setting(
        "bounces.imap_host",
        str,
        "none",
        "a host name",
        "The mail server with the mailbox that bounces come to, which is looked into each minute; see providers.md.",
    ),
    Setting("bounces.imap_port", Port, "993", "1 to 65535", "Its port: 993 for tls, 143 for starttls."),
    Setting(
        "bounces.imap_tls",
        Literal["tls", "starttls", "none"],
        "tls",
        "tls, starttls or none",
        "How the connection is protected; with none the password travels in the clear.",
    ),
    Setting("bounces.imap_username", str, "none", "text", "Whom to sign in as."),
    Setting("bounces.imap_password", str, "none", "text", "With which password.", secret=True),
    Setting("bounces.imap_folder", str, "INBOX", "a name in ASCII", "The folder."),
    Setting(
        "bounces.imap_after",
        Literal["seen", "delete"],
        "seen",
        "seen or delete",
        "What becomes of a mail that was read; everything in the folder is read.",
    ),
    Setting(
        "bounces.imap_ca_file",
        str,
        "the system's authorities",
        "a file of certificates in PEM form",
        "Whom to trust instead.",
    ),
    Setting(
        "messages.folder",
        str,
        "none",
        "a folder of templates such as sms.de.txt",
        "Your own words for SMS and mail with codes; docs/messages.md says how they are written.",
    ),
    Setting(
        "messages.code_in_subject",
        bool,
        "no",
        "yes or no",
        "Whether your mail.subject.txt may say the code, which then stands on locked screens.",
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
        ResendMode,
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

DETOUR_SETTINGS: Final = (
    Setting("channel", Channel, "none", "email, sms, voice or whatsapp", "The channel. Required."),
    Setting(
        "prefixes",
        Names,
        "none",
        "a list such as +49, +43",
        "Numbers that begin so; the longest that fits wins. Required.",
    ),
    Setting(
        "providers",
        Names,
        "none",
        "a list of names of providers, each with a weight or none (first=3, second=1)",
        "Who carries the channel there, instead of its route. Required.",
    ),
)
"""Settings of each `[detours.NAME]`."""

FAMILIES: Final = {"purposes": PURPOSE_SETTINGS, "providers": PROVIDER_SETTINGS, "detours": DETOUR_SETTINGS}
"""Tables that there may be many of: `[purposes.NAME]`, and COUNTERSIGN_PURPOSES_NAME_SETTING in the environment."""
