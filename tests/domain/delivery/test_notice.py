"""Notices: a log sees the id and the kind, and no contact."""

from __future__ import annotations

from tests.clock import NOON

from countersign.domain.delivery.notice import LIFETIME, Notice, NoticeKind
from countersign.domain.shared.contact import ContactKind


def test_a_notice_shows_a_log_its_id_and_kind_only() -> None:
    """C8."""
    notice = Notice(
        id="ntc_1",
        account="acc_1",
        application="app_own",
        kind=NoticeKind.PASSWORD_CHANGED,
        to=b"ada@example.org",
        to_kind=ContactKind.MAIL,
        masked="a***@example.org",
        locale="en",
        facts={"about": "secret"},
        created_at=NOON,
        expires_at=NOON + LIFETIME,
    )
    assert repr(notice) == "Notice(ntc_1, password_changed)"
