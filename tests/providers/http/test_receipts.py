"""Receipts of what providers post: an id that cannot be stored is refused, and a loss has a reason."""

from __future__ import annotations

import pytest

from countersign.domain.delivery.delivery import Reason, Receipt, ReceiptState
from countersign.errors import InputError
from countersign.providers.http.client import MAX_BODY, MAX_ID
from countersign.providers.http.receipts import check_size, make_receipt, malformed_receipt, wrong_signature


@pytest.mark.parametrize(
    ("state", "reason", "kept"),
    [
        (ReceiptState.DELIVERED, None, None),
        (ReceiptState.DELIVERED, Reason.BLOCKED, None),
        (ReceiptState.UNDELIVERED, None, Reason.REFUSED),
        (ReceiptState.UNDELIVERED, Reason.BLOCKED, Reason.BLOCKED),
    ],
)
def test_a_reason_goes_with_a_loss_alone(state: ReceiptState, reason: Reason | None, kept: Reason | None) -> None:
    assert make_receipt("ours", "m-1", state, reason) == Receipt("ours", "m-1", state, kept)


@pytest.mark.parametrize("identifier", ["", None, 7, "a\nb", "x" * (MAX_ID + 1)])
def test_an_id_that_cannot_be_stored_is_refused(identifier: object) -> None:
    with pytest.raises(InputError):
        make_receipt("ours", identifier, ReceiptState.DELIVERED)


def test_a_body_is_read_up_to_its_bound() -> None:
    check_size(b"x" * MAX_BODY)
    with pytest.raises(InputError):
        check_size(b"x" * (MAX_BODY + 1))


def test_the_errors_say_what_is_wrong_and_nothing_of_the_body() -> None:
    assert malformed_receipt().reason == "malformed"
    assert wrong_signature().reason == "signature_wrong"
