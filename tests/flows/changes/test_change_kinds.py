"""Every kind of change has what its way through the program needs: a rule, a name, and a notice if its contacts are told."""

import pytest

from countersign.domain.accounts.change import RULES, ChangeKind
from countersign.domain.delivery.notice import NoticeKind
from countersign.messages.content.change_names import CHANGE_NAMES
from countersign.messages.content.notice import WORDINGS


@pytest.mark.parametrize("kind", ChangeKind)
def test_a_kind_of_change_has_a_rule_and_a_name(kind: ChangeKind) -> None:
    assert kind in RULES
    assert kind in CHANGE_NAMES


@pytest.mark.parametrize("kind", [kind for kind in ChangeKind if kind in RULES and RULES[kind].notifies])
def test_a_kind_of_change_that_is_told_has_a_notice_with_words(kind: ChangeKind) -> None:
    assert NoticeKind(kind.value) in WORDINGS
