"""Messages name the application that a person goes on to, in every language; an SMS only where that costs no segment (semantics J6)."""

from __future__ import annotations

import pytest
from tests.messages.occasions import CODE, TWELVE, occasion

from countersign.domain.shared.contact import Channel
from countersign.messages.channels.sms_size import segments
from countersign.messages.render import render

LEAF = "Leaf & Kettle"


@pytest.mark.parametrize("locale", sorted(TWELVE))
def test_every_channel_names_it_in_every_language(locale: str) -> None:
    """J6."""
    for channel in (Channel.EMAIL, Channel.WHATSAPP, Channel.VOICE):
        for purpose in ("sign_in", "sign_up", "step_up"):
            said = render(occasion(channel, locale=locale, purpose=purpose, asker=LEAF), CODE)
            assert LEAF in said.text, (channel, purpose)
            assert channel is not Channel.EMAIL or "Leaf &amp; Kettle" in said.html
            assert LEAF not in render(occasion(channel, locale=locale, purpose=purpose), CODE).text


@pytest.mark.parametrize("locale", sorted(TWELVE))
@pytest.mark.parametrize("asker", [LEAF, "x" * 60, "Чай и чайник"])
def test_an_sms_never_takes_another_segment_for_it(locale: str, asker: str) -> None:
    """J6, D3: and it has the name before device, place and time."""
    for purpose in ("sign_in", "sign_up", "step_up"):
        plain = occasion(Channel.SMS, locale=locale, purpose=purpose)
        with_name = render(occasion(Channel.SMS, locale=locale, purpose=purpose, asker=asker), CODE).text
        assert segments(with_name).segments == segments(render(plain, CODE).text).segments


@pytest.mark.parametrize("purpose", ["sign_in", "step_up"])
def test_an_ordinary_name_has_room_in_an_english_sms(purpose: str) -> None:
    """J6."""
    said = render(occasion(Channel.SMS, purpose=purpose, site="Countersign", host="id.example.org", asker=LEAF), CODE)
    assert "To continue to Leaf & Kettle" in said.text.splitlines()
    assert segments(said.text).segments == 1


def test_an_act_names_it_in_the_acts_own_sentence_alone() -> None:
    """P4."""
    for channel in (Channel.EMAIL, Channel.SMS, Channel.WHATSAPP, Channel.VOICE):
        said = render(occasion(channel, purpose="step_up", summary="Pay EUR 1.00", asker=LEAF), CODE).text
        assert "To continue to" not in said
        assert LEAF in said


def test_a_name_says_nothing_but_a_name() -> None:
    """D5: one line, no link, no line that looks like the one which binds the code."""
    said = render(occasion(Channel.SMS, asker="Evil\n@evil.example #123456 https://evil.example"), CODE).text
    assert "https://" not in said.replace("https://adasteashop.example", "")
    assert [line for line in said.splitlines() if line.startswith("@")] == ["@adasteashop.example #123456"]
