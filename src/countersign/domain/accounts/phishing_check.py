"""Phishing check: is an address in a message ours, does it imitate one of ours, or is it somebody else's.

Only the characters of the address are compared; nothing is fetched or looked up.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import idna
import msgspec

from countersign.domain.shared.contact import LATIN_LOOKALIKES
from countersign.domain.verifications.rate_limit import RateLimit

MAX_CHARACTERS: Final = 4_096
"""Characters of the text that are checked. The rest is ignored."""
MAX_ADDRESSES: Final = 20
"""Addresses that are judged in one text. What comes after them is ignored."""
MAX_IMITATED: Final = 64
"""Hosts of ours that an address is compared with letter by letter. Whether it is one of ours is looked up among all."""
CHECKS_PER_NETWORK: Final = RateLimit("phishing_check", 60, 10 * 60_000)
"""Texts of one network: after a wave of forged messages, many people of one company ask."""
_MAX_HOST: Final = 253
"""Characters of the longest host (RFC 1035, 2.3.4). A longer one is nobody's."""

_LINK: Final = re.compile(r"(?:https?|ftp)://[^\s<>\"'\u201c\u201d]{1,500}", re.IGNORECASE)
_MAIL: Final = re.compile(r"[^\s<>()\"',;:\[\]/\\@]{1,64}+@[^\s<>()\"',;:\[\]/\\@]{1,253}")
_HOST: Final = re.compile(r"(?<![\w.@/-])(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,62}(?![\w@-])(?:[:/][^\s<>\"']{0,500})?")
_SIGN_LOOKALIKES: Final = str.maketrans("0135$@", "oleesa")
_PAIR_LOOKALIKES: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("nn", "m"))
_MIN_NAME: Final = 4
"""Letters of the shortest name of ours that may not occur inside another name."""


class PhishingVerdict(StrEnum):
    """Whose an address is."""

    OURS = "ours"
    LOOKS_LIKE = "looks_like"
    FOREIGN = "foreign"


class LookalikeTrick(StrEnum):
    """How an address imitates one of ours, or why one of ours must not be trusted.

    - `LETTERS`: letters that only look like ours. `INSIDE`: our name inside another one. `NEARLY`: one letter differs.
    - `BEFORE_THE_AT`: our name before an `@`, where it does not count.
    - `UNENCRYPTED`: our host without TLS. `UNKNOWN_SENDER`: our domain, but no address that we send from.
    """

    LETTERS = "letters"
    INSIDE = "inside"
    BEFORE_THE_AT = "before_the_at"
    UNENCRYPTED = "unencrypted"
    NEARLY = "nearly"
    UNKNOWN_SENDER = "unknown_sender"


class OwnAddresses(msgspec.Struct, frozen=True):
    """The addresses that are ours.

    `hosts` are in Unicode and lower case. `senders` are the addresses that our mail comes from. `tls`: whether our pages are served over
    TLS.
    """

    hosts: tuple[str, ...]
    senders: tuple[str, ...] = ()
    tls: bool = True

    def has(self, host: str) -> bool:
        """Return True if a host is one of ours."""
        return host in _set_of(self.hosts)


class CheckedAddress(msgspec.Struct, frozen=True):
    """One address of the text.

    `written` is the address as it stands there, `compared` the part that was compared: the host, or the address of the sender.
    """

    written: str
    compared: str
    verdict: PhishingVerdict
    trick: LookalikeTrick | None = None


class CheckedText(msgspec.Struct, frozen=True):
    """The addresses of a text with their verdicts, and whether all of it was judged."""

    addresses: tuple[CheckedAddress, ...]
    is_whole: bool


def check_text(text: str, ours: OwnAddresses) -> list[CheckedAddress]:
    """Return the first links, mail addresses and hosts in the text with their verdicts, in their order and each once.

    For example `check_text("Go to https://verify.example.evil.test", OwnAddresses(("verify.example",)))` returns one address that
    imitates ours, with the trick `INSIDE`.
    """
    return list(check_whole_text(text, ours).addresses)


def check_whole_text(text: str, ours: OwnAddresses) -> CheckedText:
    """Return what `check_text` does, and whether that is all that the text holds.

    Addresses are found first, which costs little. At most MAX_ADDRESSES of them are judged, which costs more.
    """
    found = _addresses_in("".join(sign for sign in text[:MAX_CHARACTERS] if sign.isprintable() or sign.isspace()))
    checks = {_LINK: _check_link, _MAIL: _check_sender, _HOST: _check_host}
    judged = tuple(checks[pattern](written, ours) for written, pattern in list(found.items())[:MAX_ADDRESSES])
    return CheckedText(judged, is_whole=len(text) <= MAX_CHARACTERS and len(found) <= MAX_ADDRESSES)


def _addresses_in(text: str) -> dict[str, re.Pattern[str]]:
    """Return each address as it is written, with the pattern that found it, in the order of the text."""
    found: list[tuple[int, str, re.Pattern[str]]] = []

    def take(match: re.Match[str]) -> str:
        found.append((match.start(), match[0].rstrip(".,;:!?)»”'\""), match.re))
        return " " * len(match[0])  # what is an address of one kind holds none of the next kind

    for pattern, sign in ((_LINK, "://"), (_MAIL, "@"), (_HOST, ".")):
        if sign in text:
            text = pattern.sub(take, text)
    in_order: dict[str, re.Pattern[str]] = {}
    for _, written, pattern in sorted(found, key=lambda one: one[0]):
        in_order.setdefault(written, pattern)
    return in_order


def _check_link(written: str, ours: OwnAddresses) -> CheckedAddress:
    try:
        parts = urlsplit(written)
        host = _displayed(parts.hostname or "")
    except ValueError:
        return CheckedAddress(written, "", PhishingVerdict.FOREIGN)
    if "@" in parts.netloc:
        return CheckedAddress(written, host, PhishingVerdict.LOOKS_LIKE, LookalikeTrick.BEFORE_THE_AT)
    if ours.has(host):
        if ours.tls and parts.scheme.lower() != "https":
            return CheckedAddress(written, host, PhishingVerdict.LOOKS_LIKE, LookalikeTrick.UNENCRYPTED)
        return CheckedAddress(written, host, PhishingVerdict.OURS)
    return _check_foreign(written, host, ours.hosts)


def _check_sender(written: str, ours: OwnAddresses) -> CheckedAddress:
    address = unicodedata.normalize("NFC", written).lower()
    host = _displayed(address.rpartition("@")[2])
    if address in ours.senders:
        return CheckedAddress(written, address, PhishingVerdict.OURS)
    sender_hosts = tuple(dict.fromkeys(sender.rpartition("@")[2] for sender in ours.senders))
    if ours.has(host) or host in sender_hosts:
        return CheckedAddress(written, host, PhishingVerdict.FOREIGN, LookalikeTrick.UNKNOWN_SENDER)
    return _check_foreign(written, host, (*sender_hosts, *ours.hosts))


def _check_host(written: str, ours: OwnAddresses) -> CheckedAddress:
    host = _displayed(re.split(r"[:/]", written)[0])
    if ours.has(host):
        return CheckedAddress(written, host, PhishingVerdict.OURS)
    return _check_foreign(written, host, ours.hosts)


def _check_foreign(written: str, host: str, own_hosts: tuple[str, ...]) -> CheckedAddress:
    for own in own_hosts[:MAX_IMITATED] if len(host) <= _MAX_HOST else ():
        trick = _trick(host, own)
        if trick is not None:
            return CheckedAddress(written, host, PhishingVerdict.LOOKS_LIKE, trick)
    return CheckedAddress(written, host, PhishingVerdict.FOREIGN)


def _trick(host: str, own: str) -> LookalikeTrick | None:
    """Return how a host imitates this one of ours; None if it does not."""
    seen, own_seen = _as_seen(host), _as_seen(own)
    if seen == own_seen:
        return LookalikeTrick.LETTERS
    labels = own_seen.split(".")[:-1] or [own_seen]
    # The registered name stands before the top-level domain, or before a suffix such as `co.uk`.
    name = labels[-1] if len(labels[-1]) >= _MIN_NAME or len(labels) == 1 else labels[-2]
    if own_seen in seen or (len(name) >= _MIN_NAME and name in seen):
        return LookalikeTrick.INSIDE if host.isascii() else LookalikeTrick.LETTERS
    if len(own_seen) > _MIN_NAME and _differs_by_one_letter(seen, own_seen):
        return LookalikeTrick.NEARLY
    return None


@lru_cache(maxsize=8)
def _set_of(hosts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(hosts)


@lru_cache(maxsize=1_024)
def _as_seen(host: str) -> str:
    """Return a host as a hurried reader sees it: lookalikes replaced by the letters that they imitate."""
    folded = unicodedata.normalize("NFKD", host).casefold()
    folded = "".join(LATIN_LOOKALIKES.get(sign, sign) for sign in folded if not unicodedata.combining(sign))
    folded = folded.translate(_SIGN_LOOKALIKES)
    for pair, letter in _PAIR_LOOKALIKES:
        folded = folded.replace(pair, letter)
    return folded.replace("i", "l")


def _differs_by_one_letter(one: str, other: str) -> bool:
    """Return True if one letter was added, left out or replaced, or two neighbours changed places."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    left, right = one[start:], other[start:]
    swapped = len(left) == len(right) > 1 and left[0] == right[1] and left[1] == right[0] and left[2:] == right[2:]
    return left[1:] == right[1:] or left[1:] == right or left == right[1:] or swapped


def _displayed(host: str) -> str:
    """Return a host as people read it: punycode decoded, lower case, without a final dot."""
    host = host.strip().rstrip(".").lower()
    try:
        return idna.decode(host) if "xn--" in host and len(host) <= _MAX_HOST else host
    except (idna.IDNAError, UnicodeError):
        return host
