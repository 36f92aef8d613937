"""Makes a short, harmless line of text from outside: names, summaries, devices, places and links."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import urlsplit

MAX_SITE: Final = 60
MAX_SUMMARY: Final = 200
"""As many characters as an application may write: a summary that were cut could hide what is approved (semantics P4)."""
MAX_DETAIL: Final = 60
MAX_ACT: Final = 800
"""Characters of a sentence of ours that names contacts whole, each of which may have 320."""
MAX_LINK: Final = 300

_ELLIPSIS: Final = "\u2026"
_ISOLATES: Final = "\u2066\u2067\u2068\u2069"
_JOINERS: Final = "\u200c\u200d"
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})
_MOST_MARKS: Final = 4
# Bounded: a pattern that may start anywhere and run to the end would cost the square of the length.
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,15}:/+|\bwww\.", re.IGNORECASE)
# RFC 1123, 2.1, in ASCII form. The trailing dot of a fully qualified name is not part of an origin.
_HOST: Final = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_LINK: Final = re.compile(r"[A-Za-z0-9._~:/?#@!$&()*+,;=%-]+")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})


def one_line(value: str, most: int) -> str:
    """Return `value` as one line of at most `most` characters that cannot be mistaken for anything else.

    Control, invisible, bidirectional and unassigned characters are removed. White space becomes single spaces. Piles of combining marks
    are cut. `scheme://` and `www.` are removed, so that no mail client makes a link of them. So is every `#` after an `@` (`@host #code`).
    """
    value = value[: most * 4]
    if not (value.isascii() and value.isprintable()):
        value = _seen(unicodedata.normalize("NFC", value))
    before, at, after = value.partition("@")
    value = before + at + after.replace("#", "")
    # Repeated, because removing one part may put another together.
    while (without := _SCHEME.sub("", value)) != value:
        value = without
    value = " ".join(value.split())
    return value if len(value) <= most else value[: most - 1].rstrip() + _ELLIPSIS


def own_line(value: str, most: int) -> str:
    """Return a line of ours that names a contact: one line without invisible characters but isolates, and otherwise to the letter.

    `one_line` removes `www.` and a `#` after an `@`. A contact that differs in these alone would read like another one.
    """
    parts = re.split(f"([{_ISOLATES}])", unicodedata.normalize("NFC", value[:most]))
    return " ".join("".join(part if part in _ISOLATES else _seen(part) for part in parts).split())


def is_host(host: str) -> bool:
    """Return True if `host` is a host name in ASCII form, to which an SMS can be bound."""
    return _HOST.fullmatch(host.lower()) is not None


def host_name(host: str) -> str:
    """Return the host in lower case, or "" if it is no host name."""
    return host.lower() if is_host(host) else ""


def safe_link(address: str) -> str:
    """Return an https address (or http on the loopback interface, for development), or "" for anything else."""
    if len(address) > MAX_LINK or _LINK.fullmatch(address) is None:
        return ""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    host = parts.hostname or ""
    if parts.username is not None or parts.password is not None or not is_host(host):
        return ""
    return address if parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK) else ""


def _seen(value: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in value:
        category = unicodedata.category(character)
        if category in _UNSEEN:
            # Persian and Indic words and joined emoji need these two characters inside a word.
            if character in _JOINERS and kept and not kept[-1].isascii() and kept[-1] not in _JOINERS:
                kept.append(character)
            elif category in {"Cc", "Zl", "Zp"}:
                kept.append(" ")
            continue
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)
