"""Colours in sRGB: their contrast (WCAG 2.2), mixtures, and the nearest one that can be read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

TEXT_CONTRAST: Final = 4.5
"""The least contrast of text with what is behind it (WCAG 2.2, 1.4.3, level AA)."""

EDGE_CONTRAST: Final = 3.0
"""The least contrast of the edge of a field with what is beside it (WCAG 2.2, 1.4.11, level AA)."""

WHITE: Final = "#ffffff"
BLACK: Final = "#000000"

Grounds: TypeAlias = Callable[[str], Sequence[str]]
"""Returns the colours behind a text of the given colour. Some of them, such as a tint, depend on it."""

_WRITTEN: Final = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_LINEAR_BELOW: Final = 0.04045
_STEPS: Final = 100


def read_colour(text: str) -> str:
    """Return a colour as `#rrggbb` in lower case. `#rgb` is read too. Raises ValueError for anything else."""
    if _WRITTEN.fullmatch(text) is None:
        raise ValueError("colour")
    digits = text[1:].lower()
    return "#" + (digits if len(digits) == 6 else "".join(2 * digit for digit in digits))  # noqa: PLR2004 - rrggbb


@lru_cache(maxsize=4096)
def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, from 0 (black) to 1 (white)."""
    red, green, blue = (_linear(part / 255) for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def least_contrast(colour: str, grounds: Sequence[str]) -> tuple[float, str]:
    """Return the smallest contrast of a colour with any of `grounds`, and that ground."""
    return min((contrast(colour, ground), ground) for ground in grounds)


def shown_contrast(ratio: float) -> str:
    """Return a contrast as people write it, such as `4.4:1`. It is rounded down: 4.49 is not enough."""
    return f"{math.floor(ratio * 10) / 10:.1f}:1"


def mix(colour: str, other: str, part: float) -> str:
    """Return `colour` with a `part` (0 to 1) of `other` in it."""
    mixed = (round(mine + (its - mine) * part) for mine, its in zip(_parts(colour), _parts(other), strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def readable(colour: str, grounds: Grounds, least: float = TEXT_CONTRAST) -> str:
    """Return the colour, or the nearest darker or lighter one whose contrast with each ground is at least `least`.

    Where there is none, the better one of black and white is returned.
    """
    for step in range(_STEPS + 1):
        for towards in (BLACK, WHITE):
            candidate = mix(colour, towards, step / _STEPS)
            if least_contrast(candidate, grounds(candidate))[0] >= least:
                return candidate
    return max((BLACK, WHITE), key=lambda end: least_contrast(end, grounds(end)))


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _linear(part: float) -> float:
    return part / 12.92 if part <= _LINEAR_BELOW else ((part + 0.055) / 1.055) ** 2.4
