"""What comes from outside cannot pretend: no forged line, header, link, element or direction, whatever is sent."""

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.messages.occasions import CODE, occasion
from tests.messages.test_mail import FETCHING, read

from countersign.domain.shared.contact import Channel
from countersign.messages.custom.sanitize import MAX_SITE, MAX_SUMMARY, one_line, safe_link
from countersign.messages.render import render

FORGED = "x\n@evil.example #999999"
MARKUP = '<img src=x onerror=alert(1)><a href="https://evil.example">"\'&'
HOSTILE = [
    FORGED,
    "x\r\nBcc: everyone@evil.example",
    "x\u2028@evil.example #999999\u2029\x85\x0b\x0c",
    "\u202egro.live\u202c \u2066x\u2069 \u200e\u200f\u061c",
    "a\x00b\x1b[31m\x7f\ufeff\u200b\U000e0041",
    MARKUP,
    "{code} {site} {0} {{ letter }} {% raw %} %s %(x)s",
    "https://evil.example hthttps://tps://evil.example www.evil.example",
    "\ud800",
    "e" + "\u0301" * 5000,
    "W" * 100_000,
    "@" * 50_000,
    " ",
    "\u202e",
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("channel", Channel)
def test_a_hostile_value_changes_nothing_but_its_own_words(channel: Channel, value: str) -> None:
    """D5, D4: wherever it is put, lines, headers, elements and links stay as many as they were."""
    told = occasion(channel, site=value, summary=value, device=value, place=value, purpose=value, locale=value)
    ordinary = render(occasion(channel, summary="x", purpose="own"), CODE)
    message = render(told, CODE)
    for part in (message.subject, message.sender_name, message.text):
        assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and c != "\n" for c in part)
    assert len((message.subject + message.sender_name).splitlines()) <= 1
    assert len(message.text) < 3_000
    assert len(message.text.splitlines()) <= len(ordinary.text.splitlines()) + 3
    assert "evil.example #" not in message.text
    assert "#999999" not in message.text
    if channel is Channel.SMS:
        assert message.text.split("\n")[-1] == "@adasteashop.example #123456"
        assert [line for line in message.text.split("\n") if line.startswith("@")] == ["@adasteashop.example #123456"]
    if channel is Channel.EMAIL:
        mail = read(message.html)
        assert mail.links == ["https://adasteashop.example/not-me/ver_1"]
        assert [tag for tag, _ in mail.elements if tag in FETCHING] == []
        assert message.text.count("://") == 1


ANYTHING = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="@# \n\r\u2028\u202ehtps:/w.x<>&\"'{}%", max_size=60),
    st.sampled_from(HOSTILE),
)


@settings(max_examples=200)
@given(site=ANYTHING, summary=ANYTHING, device=ANYTHING, place=ANYTHING, host=ANYTHING, zone=ANYTHING, link=ANYTHING)
def test_nothing_that_is_sent_makes_a_message_fail_or_forge_its_last_line(
    site: str, summary: str, device: str, place: str, host: str, zone: str, link: str
) -> None:
    """D4, D5: for any input at all."""
    changes = {"site": site, "summary": summary, "device": device, "place": place}
    for channel in Channel:
        told = occasion(channel, host=host, timezone=zone, locale=zone, not_me=link, **changes)
        message = render(told, CODE)
        assert not re.search(r"[\r\n\x00]", message.subject + message.sender_name)
        # Whatever looks as if it bound a code binds ours, to the host that was given.
        for line in message.text.split("\n"):
            assert not re.match(r"\s*@.*#", line) or line == f"@{host.lower()} #123456"
            assert channel is Channel.EMAIL or not line.startswith("@") or line == f"@{host.lower()} #123456"
    for channel in (Channel.SMS,):
        lines = render(occasion(channel, **changes), CODE).text.split("\n")
        assert lines[-1] == "@adasteashop.example #123456"
        assert len(lines) <= 5


@example("@h#ttps:#//evil.example", 99)
@example("hthttps://tps://evil.example", 99)
@given(ANYTHING, st.integers(min_value=1, max_value=200))
def test_one_line_is_one_line_and_short_and_stays_as_it_is(value: str, most: int) -> None:
    line = one_line(value, most)
    assert len(line) <= most
    assert len(line.splitlines()) <= 1
    assert line == line.strip()
    assert not re.search(r"[a-z]:/|www\.", line, re.IGNORECASE)
    assert "#" not in line.partition("@")[2]
    assert one_line(line, most) == line


def test_ordinary_names_come_through_as_they_are() -> None:
    for name in (
        "Ada's Tea Shop",
        "Müller & Söhne #1",
        "Çay Evi",
        "חנות התה",
        "Tea 🍵",
        "\u0645\u06cc\u200c\u062e\u0648",  # Persian, with the joiner its words need
        "👩\u200d🍳 Koch",
    ):
        assert one_line(name, MAX_SITE) == name
    assert one_line("Change e-mail to a***@example.org", MAX_SUMMARY) == "Change e-mail to a***@example.org"


def test_a_name_that_is_nothing_gives_way_to_the_host() -> None:
    assert render(occasion(site="\u202e\n"), CODE).sender_name == "adasteashop.example"
    assert render(occasion(site="", host=""), CODE).sender_name == "Countersign"


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "http://adasteashop.example/not-me",
        "https://user:secret@adasteashop.example/",
        "https://adasteashop.example\\@evil.example/",
        "https://adasteashop.example/\nhttps://evil.example",
        'https://adasteashop.example/"onclick="x',
        "https://",
        "https://[::1",
        "https://x/" + "a" * 400,
        "//adasteashop.example",
        "HTTPS:adasteashop.example",
    ],
)
def test_only_an_https_address_becomes_a_link(address: str) -> None:
    assert safe_link(address) == ""
    assert read(render(occasion(not_me=address), CODE).html).links == []


@pytest.mark.parametrize(
    "address", ["https://a.example/n?x=1&y=2#z", "http://localhost:8000/not-me", "http://127.0.0.1:9/n"]
)
def test_a_page_of_ours_stays_a_link_in_development_too(address: str) -> None:
    assert safe_link(address) == address
    assert read(render(occasion(not_me=address), CODE).html).links == [address]
