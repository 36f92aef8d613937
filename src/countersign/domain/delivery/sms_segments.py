"""SMS segments: the two alphabets, their capacity, and how a longer text is split (3GPP TS 23.038 and 23.040)."""

from __future__ import annotations

import re
from typing import Final

import msgspec

# 3GPP TS 23.038, 6.2.1: the default alphabet in its own order, without the escape to the extension table.
GSM_7: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# 3GPP TS 23.038, 6.2.1.1: each is sent as an escape and one more septet.
GSM_7_EXTENSION: Final = "\f^{}\\[~]|€"

# 3GPP TS 23.040, 9.2.3.24.1: 140 octets, of which the header that joins segments takes six (seven septets).
GSM_7_ALONE: Final = 160
GSM_7_JOINED: Final = 153
UCS_2_ALONE: Final = 70
UCS_2_JOINED: Final = 67

ESCAPE: Final = 0x1B
"""The septet that leads to the extension table. Its index in the default alphabet has no character."""

_GSM_7_TEXT: Final = re.compile(f"[{re.escape(GSM_7 + GSM_7_EXTENSION)}]*")
_LAST_OF_BMP: Final = "\uffff"
# 3GPP TS 23.038, 6.2.1.1: the index of each character in the extension table.
_PLACES: Final = dict(zip(GSM_7_EXTENSION, (0x0A, 0x14, 0x28, 0x29, 0x2F, 0x3C, 0x3D, 0x3E, 0x40, 0x65), strict=True))
_SEPTETS: Final = {
    **{character: bytes((at if at < ESCAPE else at + 1,)) for at, character in enumerate(GSM_7)},
    **{character: bytes((ESCAPE, at)) for character, at in _PLACES.items()},
}


class SegmentedText(msgspec.Struct, frozen=True):
    """A text as it is sent: in GSM 7-bit septets (`gsm_7`) or 16-bit units, in one or several joined parts."""

    gsm_7: bool
    parts: tuple[str, ...]

    def __repr__(self) -> str:
        """Hide the text."""
        return f"Parted({'gsm-7' if self.gsm_7 else 'ucs-2'}, {len(self.parts)})"


def split_segments(text: str) -> SegmentedText:
    """Return a text in as few parts as possible. No part ends within an escape or a surrogate pair."""
    gsm_7 = is_gsm_7(text)
    alone, joined = (GSM_7_ALONE, GSM_7_JOINED) if gsm_7 else (UCS_2_ALONE, UCS_2_JOINED)
    costs = [2 if (c in _PLACES if gsm_7 else c > _LAST_OF_BMP) else 1 for c in text]
    if sum(costs) <= alone:
        return SegmentedText(gsm_7, (text,))
    cuts, used = [0], 0
    for place, cost in enumerate(costs):
        if used + cost > joined:
            cuts.append(place)
            used = 0
        used += cost
    return SegmentedText(gsm_7, tuple(text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)))


def is_gsm_7(text: str) -> bool:
    """Return True if the default alphabet and its extension have every character of a text."""
    return _GSM_7_TEXT.fullmatch(text) is not None


def encode_gsm_7(text: str) -> bytes:
    """Return a text as septets, one in each octet, as SMPP carries it. Raises KeyError for a character without a septet."""
    return b"".join(_SEPTETS[character] for character in text)


def encode_ucs_2(text: str) -> bytes:
    """Return a text in 16-bit units, high octet first. A lone surrogate becomes a question mark."""
    return text.encode("utf-16-be", errors="replace")
