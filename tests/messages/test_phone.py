"""What reaches a phone says what it must: in one segment where it can, and in a call with pauses."""

import re

import pytest
from tests.messages.occasions import CODE, OTHER_SCRIPTS, occasion

from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.code import Code
from countersign.messages.channels.phone import grouped
from countersign.messages.channels.sms_size import Encoding, segments
from countersign.messages.content.purposes import ACTS
from countersign.messages.render import languages, render

PURPOSES = (*ACTS, "bind_contact", "close_account")


@pytest.mark.parametrize("locale", languages())
@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("site", ["Ada's Tea Shop", "Müller & Söhne", "Ada\u2019s Tea Shop", "Example"])
def test_an_sms_with_an_ordinary_site_is_as_short_as_its_script_allows(locale: str, purpose: str, site: str) -> None:
    """D3: in every language, for every purpose, with device, place, time and the address of a page at hand.

    A script that the default alphabet lacks has 67 characters a segment: there it is two, and never three.
    """
    size = segments(render(occasion(Channel.SMS, locale=locale, purpose=purpose, site=site), CODE).text)
    if locale in OTHER_SCRIPTS:
        assert size.encoding is Encoding.UCS_2
        assert size.segments == 2
    else:
        assert size.encoding is Encoding.GSM_7
        assert size.segments == 1


def test_an_sms_says_the_code_the_site_the_act_the_warning_and_the_device_first() -> None:
    """D6: site, act, device, rough place, time and warning; D4: the last line."""
    message = render(occasion(Channel.SMS), CODE)
    assert message.text.split("\n") == [
        "123456 is your Ada's Tea Shop sign-in code. Never share it. We never ask for it.",
        "At 4:32 PM UTC, Firefox on Windows, 203.0.113.x",
        "@adasteashop.example #123456",
    ]
    assert (message.subject, message.html, message.to) == ("", "", "+14155550123")


def test_the_time_gives_way_first_where_a_segment_is_short() -> None:
    text = render(occasion(Channel.SMS, locale="de", device="Firefox auf Windows"), CODE).text
    assert "\nFirefox auf Windows, 203.0.113.x\n@" in text


def test_a_short_address_for_not_me_is_said_where_there_is_room() -> None:
    """D6: how to say "not me"."""
    short = occasion(Channel.SMS, host="tea.example", site="Tea", not_me="https://tea.example/n", device="")
    assert "\nNot you? https://tea.example/n\n@tea.example #123456" in render(short, CODE).text


def test_what_is_approved_is_always_said_and_opens_room_for_the_rest() -> None:
    """D6: with a summary the message may take two segments, and then says everything."""
    text = render(
        occasion(Channel.SMS, purpose="change_contact", summary="Change e-mail to a***@example.org"), CODE
    ).text
    assert text.split("\n") == [
        "123456 is your Ada's Tea Shop code to change your contact details. Never share it. We never ask for it.",
        "It approves: Change e-mail to a***@example.org",
        "At 4:32 PM UTC, Firefox on Windows, 203.0.113.x",
        "Not you? https://adasteashop.example/not-me/ver_1",
        "@adasteashop.example #123456",
    ]
    assert segments(text).segments == 2


def test_the_hash_of_an_app_stands_on_a_line_of_its_own_before_the_last() -> None:
    """D4: the last line stays the last, and the hash stands where Android looks for it: anywhere, as a word of its own."""
    lines = render(occasion(Channel.SMS, app_hash="FA+9qCX9VSu"), CODE).text.split("\n")
    assert lines[-2:] == ["FA+9qCX9VSu", "@adasteashop.example #123456"]
    assert render(occasion(Channel.SMS, app_hash="FA+9qCX9VSu", host=""), CODE).text.endswith("\nFA+9qCX9VSu")
    for channel in set(Channel) - {Channel.SMS}:
        assert "FA+9qCX9VSu" not in render(occasion(channel, app_hash="FA+9qCX9VSu"), CODE).text
    for forged in ("@evil.example", "FA+9qCX9VS", "FA+9qCX9VS\n"):
        assert render(occasion(Channel.SMS, app_hash=forged), CODE) == render(occasion(Channel.SMS), CODE)


def test_an_sms_without_a_host_has_no_bound_line() -> None:
    assert "@" not in render(occasion(Channel.SMS, host=""), CODE).text


def test_a_language_of_other_letters_keeps_them() -> None:
    size = segments(render(occasion(Channel.SMS, site="Чайная"), CODE).text)
    assert size.encoding is Encoding.UCS_2


def test_whatsapp_says_everything_and_binds_nothing() -> None:
    """D6: all of it, D4: no line for the domain."""
    text = render(occasion(Channel.WHATSAPP, locale="de-DE", device="Firefox auf Windows"), CODE).text
    assert text.split("\n") == [
        "123456 ist Ihr Anmeldecode für Ada's Tea Shop.",
        "Niemand von Ada's Tea Shop wird Sie jemals nach diesem Code fragen. Geben Sie ihn nie weiter.",
        "Angefordert um 16:32 UTC, Firefox auf Windows, 203.0.113.x",
        "Gültig bis 16:42 UTC",
        "Nicht Sie? https://adasteashop.example/not-me/ver_1",
    ]


def test_a_voice_says_the_warning_first_and_the_code_twice_with_pauses() -> None:
    text = render(occasion(Channel.VOICE), CODE).text
    assert text.count("1, 2, 3. 4, 5, 6.") == 2
    assert text.index("Nobody from Ada's Tea Shop will ever ask you for this code.") < text.index("1, 2, 3")
    assert text.startswith("Hello, this is Ada's Tea Shop. Your code to sign in.")
    assert "Requested at 4:32 PM UTC. Device: Firefox on Windows. Location: 203.0.113.x." in text
    assert "123456" not in text
    assert "http" not in text


@pytest.mark.parametrize(
    ("code", "groups"),
    [
        ("1234", ("1234",)),
        ("12345", ("12345",)),
        ("123456", ("123", "456")),
        ("1234567", ("123", "4567")),
        ("7KQ4WXYB", ("7KQ4", "WXYB")),
        ("123456789", ("123", "456", "789")),
        ("1234567890", ("12345", "67890")),
    ],
)
def test_a_code_is_grouped_so_that_it_can_be_held_in_mind(code: str, groups: tuple[str, ...]) -> None:
    assert grouped(code) == groups


@pytest.mark.parametrize("locale", languages())
@pytest.mark.parametrize("code", ["0000", "7KQ4WXYB", "0123456789"])
def test_a_code_of_every_shape_is_said_as_it_is_typed(locale: str, code: str) -> None:
    text = render(occasion(Channel.SMS, locale=locale), Code(code)).text
    assert re.findall(r"[0-9A-Z]{4,}", text)[0] == code, "no other number or word in capitals stands before the code"
    assert text.endswith(f"\n@adasteashop.example #{code}")
