"""The colours of a page, which are made of the three that an operator chooses: background, text and accent."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.look.colour import (
    BLACK,
    EDGE_CONTRAST,
    TEXT_CONTRAST,
    WHITE,
    least_contrast,
    luminance,
    mix,
    readable,
    shown_contrast,
)

_LIGHT_FROM: Final = 0.4
"""The luminance from which a background counts as light."""
_BORROWED_CONTRAST: Final = 6.0
"""An accent made for the other scheme is moved further than it must, or it would look dull here."""
_TINTS: Final = (0.09, 0.06, 0.03, 0.0)


class Palette(msgspec.Struct, frozen=True):
    """The colours of a page in one scheme, light or dark, by the names of the properties in `design.css`. Each is `#rrggbb`."""

    paper: str
    card: str
    well: str
    ink: str
    quiet: str
    line: str
    edge: str
    accent: str
    accent_strong: str
    on_accent: str
    tint: str
    good: str
    good_tint: str
    warn: str
    warn_tint: str
    bad: str
    bad_tint: str


LIGHT: Final = Palette(
    paper="#f2f4f6",
    card="#ffffff",
    well="#f5f7f9",
    ink="#16202b",
    quiet="#53616d",
    line="#dfe4e9",
    edge="#83909b",
    accent="#0b5f73",
    accent_strong="#084857",
    on_accent="#ffffff",
    tint="#e7f2f5",
    good="#17693b",
    good_tint="#e6f4ec",
    warn="#7f4d00",
    warn_tint="#fdf3e0",
    bad="#a8231f",
    bad_tint="#fdecea",
)
DARK: Final = Palette(
    paper="#0f1418",
    card="#182026",
    well="#10181d",
    ink="#e8edf1",
    quiet="#a3b1bc",
    line="#2a353e",
    edge="#7c8a95",
    accent="#7cc7d8",
    accent_strong="#a5dbe7",
    on_accent="#08242c",
    tint="#14282f",
    good="#7bd3a0",
    good_tint="#13291d",
    warn="#f0c070",
    warn_tint="#2c2312",
    bad="#ff9b93",
    bad_tint="#331a19",
)


class Chosen(msgspec.Struct, frozen=True):
    """The colours that an operator chose for one scheme; an empty one is left to us."""

    accent: str = ""
    background: str = ""
    text: str = ""


class Unreadable(msgspec.Struct, frozen=True):
    """A chosen colour that cannot be read: its name, the lowest contrast and with which colour, and what would pass."""

    name: str
    colour: str
    ground: str
    ratio: float
    passes: str

    @property
    def sentence(self) -> str:
        """Return what is wrong, with the figure and what would pass."""
        return (
            f"{self.colour} on {self.ground} has a contrast of {shown_contrast(self.ratio)}, and text needs"
            f" {TEXT_CONTRAST}:1 (WCAG 2.2 AA, 1.4.3). {self.passes} would pass."
        )


def make_palette(chosen: Chosen, base: Palette, borrowed_accent: str = "") -> tuple[Palette, tuple[Unreadable, ...]]:
    """Return the palette made of chosen colours, and what of them cannot be read.

    Args:
        chosen: the operator's colours for this scheme.
        base: our own palette for this scheme, for what was not chosen.
        borrowed_accent: the accent of the other scheme, made lighter or darker until it can be read here, if none was chosen.
    """
    neutral = _neutral(chosen, base)
    faults = []

    def behind(accent: str) -> tuple[str, ...]:
        return neutral.paper, neutral.card, neutral.well, _tint(neutral, accent)

    accent = chosen.accent or readable(
        borrowed_accent or base.accent, behind, _BORROWED_CONTRAST if borrowed_accent else TEXT_CONTRAST
    )
    text_grounds = (neutral.paper, neutral.card, neutral.well)
    ratio, ground = least_contrast(neutral.ink, text_grounds)
    if ratio < TEXT_CONTRAST:
        passes = readable(neutral.ink, lambda _: text_grounds)
        faults.append(Unreadable("text", neutral.ink, ground, ratio, passes))
    ratio, ground = least_contrast(accent, behind(accent))
    if ratio < TEXT_CONTRAST:
        faults.append(Unreadable("accent", accent, ground, ratio, readable(accent, behind)))
    return _with_accent(neutral, accent, base), tuple(faults)


def _neutral(chosen: Chosen, base: Palette) -> Palette:
    """Return `base` on the chosen background with the chosen text; its accent is not looked at yet."""
    paper, ink = chosen.background or base.paper, chosen.text or base.ink
    if (paper, ink) == (base.paper, base.ink):
        return base
    light = luminance(paper) >= _LIGHT_FROM
    card = base.card if paper == base.paper else WHITE if light else mix(paper, WHITE, 0.05)
    well = mix(card, ink, 0.035)
    grounds = (paper, card, well)
    good, warn, bad = (readable(colour, lambda _: grounds) for colour in (base.good, base.warn, base.bad))
    return Palette(
        paper=paper,
        card=card,
        well=well,
        ink=ink,
        quiet=readable(mix(ink, card, 0.3), lambda _: grounds),
        line=mix(card, ink, 0.14),
        edge=readable(mix(ink, card, 0.5), lambda _: (card, paper, well), EDGE_CONTRAST),
        accent=base.accent,
        accent_strong=base.accent_strong,
        on_accent=base.on_accent,
        tint=base.tint,
        good=good,
        good_tint=_faint(card, good, (ink, good)),
        warn=warn,
        warn_tint=_faint(card, warn, (ink, warn)),
        bad=bad,
        bad_tint=_faint(card, bad, (ink, bad)),
    )


def _with_accent(neutral: Palette, accent: str, base: Palette) -> Palette:
    if neutral == base and accent == base.accent:
        return base
    on_accent = max((WHITE, mix(BLACK, accent, 0.15)), key=lambda one: least_contrast(one, (accent,)))
    tint = _tint(neutral, accent)
    return msgspec.structs.replace(
        neutral,
        accent=accent,
        accent_strong=mix(accent, BLACK if on_accent == WHITE else WHITE, 0.22),
        on_accent=on_accent,
        tint=tint,
        quiet=readable(neutral.quiet, lambda _: (neutral.paper, neutral.card, neutral.well, tint)),
    )


def _tint(neutral: Palette, accent: str) -> str:
    return _faint(neutral.card, accent, (neutral.ink, accent))


def _faint(card: str, colour: str, texts: tuple[str, ...]) -> str:
    """Return the card with as much of a colour as leaves each of `texts` readable on it."""
    for part in _TINTS:
        tint = mix(card, colour, part)
        if all(least_contrast(text, (tint,))[0] >= TEXT_CONTRAST for text in texts):
            return tint
    return card
