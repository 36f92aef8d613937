"""Logging: one event on each line, as JSON unless a terminal is attached. A redactor removes secrets, whoever wrote the line."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

HIDDEN: Final = "[hidden]"

SECRET_NAMES: Final = frozenset(
    {
        "authorization",
        "code",
        "cookie",
        "html",
        "key",
        "password",
        "proof",
        "recipient",
        "secret",
        "subject",
        "text",
        "to",
        "token",
        "typed",
    }
)
"""Words that mark a value as secret when its name contains one of them."""

HARMLESS_NAMES: Final = frozenset({"exit_code", "status_code"})

CAPS: Final = {
    # At DEBUG, asyncio prints callbacks with their arguments, for example a command or a message.
    "asyncio": logging.INFO,
    # At DEBUG these print SQL, headers and SMTP dialogue. At INFO, httpx2 prints every address it posts to.
    "aiosmtplib": logging.WARNING,
    "asyncpg": logging.WARNING,
    "httpcore2": logging.WARNING,
    "httpx2": logging.WARNING,
    "mail.log": logging.WARNING,
    # At lower levels these print every statement of a migration and every plug-in.
    "alembic": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    # Our own log reports start and stop.
    "_granian": logging.WARNING,
    "granian.access": logging.WARNING,
}
"""The lowest level of each library's logger, whatever level is set for ours."""

_WORDS: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_SECRETS: Final = (
    (re.compile(r"\b(csk_(?:live|test)_|whsec_)[A-Za-z0-9+/=_-]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s'\"]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),  # a compact JWS (RFC 7515): its header begins with {"
    (re.compile(r"(\w+://[^\s/:@]*:)[^\s/@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"[^\s@<>'\"(),;:=\[\]]{1,64}@(?=[\w-]+\.[\w.-]+)"), f"{HIDDEN}@"),
    (re.compile(r"\+\d{6,15}\b"), HIDDEN),
)
"""Patterns that look secret wherever they appear: keys, tokens, passwords in URLs, mail addresses and telephone numbers."""


def configure(level: str, style: str = "auto", stream: TextIO | None = None) -> None:
    """Send every log of this process, ours and the libraries', to `stream` (default stderr) through the redactor.

    `level` is debug, info, warning or error. `style` is console, json, or auto: console if the stream is a terminal, else json.
    """
    stream = stream or sys.stderr
    least = logging.getLevelNamesMapping()[level.upper()]
    pretty = style == "console" or (style == "auto" and stream.isatty())
    first: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
        structlog.processors.format_exc_info,
    ]
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()) if pretty else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=first,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, last],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        if getattr(old, "_countersign", False):
            root.removeHandler(old)
    handler._countersign = True  # type: ignore[attr-defined]  # noqa: SLF001 - so that it is replaced when this is called again
    root.addHandler(handler)
    root.setLevel(least)
    for name, cap in CAPS.items():
        logging.getLogger(name).setLevel(max(cap, least))
    structlog.configure(
        processors=[*first, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the event without secrets: first by the name of each value, then by the form of each text."""
    for name, value in event.items():
        event[name] = HIDDEN if is_secret(name) else _clean(value)
    return event


def is_secret(name: str) -> bool:
    """Return True if values of this name are hidden: `idempotency_key`, `X-Api-Key` and `to` are, `status_code` is not."""
    return name.lower() not in HARMLESS_NAMES and not SECRET_NAMES.isdisjoint(_WORDS.sub(" ", name).lower().split())


def scrub(text: str) -> str:
    """Return a text with everything removed that looks secret by its form."""
    for form, instead in _SECRETS:
        text = form.sub(instead, text)
    return text


def _clean(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): HIDDEN if is_secret(str(name)) else _clean(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner) for inner in value]
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return scrub(value if isinstance(value, str) else repr(value))
