"""Nothing that was typed becomes a header: not by a line break, not by an encoded word, not by what a parser makes of it."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.providers.peers import ADA, CODE, NOW, message

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError
from countersign.providers.email.message import MailMessage, write_message

SENDER = "codes@shop.example"
BREAKS = ["\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\ud800", "\t", "\x7f"]
HEADERS = {
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"),
    *("Content-Type", "Content-Language"),
}
TYPED = st.text(
    st.one_of(
        st.sampled_from(' ,;:<>@()"\\[].=?_=?äßéпривет日本🎉abcXYZ019'),
        st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")),
    ),
    max_size=150,
)


def parsed(mail: MailMessage) -> EmailMessage:
    found = message_from_bytes(mail.content, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def seen(text: str) -> str:
    """Return the text as a reader compares it, with spaces out of the way: folding may move them."""
    return "".join(text.replace("=?", "= ?").split())


@pytest.mark.parametrize("breaking", BREAKS, ids=ascii)
@pytest.mark.parametrize("field", ["to", "subject", "sender_name", "locale", "key"])
def test_a_line_break_in_anything_sends_nothing(field: str, breaking: str) -> None:
    """D5: CR, LF, NUL and all that some program takes for the end of a line."""
    for value in (f"a{breaking}Bcc: mallory@example.org", f"a@example.org{breaking}", f"{breaking}a"):
        with pytest.raises(DeliveryFailedError) as caught:
            write_message(message(**{field: value}), SENDER, NOW)
        assert (caught.value.reason, caught.value.permanent) == (Reason.REFUSED, True)
        assert "mallory" not in repr(caught.value)


@pytest.mark.parametrize("field", ["subject", "sender_name"])
@pytest.mark.parametrize(
    "trick",
    [
        "=?utf-8?q?Hello=0D=0ABcc:_mallory@example.org?=",
        "=?utf-8?b?SGVsbG8NCkJjYzogZXZlQGV4YW1wbGUub3Jn?=",
        "x =?us-ascii?Q?=0aBcc:mallory@example.org?= =?us-ascii?Q?=0a?=",
        "=?utf-8?q?=0D=0A=0D=0A<script>?=",
    ],
)
def test_an_encoded_word_is_text_and_is_not_decoded_by_anyone(field: str, trick: str) -> None:
    """D5: a line break that is hidden in RFC 2047's clothes does not reach a header either, nor a reader."""
    mail = write_message(message(**{field: trick}), SENDER, NOW)
    found = parsed(mail)
    assert set(found.keys()) == HEADERS
    raw = dict(found.raw_items())["Subject" if field == "subject" else "From"]
    assert "\n" not in str(make_header(decode_header(raw.replace("\r\n", ""))))


@pytest.mark.parametrize(
    "to",
    ["=?utf-8?q?=0d=0a?=@example.org", "no address", "a@", "@b", "a b@example.org", "<a@example.org", "a@ex ample.org"],
)
def test_what_is_no_address_is_refused(to: str) -> None:
    with pytest.raises(DeliveryFailedError) as caught:
        write_message(message(to=to), SENDER, NOW)
    assert (caught.value.reason, caught.value.permanent) == (Reason.REFUSED, True)
    assert to not in str(caught.value)


@pytest.mark.parametrize("key", ["", ".", "a..b", "a@b", "<a>", "a b", "ä", "a.", "a>b"])
def test_a_key_that_would_break_the_message_id_is_refused(key: str) -> None:
    with pytest.raises(DeliveryFailedError):
        write_message(message(key=key), SENDER, NOW)


@settings(deadline=None)
@given(name=TYPED, subject=TYPED)
@example(
    name='Schuhe, Taschen & "mehr" <mallory@example.org>, der Laden in Köln (Süd) mit sehr langem Namen', subject=""
)
@example(name="", subject="é" * 300)
@example(name="x" * 300, subject="x" * 2000)
def test_any_name_and_subject_arrive_and_add_no_header_or_address(name: str, subject: str) -> None:
    """D5: the headers are ours and each is there once, whatever was typed; nobody else is written to."""
    mail = write_message(message(sender_name=name, subject=subject), SENDER, NOW)
    found = parsed(mail)
    assert sorted(found.keys()) == sorted(HEADERS)
    assert [address.addr_spec for address in found["From"].addresses] == [SENDER]
    assert [address.addr_spec for address in found["To"].addresses] == [ADA]
    assert seen(found["From"].addresses[0].display_name) == seen(name)
    assert seen(str(found["Subject"])) == seen(subject)
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))  # RFC 5322, 2.1.1


@settings(deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=400))
@example(text=".\r\n.\r\nQUIT\r\n")
@example(text="\0")
@example(text="x" * 5000)
def test_any_text_fits_the_wire(text: str) -> None:
    mail = write_message(message(text=text), SENDER, NOW)
    assert mail.content.isascii()
    assert b"\0" not in mail.content
    assert b"\n" not in mail.content.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))


def test_text_that_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(DeliveryFailedError, match="cannot be written"):
        write_message(message(text="\ud800"), SENDER, NOW)


@pytest.mark.parametrize(("locale", "language"), [("de_DE", "de-DE"), ("en", "en"), ("", None), ("e n", None)])
def test_the_language_is_told_if_it_is_one(locale: str, language: str | None) -> None:
    assert parsed(write_message(message(locale=locale), SENDER, NOW))["Content-Language"] == language


def test_mail_without_html_is_plain_text() -> None:
    found = parsed(write_message(message(html=""), SENDER, NOW))
    assert found.get_content_type() == "text/plain"
    assert CODE in found.get_content()


def test_a_letter_does_not_show_what_it_says() -> None:
    """C8: neither repr nor str."""
    mail = write_message(message(), SENDER, NOW)
    assert CODE not in f"{mail!r} {mail}"
    assert ADA not in f"{mail!r} {mail}"
