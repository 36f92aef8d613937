"""The table of settings of each `[providers.NAME]`."""

from __future__ import annotations

from typing import Final, Literal

from countersign.config.setting import Names, Setting
from countersign.providers.registry import KINDS

PROVIDER_SETTINGS: Final = (
    Setting("kind", Literal[*KINDS], "none", ", ".join(KINDS), "What it is. Required."),
    Setting("host", str, "none", "a host name", "smtp: the mail server. smpp: the SMSC. Required by both."),
    Setting("from_address", str, "none", "a mail address", "smtp, ses: who the mail is from. Required."),
    Setting("port", int, "587; smpp: 2775", "1 to 65535", "smtp, smpp: its port."),
    Setting(
        "tls",
        Literal["starttls", "tls", "none"],
        "starttls; smpp: tls",
        "starttls, tls or none",
        "smtp, smpp: how the connection is protected. smpp: tls, or none on a network of yours.",
    ),
    Setting("username", str, "none", "text", "smtp: whom to sign in as."),
    Setting(
        "password", str, "none", "text", "smtp, smpp: with which password. smpp: at most 8 characters.", secret=True
    ),
    Setting(
        "bounce_address",
        str,
        "none",
        "a mail address such as bounces@example.org",
        "smtp: where bounces come back, with the key of each message put in; see providers.md.",
    ),
    Setting("dkim_domain", str, "none", "a domain", "smtp: in whose name letters are signed (DKIM)."),
    Setting("dkim_selector", str, "none", "a word such as 2026a", "smtp: the name of the key in the DNS."),
    Setting(
        "dkim_key",
        str,
        "none",
        "an RSA key in PEM form",
        "smtp: the private key, best by `dkim_key_file`.",
        secret=True,
    ),
    Setting(
        "url",
        str,
        "the provider's own",
        "an address that begins with https://",
        "webhook: where messages are posted. infobip: the base address of your account. Required by both."
        " apprise: the gateway's own, with {to} for the number.",
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
        "allow_http",
        bool,
        "no",
        "yes or no",
        "All but smtp, smpp: lets codes travel in the clear, on a network of yours.",
    ),
    Setting("allow_private", bool, "no", "yes or no", "All but smtp, smpp: lets it be in a private network."),
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
        "twilio (or a Messaging Service, MG...), vonage, infobip, sns, smpp: who the message is from. Required, but for sns.",
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
    Setting(
        "topic_arn",
        str,
        "none",
        "arn:aws:sns:REGION:ACCOUNT:NAME",
        "ses: the topic whose notifications are believed; without it none are.",
    ),
    Setting(
        "sns_url",
        str,
        "AWS's own",
        "an address that begins with https://",
        "ses: where SNS is reached instead, for the certificates of notifications.",
    ),
    Setting("region", str, "none", "a region such as eu-central-1", "sns, ses: where. Required."),
    Setting("access_key_id", str, "none", "text", "sns, ses: the access key. Required."),
    Setting("secret_access_key", str, "none", "text", "sns, ses: its secret. Required.", secret=True),
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
    Setting(
        "connections",
        int,
        "4 (smtp), 1 (smpp), 16 (all others)",
        "at least 1",
        "How many at once. smpp: sessions of each process.",
    ),
    Setting("ca_file", str, "the system's authorities", "a file of certificates in PEM form", "Whom to trust instead."),
    Setting("system_id", str, "none", "at most 15 characters", "smpp: whom to bind as. Required."),
    Setting(
        "system_type", str, "none", "at most 12 characters", "smpp: what kind of system to bind as, where it is asked."
    ),
    Setting("receipts", bool, "yes", "yes or no", "smpp: whether receipts are asked for."),
    Setting(
        "receipt_ids",
        Literal["any", "same", "hex", "decimal"],
        "any",
        "any, same, hex or decimal",
        "smpp: how receipts write the ids of messages: as answers do, or in hex or decimal where answers have the other.",
    ),
    Setting("window", int, "10", "at least 1", "smpp: segments under way at once in one session."),
    Setting("throughput", int, "no limit", "segments a second", "smpp: how many each process sends."),
)
"""Settings of each `[providers.NAME]`."""
