"""Receipts whose ids and states are written in another way than the answers to our messages."""

from __future__ import annotations

import pytest
from tests.providers.smpp.smsc import Ledger, told

from countersign.domain.delivery.delivery import ReceiptState
from countersign.providers.smpp.pdu import Address, MalformedError, ShortMessage
from countersign.providers.smpp.receipt import parse_receipt, zero_padded
from countersign.providers.smpp.receiver import ReceiptReceiver
from countersign.providers.smpp.status import OK

SOMEBODY = Address(1, 1, "491701234567")


def of(text: str) -> ShortMessage:
    """Return a receipt that is text alone."""
    return ShortMessage(source=SOMEBODY, destination=SOMEBODY, esm_class=4, text=text.encode())


@pytest.mark.parametrize(
    ("answer", "receipt", "ids"),
    [
        ("023", "23", "same"),
        ("23", "023", "same"),
        ("000000000000000023", "23", "same"),
        ("00ab", "AB", "same"),
        ("AB", "00ab", "same"),
        ("023", "0000023", "same"),
        ("0", "000", "same"),
        ("023", "23", "any"),
        ("00000000000000000023", "17", "hex"),
        ("0000000017", "23", "decimal"),
        ("0AB", "171", "decimal"),
        ("171", "00ab", "hex"),
        ("id-1", "id-1", "same"),
    ],
)
async def test_a_message_is_found_whatever_zeros_and_case_either_side_writes(
    answer: str, receipt: str, ids: str
) -> None:
    """D12: `receipt_ids` promises it."""
    receiver, ledger = ReceiptReceiver("ours", ids), Ledger(answer)
    receiver.on_receipt = ledger
    assert await receiver.receive(told(receipt, 2)) == OK
    assert ledger.heard.get_nowait().provider_message_id == answer


async def test_a_part_is_found_whatever_zeros_either_side_writes() -> None:
    receiver, ledger = ReceiptReceiver("ours", "same"), Ledger("002")
    receiver.on_receipt = ledger
    receiver.join(["001", "002"])
    await receiver.receive(told("1", 2))
    assert ledger.heard.empty()
    await receiver.receive(told("2", 2))
    assert ledger.heard.get_nowait().provider_message_id == "002"


def test_an_id_that_is_known_as_it_is_costs_no_further_search() -> None:
    """L5: and one that is unknown a bounded one."""
    assert len(zero_padded("7" * 10, "same")) <= 20
    assert len(zero_padded("Ab3f", "same")) <= 60
    assert zero_padded("id-1", "same") == ()
    assert all(len(one) <= 20 for one in zero_padded("ff", "hex"))


@pytest.mark.parametrize(
    "word",
    [
        "FAILED",
        "FAIL",
        "FAILURE",
        "Failed",
        "ERROR",
        "UNDELIV",
        "NOTDELIVERED",
        "NDELIV",
        "ABSENT",
        "UNREACHABLE",
        "NACK",
        "REJCTD",
        "5",
    ],
)
def test_a_word_for_what_did_not_arrive_is_understood(word: str) -> None:
    """D12: it is known at once, not when the receipt is overdue."""
    found = parse_receipt(of(f"id:1 sub:001 dlvrd:000 stat:{word} err:002 text:"))
    assert found is not None
    assert found.state is ReceiptState.UNDELIVERED


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("DLVRD", ReceiptState.DELIVERED),
        ("SUCCESS", ReceiptState.DELIVERED),
        ("2", ReceiptState.DELIVERED),
        ("BUFFRED", None),
        ("QUEUED", None),
        ("SENT", None),
        ("1", None),
    ],
)
def test_other_words_of_gateways_are_understood(word: str, state: ReceiptState | None) -> None:
    found = parse_receipt(of(f"id:1 stat:{word}"))
    assert found is not None
    assert found.state is state


@pytest.mark.parametrize("word", ["NEVER", "77", "9999", "A", ""])
def test_a_word_that_says_nothing_is_still_malformed(word: str) -> None:
    with pytest.raises(MalformedError):
        parse_receipt(of(f"id:1 stat:{word}"))
