"""The size of an SMS in segments (3GPP TS 23.038 and 23.040), and the last line that binds a code to its domain."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

import msgspec

from countersign.domain.delivery.sms_segments import (
    GSM_7,
    GSM_7_ALONE,
    GSM_7_EXTENSION,
    GSM_7_JOINED,
    UCS_2_ALONE,
    UCS_2_JOINED,
)
from countersign.messages.custom.sanitize import host_name

_GSM_7_TEXT: Final = re.compile(f"[{re.escape(GSM_7 + GSM_7_EXTENSION)}]*")
_EXTENDED: Final = re.compile(f"[{re.escape(GSM_7_EXTENSION)}]")
_BEYOND_BMP: Final = re.compile("[\U00010000-\U0010ffff]")

# Characters of typography and CLDR that the default alphabet lacks. A single one of them would halve the room.
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u2039\u203a`\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00ad", "-"),
        **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000", " "),
        "\u2026": "...",
        "\u2022": "-",
        "\u00b7": "-",
        "\t": " ",
    }
)


class Encoding(StrEnum):
    """The encoding of a text: seven bits for each character if the default alphabet has them all, else sixteen."""

    GSM_7 = "gsm-7"
    UCS_2 = "ucs-2"


class Size(msgspec.Struct, frozen=True):
    """The size of a text. `units` are septets or 16-bit units; `segments` are what is paid for. An empty text is one segment."""

    encoding: Encoding
    units: int
    segments: int


def segments(text: str) -> Size:
    """Count a text as a network does. The end of a segment never splits an escape sequence or a surrogate pair."""
    if _GSM_7_TEXT.fullmatch(text):
        encoding, double, alone, joined = Encoding.GSM_7, _EXTENDED, GSM_7_ALONE, GSM_7_JOINED
    else:
        encoding, double, alone, joined = Encoding.UCS_2, _BEYOND_BMP, UCS_2_ALONE, UCS_2_JOINED
    doubles = [match.start() for match in double.finditer(text)]
    units = len(text) + len(doubles)
    if units <= alone:
        return Size(encoding, units, 1)
    if not doubles:
        return Size(encoding, units, -(-units // joined))
    full, used = 0, 0
    wide = frozenset(doubles)
    for place in range(len(text)):
        cost = 2 if place in wide else 1
        if used + cost > joined:
            full, used = full + 1, 0
        used += cost
    return Size(encoding, units, full + 1)


def plain(text: str) -> str:
    """Return the text with curly quotes, dashes and special spaces replaced by characters of the default alphabet."""
    return text.translate(_PLAIN)


def bound_line(host: str, code: str) -> str:
    """Return `@host #code`, or "" if `host` is no host name. A phone fills in the code on that host alone.

    It must be the last line of the message with nothing after it (WICG, Origin-bound one-time codes, 2.2).
    """
    name = host_name(host)
    return f"@{name} #{code}" if name else ""
