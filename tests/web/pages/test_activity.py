"""The activity page has a sentence for every kind of event that it shows."""

from __future__ import annotations

import ast
from pathlib import Path

from countersign.domain.shared.event import EventKind
from countersign.flows.accounts.activity import LOG_ONLY
from countersign.web.pages.account.activity import SENTENCES

FLOWS = Path(__file__).resolve().parents[3] / "src" / "countersign" / "flows"
ACCOUNT_FLOWS = ("accounts", "changes", "sign_in")


def kinds_of_the_account_flows() -> set[EventKind]:
    """Return every kind of event that stands as `EventKind.NAME` in the flows of accounts."""
    return {
        EventKind[node.attr]
        for folder in ACCOUNT_FLOWS
        for path in (FLOWS / folder).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "EventKind"
    }


def test_every_kind_of_event_of_an_account_has_a_sentence_or_stands_in_the_log_only() -> None:
    """Without a sentence the page could not be shown. Messages are a list of their own."""
    assert kinds_of_the_account_flows() == set(SENTENCES) | LOG_ONLY | {EventKind.MESSAGE_SENT}
    assert not LOG_ONLY & set(SENTENCES)
