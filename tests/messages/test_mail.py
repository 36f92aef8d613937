"""A mail says all it must, in text and in HTML, and holds nothing that is fetched, followed or leaked."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from tests.messages.occasions import ASKED_AT, CODE, FROM_RIGHT_TO_LEFT, occasion

from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.code import Code
from countersign.messages.channels.email import as_html, letter
from countersign.messages.content.code_message import harmless
from countersign.messages.content.purposes import ACTS
from countersign.messages.language.catalogue import negotiate
from countersign.messages.render import languages, render

ROOT = Path(__file__).resolve().parents[2]
FETCHING = ("img", "link", "script", "iframe", "object", "embed", "video", "audio", "form", "input", "base", "svg")


class Reader(HTMLParser):
    """Reads a mail: its elements, its links and what a person sees."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[str | None] = []
        self.told = ""
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append(dict(attrs).get("href"))
        if tag in {"style", "title"}:
            self._unseen += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in {"style", "title"}:
            self._unseen -= 1

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.told += data


def read(html: str) -> Reader:
    """Return the mail as it was read."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@pytest.mark.parametrize("locale", languages())
@pytest.mark.parametrize("purpose", [*ACTS, "bind_contact", "close_account"])
def test_a_mail_says_everything_in_both_parts(locale: str, purpose: str) -> None:
    """D6: site, act, summary, device, rough place, time, warning, and how to say "not me"."""
    told = occasion(locale=locale, purpose=purpose, summary="Change e-mail to a***@example.org")
    language = negotiate(locale)
    written = letter(harmless(told), "123456", language)
    message = render(told, CODE)
    seen = read(message.html).told
    for part in (message.text, seen):
        for said in (
            written.title,
            "Ada's Tea Shop",
            "Change e-mail to a***@example.org",
            "Firefox on Windows",
            "203.0.113.x",
            written.facts[0][1],
            written.valid,
            "adasteashop.example",
            written.warning,
            written.not_you,
        ):
            assert said in part
    assert ("123456" if locale in FROM_RIGHT_TO_LEFT else "123 456") in message.text
    assert "123456" in seen, "what is copied from the HTML is the code as it is typed"
    assert "https://adasteashop.example/not-me/ver_1" in message.text


def test_the_words_of_a_mail_are_these() -> None:
    assert render(occasion(purpose="change_contact", summary="Change e-mail to a***@example.org"), CODE).text == (
        "Your code to change your contact details\n"
        "Ada's Tea Shop\n"
        "\n"
        "What this approves:\n"
        "Change e-mail to a***@example.org\n"
        "\n"
        "    123 456\n"
        "\n"
        "Valid until 4:42\u202fPM UTC, 10 minutes after it was requested.\n"
        "Enter it only at adasteashop.example.\n"
        "\n"
        "Nobody from Ada's Tea Shop will ever ask you for this code.\n"
        "Anyone who asks, by phone or in a message, is trying to trick you.\n"
        "\n"
        "When: November 23, 2026, 4:32\u202fPM UTC\n"
        "Device: Firefox on Windows\n"
        "Approximate location: 203.0.113.x\n"
        "\n"
        "Not you?\n"
        "Do not share the code with anyone. Let us know:\n"
        "https://adasteashop.example/not-me/ver_1\n"
    )


@pytest.mark.parametrize("locale", languages())
def test_the_subject_names_the_site_and_never_the_code(locale: str) -> None:
    """D5: no code in the subject."""
    message = render(occasion(locale=locale), CODE)
    assert "Ada's Tea Shop" in message.subject
    assert "123" not in message.subject
    assert "123" not in message.html.partition("</title>")[0]
    assert message.sender_name == "Ada's Tea Shop"


@pytest.mark.parametrize("locale", languages())
def test_a_mail_fetches_nothing_and_has_one_link(locale: str) -> None:
    """D5: no remote images; and no style, font or script from anywhere."""
    html = render(occasion(locale=locale), CODE).html
    mail = read(html)
    assert mail.links == ["https://adasteashop.example/not-me/ver_1"]
    assert [tag for tag, _ in mail.elements if tag in FETCHING] == []
    assert [name for _, attributes in mail.elements for name in attributes if name in {"src", "background"}] == []
    assert not re.search(r"url\(|@import|@font-face", html)


def test_a_mail_without_a_not_me_page_has_no_link_and_says_what_to_do() -> None:
    message = render(occasion(not_me=""), CODE)
    assert read(message.html).links == []
    assert "Nothing happens without it, so you can ignore this message." in message.text


@pytest.mark.parametrize("locale", languages())
def test_the_preview_of_a_mail_never_reaches_the_code(locale: str) -> None:
    html = render(occasion(locale=locale), CODE).html
    before, _, _ = read(html).told.partition("123456")
    previewed = 200  # characters, more than any client shows
    assert len(before.strip()) > previewed
    hidden = re.search(r'<div style="display:none[^>]*>(.*?)</div>', html, re.DOTALL)
    assert hidden is not None
    assert "123" not in hidden[1]


@pytest.mark.parametrize("locale", languages())
def test_a_mail_says_its_language_and_its_direction(locale: str) -> None:
    html = render(occasion(locale=locale), CODE).html
    _, attributes = read(html).elements[0]
    assert (attributes["lang"], attributes["dir"]) == (locale, "rtl" if locale in FROM_RIGHT_TO_LEFT else "ltr")


@pytest.mark.parametrize("locale", sorted(FROM_RIGHT_TO_LEFT & set(languages())))
def test_names_and_times_do_not_take_their_neighbours_along_where_lines_run_from_right_to_left(locale: str) -> None:
    """D6: what must be read right is kept apart by isolates (UAX 9); the code stays one number, which nothing turns round."""
    message = render(occasion(locale=locale, summary="Change e-mail to a***@example.org"), CODE)
    for part in (message.text, read(message.html).told):
        for value in ("Ada's Tea Shop", "adasteashop.example", "Firefox on Windows", "203.0.113.x"):
            assert f"\u2068{value}\u2069" in part, value
        assert re.search("\u2068[^\u2069]*:42[^\u2069]*UTC\u2069", part), "the time at which the code ends"
    assert "\n    123456\n" in message.text, "no invisible character is copied with it"
    assert re.search(r'class="code-box" dir="ltr"', message.html)
    assert not re.search("[\u2066-\u2069]", message.subject)
    ordinary = render(occasion(locale="en"), CODE)
    assert not re.search("[\u2066-\u2069]", ordinary.text + ordinary.html)


def test_a_mail_in_a_language_from_right_to_left_is_laid_out_so() -> None:
    written = msgspec.structs.replace(letter(harmless(occasion()), "123456", negotiate("en")), direction="rtl")
    html = as_html(written)
    assert read(html).elements[0][1]["dir"] == "rtl"
    assert "text-align:left;direction:ltr" not in html
    assert re.search(r'class="code-box" dir="ltr"', html), "a code is read from left to right in every language"


def test_dark_mode_is_declared_and_styled() -> None:
    html = render(occasion(), CODE).html
    assert '<meta name="color-scheme" content="light dark"' in html
    assert "@media (prefers-color-scheme: dark)" in html


def test_a_letter_does_not_show_its_code_in_its_repr() -> None:
    """C8: no live code in reprs."""
    assert "123" not in repr(letter(harmless(occasion()), "123456", negotiate("en")))
    assert "123" not in repr(render(occasion(), CODE))


@pytest.mark.parametrize(
    ("locale", "minutes", "said"),
    [
        ("en", 1, "Valid until 4:33\u202fPM UTC, 1 minute after it was requested."),
        ("en-GB", 10, "Valid until 16:42 UTC, 10 minutes after it was requested."),
        ("de", 1, "Gültig bis 16:33 UTC, 1 Minute ab Anforderung."),
        ("de", 10, "Gültig bis 16:42 UTC, 10 Minuten ab Anforderung."),
        ("de", 1440, "Gültig bis 24. November 2026, 16:32 UTC."),
    ],
)
def test_how_long_a_code_is_valid_is_said_in_the_right_number(locale: str, minutes: int, said: str) -> None:
    told = occasion(locale=locale, expires_at=ASKED_AT + minutes * 60_000)
    assert said in render(told, CODE).text


def test_a_long_code_is_set_smaller_on_a_phone() -> None:
    assert 'class="code-box long"' in render(occasion(), Code("7KQ4WXYB")).html
    assert 'class="code-box"' in render(occasion(), CODE).html


def test_only_mail_has_a_subject_and_html() -> None:
    for channel in (Channel.SMS, Channel.VOICE, Channel.WHATSAPP):
        message = render(occasion(channel), CODE)
        assert (message.subject, message.html) == ("", "")


def test_the_committed_html_is_what_the_mjml_compiles_to() -> None:
    pytest.importorskip("mjml", reason="mjml-python compiles the mail templates and is not installed")
    program = [sys.executable, str(ROOT / "tools" / "mail_templates.py"), "--check"]
    outcome = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
