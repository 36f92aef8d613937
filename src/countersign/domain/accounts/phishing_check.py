"""Authentic: whether an address in a message is ours, only looks like ours, or is somebody else's; judged by its letters alone."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import idna
import msgspec

from countersign.domain.shared.contact import LATIN_LOOKALIKES

MOST_TEXT: Final = 4_096
"""Characters that are looked at."""
MOST_FOUND: Final = 20

_LINK: Final = re.compile(r"(?:https?|ftp)://[^\s<>\"'\u201c\u201d]{1,500}", re.IGNORECASE)
_MAIL: Final = re.compile(r"[^\s<>()\"',;:\[\]/\\@]{1,64}@[^\s<>()\"',;:\[\]/\\@]{1,253}")
_HOST: Final = re.compile(r"(?<![\w.@/-])(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,62}(?![\w@-])(?:[:/][^\s<>\"']{0,500})?")
_SIGNS: Final = str.maketrans("0135$@", "oleesa")
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("nn", "m"))
_SHORTEST_NAME: Final = 4
"""Letters of a name of ours from which on a name that holds it is said to look like it."""


class PhishingVerdict(StrEnum):
    """What an address is."""

    OURS = "ours"
    LOOKS_LIKE = "looks_like"
    FOREIGN = "foreign"


class LookalikeTrick(StrEnum):
    """How an address that is not ours tries to look as if it were, or why one of ours is to be distrusted."""

    LETTERS = "letters"
    INSIDE = "inside"
    BEFORE_THE_AT = "before_the_at"
    UNENCRYPTED = "unencrypted"
    NEARLY = "nearly"
    UNKNOWN_SENDER = "unknown_sender"


class OwnAddresses(msgspec.Struct, frozen=True):
    """What is ours: hosts (in Unicode, lower case), addresses that mail comes from, and whether pages are on TLS."""

    hosts: tuple[str, ...]
    senders: tuple[str, ...] = ()
    tls: bool = True


class CheckedAddress(msgspec.Struct, frozen=True):
    """One address as it was found, what counts of it (the host, or the sender), what it is, and how it tricks."""

    found: str
    counts: str
    verdict: PhishingVerdict
    trick: LookalikeTrick | None = None


def check_text(text: str, ours: OwnAddresses) -> list[CheckedAddress]:
    """Return a word on each link, mail address and host that a text has, in their order; nothing is fetched or looked up."""
    text = "".join(one for one in text[:MOST_TEXT] if one.isprintable() or one.isspace())
    found: dict[tuple[int, str], CheckedAddress] = {}
    taken: list[tuple[int, int]] = []
    for pattern, one in ((_LINK, _link), (_MAIL, _sender), (_HOST, _bare)):
        for match in pattern.finditer(text):
            if any(start < match.end() and match.start() < end for start, end in taken):
                continue
            taken.append(match.span())
            written = match[0].rstrip(".,;:!?)»”'\"")
            found[match.start(), written] = one(written, ours)
    seen: dict[str, CheckedAddress] = {}
    for _, judged in sorted(found.items(), key=lambda item: item[0]):
        seen.setdefault(judged.found, judged)
    return list(seen.values())[:MOST_FOUND]


def _link(written: str, ours: OwnAddresses) -> CheckedAddress:
    try:
        parts = urlsplit(written)
        host = _shown(parts.hostname or "")
    except ValueError:
        return CheckedAddress(written, "", PhishingVerdict.FOREIGN)
    if "@" in parts.netloc:
        return CheckedAddress(written, host, PhishingVerdict.LOOKS_LIKE, LookalikeTrick.BEFORE_THE_AT)
    if host in ours.hosts:
        if ours.tls and parts.scheme.lower() != "https":
            return CheckedAddress(written, host, PhishingVerdict.LOOKS_LIKE, LookalikeTrick.UNENCRYPTED)
        return CheckedAddress(written, host, PhishingVerdict.OURS)
    return _foreign(written, host, ours)


def _bare(written: str, ours: OwnAddresses) -> CheckedAddress:
    host = _shown(re.split(r"[:/]", written)[0])
    return CheckedAddress(written, host, PhishingVerdict.OURS) if host in ours.hosts else _foreign(written, host, ours)


def _sender(written: str, ours: OwnAddresses) -> CheckedAddress:
    address = unicodedata.normalize("NFC", written).lower()
    host = _shown(address.rpartition("@")[2])
    if address in ours.senders:
        return CheckedAddress(written, address, PhishingVerdict.OURS)
    if host in ours.hosts or any(host == sender.rpartition("@")[2] for sender in ours.senders):
        return CheckedAddress(written, host, PhishingVerdict.FOREIGN, LookalikeTrick.UNKNOWN_SENDER)
    beside = msgspec.structs.replace(ours, hosts=(*ours.hosts, *(sender.rpartition("@")[2] for sender in ours.senders)))
    return _foreign(written, host, beside)


def _foreign(written: str, host: str, ours: OwnAddresses) -> CheckedAddress:
    for own in ours.hosts:
        trick = _trick(host, own)
        if trick is not None:
            return CheckedAddress(written, host, PhishingVerdict.LOOKS_LIKE, trick)
    return CheckedAddress(written, host, PhishingVerdict.FOREIGN)


def _trick(host: str, own: str) -> LookalikeTrick | None:
    """Say how a host that is not ours looks like one that is."""
    plain, mine = _plain(host), _plain(own)
    if plain == mine:
        return LookalikeTrick.LETTERS
    labels = mine.split(".")[:-1] or [mine]
    # The name that was registered stands before the ending, or before the like of `co.uk`.
    name = labels[-1] if len(labels[-1]) >= _SHORTEST_NAME or len(labels) == 1 else labels[-2]
    if mine in plain or (len(name) >= _SHORTEST_NAME and name in plain):
        return LookalikeTrick.INSIDE if host.isascii() else LookalikeTrick.LETTERS
    if len(mine) > _SHORTEST_NAME and _near(plain, mine):
        return LookalikeTrick.NEARLY
    return None


def _plain(host: str) -> str:
    """Return a host as a hurried reader sees it."""
    folded = unicodedata.normalize("NFKD", host).casefold()
    folded = "".join(LATIN_LOOKALIKES.get(one, one) for one in folded if not unicodedata.combining(one))
    folded = folded.translate(_SIGNS)
    for pair, one in _PAIRS:
        folded = folded.replace(pair, one)
    return folded.replace("i", "l")


def _near(one: str, other: str) -> bool:
    """Say whether two words differ by one letter: more, fewer, another, or two that changed places."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    left, right = one[start:], other[start:]
    swapped = len(left) == len(right) > 1 and left[0] == right[1] and left[1] == right[0] and left[2:] == right[2:]
    return left[1:] == right[1:] or left[1:] == right or left == right[1:] or swapped


def _shown(host: str) -> str:
    """Return a host as people read it: punycode in letters, lower case, without a last dot."""
    host = host.strip().rstrip(".").lower()
    try:
        return idna.decode(host) if "xn--" in host else host
    except (idna.IDNAError, UnicodeError):
        return host
