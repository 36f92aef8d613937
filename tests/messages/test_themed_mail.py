"""A mail has the colours of its theme, in light and in dark, and the operator's links; it fetches nothing and has no picture."""

from __future__ import annotations

import re

import msgspec
from tests.messages.occasions import CODE, ORDINARY

from countersign.domain.delivery.notice import NoticeKind
from countersign.domain.look.palette import DARK, LIGHT, Chosen, make_palette
from countersign.domain.look.theme import SiteLinks, Theme, Themes
from countersign.messages.content.notice import NoticeMessage, render_notice
from countersign.messages.render import render

THEME = Theme(
    light=make_palette(Chosen("#a6461a", "#fbf3e6", "#2a1a10"), LIGHT)[0],
    dark=make_palette(Chosen("#f0a868", "#1b120c", "#f6eadb"), DARK)[0],
    links=SiteLinks("https://shop.example/{language}/terms", "", "", "mailto:help@shop.example"),
)
OURS = ("#0b5f73", "#7cc7d8")


def test_a_mail_with_a_code_has_the_colours_and_links_of_its_theme() -> None:
    """J6: the message of an application has its look too."""
    message = render(msgspec.structs.replace(ORDINARY, theme=THEME, locale="de"), CODE)
    assert "#a6461a" in message.html
    assert "#f0a868" in message.html
    assert not any(colour in message.html for colour in OURS)
    assert '<a href="https://shop.example/de/terms"' in message.html
    assert "Nutzungsbedingungen: https://shop.example/de/terms" in message.text
    assert "Hilfe: help@shop.example" in message.text
    assert not re.search(r"<img|url\(", message.html)


def test_a_notice_has_them_too() -> None:
    notice = NoticeMessage(
        key="not_1",
        kind=NoticeKind.NEW_DEVICE,
        channel=ORDINARY.channel,
        to=ORDINARY.to,
        locale="en",
        site="Shop",
        host="shop.example",
        at=ORDINARY.asked_at,
        device="",
        place="",
        link=ORDINARY.not_me,
        theme=THEME,
    )
    assert "#a6461a" in render_notice(notice).html
    assert "Terms: https://shop.example/en/terms" in render_notice(notice).text


def test_without_a_theme_a_mail_is_ours() -> None:
    message = render(ORDINARY, CODE)
    assert all(colour in message.html for colour in OURS)
    assert "<img" not in message.html


def test_an_accent_that_cannot_be_read_on_the_card_of_a_mail_is_moved() -> None:
    palette = make_palette(Chosen("#ffffff", "#101010", "#ffffff"), LIGHT)[0]
    message = render(msgspec.structs.replace(ORDINARY, theme=Theme(light=palette)), CODE)
    assert "color:#ffffff" not in message.html.replace("background-color:#ffffff", "")


def test_the_theme_of_a_message_is_that_of_its_application_or_of_the_one_on_whose_behalf_we_ask() -> None:
    themes = Themes(Theme(), {"app_1": THEME}, {"leaf & kettle": THEME})
    assert themes.theme_of_message("app_1", "") is THEME
    assert themes.theme_of_message("own", "Leaf & Kettle") is THEME
    assert themes.theme_of_message("own", "Somebody else") == Theme()
    assert themes.theme_of_message("own", "") == Theme()
