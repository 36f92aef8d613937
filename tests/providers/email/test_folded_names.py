"""A sender's name comes back to the letter, however long it is and wherever its line is folded."""

from __future__ import annotations

from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.providers.peers import NOW, message

from countersign.providers.email.message import write_message

SENDER = "codes@shop.example"


def sent_from(name: str, **changes: str) -> tuple[str, str, bytes]:
    """Return the name and the address that a mail client reads, and the mail."""
    content = write_message(message(sender_name=name, **changes), SENDER, NOW).content
    raw = message_from_bytes(content)["From"].replace("\r\n", "").replace("\n", "")  # unfolded (RFC 5322, 2.2.3)
    (pair,) = getaddresses([raw])
    return str(make_header(decode_header(pair[0]))), pair[1], content


@pytest.mark.parametrize(
    "name",
    [
        "חנות התה והקנקנים במרכז העיר העתיקה",
        "متجر الشاي والأباريق في وسط المدينة القديمة بجانب النهر",
        "Ünï, Cafe (Süd)",
        "お茶と急須の専門店　旧市街本店",
        "Kettle, Leaf",
        "Leaf & Kettle of the Old Town, Purveyors of Teas and of Very Long Names Indeed to All",
        "Support (Billing)",
        "Чайная лавка «Лист и Чайник» в старом городе у реки",  # noqa: RUF001
        "a" * 60,
        "é" * 60,
    ],
)
@pytest.mark.parametrize("to", ["ada@example.org", "jörg@example.org"])
def test_a_folded_name_keeps_its_spaces(name: str, to: str) -> None:
    """D5: RFC 2047 drops what stands between two encoded words, so spaces are inside them."""
    shown, address, content = sent_from(name, to=to)
    assert (shown, address) == (name, SENDER)
    head = content.partition(b"\r\n\r\n")[0]
    assert head.startswith(b"From: ")
    assert all(len(line) <= 78 for line in head.split(b"\r\n") if not line.startswith((b"To:", b"Message-ID:")))
    assert head.count(b"From:") == 1


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=80))
def test_any_name_is_one_header_with_one_address(name: str) -> None:
    shown, address, _ = sent_from(name)
    assert address == SENDER
    if not name.isascii() and "=?" not in name:
        assert shown == name


def test_a_folded_subject_keeps_its_spaces_too() -> None:
    """D5: the kind's brother."""
    subject = "הקוד שלך לאישור שינוי הכתובת בחנות התה והקנקנים במרכז העיר העתיקה"
    found = message_from_bytes(write_message(message(subject=subject), SENDER, NOW).content)
    assert str(make_header(decode_header(found["Subject"]))) == subject
