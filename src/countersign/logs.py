"""Logs: one line an event, JSON unless a person is looking, and nothing secret in any of them, whoever wrote it."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

from countersign.log_writer import LogWriter

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
"""A value whose name has one of these words in it is hidden."""

HARMLESS_NAMES: Final = frozenset({"exit_code", "status_code"})

CAPS: Final = {
    # At DEBUG asyncio shows callbacks with their arguments, a submitted command or a message among them.
    "asyncio": logging.INFO,
    # At DEBUG these show SQL, headers, and what is said to a mail server; at INFO httpx2 shows every address it posts to.
    "aiosmtplib": logging.WARNING,
    "asyncpg": logging.WARNING,
    "httpcore2": logging.WARNING,
    "httpx2": logging.WARNING,
    "mail.log": logging.WARNING,
    # Every statement of a migration, and plug-ins set up.
    "alembic": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    # What it does at start and stop is told by us.
    "uvicorn": logging.WARNING,
    "uvicorn.error": logging.WARNING,
}
"""The least level of others' loggers, however much is asked of ours."""

_WORDS: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_SECRETS: Final = (
    (re.compile(r"\b(csk_(?:live|test)_|whsec_)[A-Za-z0-9+/=_-]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s'\"]+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),  # a compact JWS (RFC 7515): its header begins with {"
    (re.compile(r"(\w+://[^\s/:@]*:)[^\s/@]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"[^\s@<>'\"(),;:=\[\]]{1,64}@(?=[\w-]+\.[\w.-]+)"), f"{HIDDEN}@"),
    (re.compile(r"\+\d{6,15}\b"), HIDDEN),
)
"""What gives itself away by its form, wherever it stands: keys, tokens, passwords in addresses, mail addresses, telephone numbers."""


class _QueuedHandler(logging.Handler):
    """Hands each line to a writer, and never waits for it."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer
        self._process = os.getpid()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.write(self.format(record))
        except Exception:  # noqa: BLE001 - a line that cannot be written ends nothing; logging would tell it to a reader that may be stuck
            self._writer.lost(1)

    def close(self) -> None:
        if self._process == os.getpid():  # the thread of a process that was forked stayed with the other one
            self._writer.close()
        super().close()


class _Losses:
    """Who counts lines that were lost."""

    listener: Callable[[int], None] | None = None


def on_lines_lost(listener: Callable[[int], None] | None) -> None:
    """Call `listener(count)` for lines that were lost, beside saying so in the log. It is called in the thread that writes."""
    _Losses.listener = listener


def configure(level: str, style: str = "auto", stream: TextIO | None = None, *, queued: bool = False) -> None:
    """Send every log of this process, ours and the libraries', to `stream` (stderr) through the redactor.

    `level` is debug, info, warning or error; `style` is console, json, or auto: console where the stream is a terminal. With `queued` a
    thread writes the lines, and who logs waits for nobody: that is for programs that serve. Such a program calls `close` at its end.
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
    handler: logging.Handler = _QueuedHandler(LogWriter(stream, _say_lost)) if queued else logging.StreamHandler(stream)
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
            if isinstance(old, _QueuedHandler):
                old.close()
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


def close() -> None:
    """Write what still waits, for a second at most. Nothing is logged by this process afterwards."""
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _QueuedHandler):
            root.removeHandler(handler)
            handler.close()


def _say_lost(count: int) -> None:
    if _Losses.listener is not None:
        _Losses.listener(count)
    structlog.get_logger("countersign.logs").warning("log_lines_lost", lines=count)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the event without what is secret: by the name of a value first, then by the form of every text."""
    for name, value in event.items():
        event[name] = HIDDEN if is_secret(name) else _clean(value)
    return event


def is_secret(name: str) -> bool:
    """Say whether a value of this name is hidden: `idempotency_key`, `X-Api-Key` and `to` are, `status_code` is not."""
    return name.lower() not in HARMLESS_NAMES and not SECRET_NAMES.isdisjoint(_WORDS.sub(" ", name).lower().split())


def scrub(text: str) -> str:
    """Return a text without what gives itself away as secret by its form."""
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
