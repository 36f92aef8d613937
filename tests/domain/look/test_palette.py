"""The colours that are made of an operator's few can all be read, and what cannot is refused with the figure."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import countersign
from countersign.domain.look.colour import contrast, least_contrast, read_colour, readable, shown_contrast
from countersign.domain.look.palette import DARK, LIGHT, Chosen, Palette, make_palette

SHEET = Path(countersign.__file__).parent / "web" / "pages" / "static" / "design.css"
COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def unreadable(palette: Palette) -> list[str]:
    """Return the pairs of text and ground of a page that have too little contrast."""
    grounds = ("paper", "card", "well", "tint")
    pairs = [(text, ground) for text in ("ink", "quiet", "accent") for ground in grounds]
    pairs += [(tone, ground) for tone in ("good", "warn", "bad") for ground in (*grounds[:3], f"{tone}_tint")]
    pairs += [("on_accent", "accent"), ("on_accent", "accent_strong"), ("card", "bad")]
    pairs += [("ink", f"{tone}_tint") for tone in ("good", "warn", "bad")]
    colours = msgspec.structs.asdict(palette)
    return [f"{one} on {other}" for one, other in pairs if contrast(colours[one], colours[other]) < 4.5]


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert shown_contrast(4.4999) == "4.4:1"


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_our_own_colours_can_be_read(palette: Palette) -> None:
    assert unreadable(palette) == []


@pytest.mark.parametrize(("palette", "place"), [(LIGHT, 0), (DARK, 1)])
def test_our_own_palette_is_that_of_the_style_sheet(palette: Palette, place: int) -> None:
    block = re.findall(r":root \{(.*?)\}", SHEET.read_text(), re.DOTALL)[place]
    declared = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+);", block))
    assert {name: read_colour(colour) for name, colour in declared.items()} == {
        name.replace("_", "-"): colour for name, colour in msgspec.structs.asdict(palette).items()
    }


def test_nothing_chosen_is_our_own_palette() -> None:
    assert make_palette(Chosen(), LIGHT) == (LIGHT, ())
    assert make_palette(Chosen(), DARK) == (DARK, ())


@settings(deadline=None, max_examples=60)
@given(accent=COLOURS, background=COLOURS, text=COLOURS, base=st.sampled_from([LIGHT, DARK]))
def test_whatever_is_not_refused_can_be_read_everywhere(accent: str, background: str, text: str, base: Palette) -> None:
    """J6: an operator's colours pass WCAG AA on every part of a page, or stop the start."""
    palette, refused = make_palette(Chosen(accent, background, text), base)
    if not refused:
        assert unreadable(palette) == []


@settings(deadline=None, max_examples=60)
@given(accent=COLOURS)
def test_an_accent_made_for_the_other_scheme_can_be_read(accent: str) -> None:
    for base in (LIGHT, DARK):
        palette, refused = make_palette(Chosen(), base, accent)
        assert (refused, unreadable(palette)) == ((), [])


@settings(deadline=None, max_examples=60)
@given(accent=COLOURS)
def test_what_would_pass_passes(accent: str) -> None:
    _, refused = make_palette(Chosen(accent=accent), LIGHT)
    for each in refused:
        assert make_palette(Chosen(accent=each.passes), LIGHT)[1] == ()
        assert each.passes in each.sentence
        assert f"{each.ratio:.1f}"[:1] in each.sentence


def test_the_nearest_readable_colour_is_itself_where_it_can_be_read() -> None:
    assert readable("#000000", lambda _: ("#ffffff",)) == "#000000"
    assert least_contrast(readable("#ffff00", lambda _: ("#ffffff",)), ("#ffffff",))[0] >= 4.5
