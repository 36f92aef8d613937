"""PDUs, segments and receipts of SMPP as the specification has them, whatever they hold."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.delivery.delivery import Reason, ReceiptState
from countersign.domain.delivery.sms_segments import (
    ESCAPE,
    GSM_7,
    GSM_7_EXTENSION,
    encode_gsm_7,
    encode_ucs_2,
    split_segments,
)
from countersign.messages.channels.sms_size import segments
from countersign.providers.smpp.pdu import (
    HEADER,
    MAX_PDU,
    MESSAGE_PAYLOAD,
    MESSAGE_STATE,
    NETWORK_ERROR_CODE,
    RECEIPTED_MESSAGE_ID,
    Address,
    MalformedError,
    Pdu,
    ShortMessage,
    body_length,
    decode,
    decode_message_id,
    decode_short_message,
    encode_bind,
)
from countersign.providers.smpp.provider import address_of
from countersign.providers.smpp.receipt import SmppReceipt, parse_receipt, spellings
from countersign.providers.smpp.status import failure_of_status

octet = st.integers(0, 255)
word = st.integers(0, 2**32 - 1)
c_text = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=20)
addresses = st.builds(Address, octet, octet, c_text)
short_messages = st.builds(
    ShortMessage,
    source=addresses,
    destination=addresses,
    text=st.binary(max_size=254),
    service_type=c_text,
    esm_class=octet,
    protocol_id=octet,
    priority=octet,
    scheduled=c_text,
    validity=c_text,
    registered_delivery=octet,
    replace=octet,
    data_coding=octet,
    default_message=octet,
    parameters=st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=300), max_size=4),
)


@given(st.builds(Pdu, word, word, word, st.binary(max_size=300)))
def test_a_pdu_is_read_as_it_was_written(pdu: Pdu) -> None:
    octets = pdu.encode()
    assert body_length(octets[:HEADER]) == len(octets) - HEADER
    assert decode(octets[:HEADER], octets[HEADER:]) == pdu


@given(short_messages)
def test_the_body_of_a_message_is_read_as_it_was_written(message: ShortMessage) -> None:
    assert decode_short_message(message.encode()) == message


@given(short_messages, st.data())
def test_a_body_that_was_cut_is_malformed_or_lacks_its_parameters(message: ShortMessage, data: st.DataObject) -> None:
    octets = message.encode()
    with contextlib.suppress(MalformedError):
        found = decode_short_message(octets[: data.draw(st.integers(0, len(octets) - 1))])
        assert len(found.parameters) < len(message.parameters)


@given(st.binary(max_size=400))
def test_whatever_comes_is_read_or_malformed(octets: bytes) -> None:
    for read in (lambda body: parse_receipt(decode_short_message(body)), decode_message_id):
        with contextlib.suppress(MalformedError):
            read(octets)


@given(short_messages)
def test_whatever_a_receipt_holds_is_told_or_malformed(message: ShortMessage) -> None:
    with contextlib.suppress(MalformedError):
        found = parse_receipt(message)
        assert found is None or spellings(found.id, "same")


@pytest.mark.parametrize("length", [0, 15, MAX_PDU + 1, 2**32 - 1])
def test_a_length_that_cannot_be_is_malformed(length: int) -> None:
    with pytest.raises(MalformedError):
        body_length(length.to_bytes(4, "big") + bytes(12))


def test_a_bind_is_written_as_the_specification_shows() -> None:
    body = encode_bind("SMPP3TEST", "secret08", "SUBMIT1")
    assert body == b"SMPP3TEST\0secret08\0SUBMIT1\0\x34\0\0\0"
    assert Pdu(9, 1, body=body).encode()[:HEADER] == bytes.fromhex("0000002f000000090000000000000001")
    assert "secret" not in repr(Pdu(9, 1, body=body))


def test_every_character_of_the_alphabet_has_its_place() -> None:
    """D3: the table of TS 23.038, by its corners."""
    assert encode_gsm_7("@\r ¡¿à") == bytes((0x00, 0x0D, 0x20, 0x40, 0x60, 0x7F))
    assert encode_gsm_7("ΞÆ_Δ") == bytes((0x1A, 0x1C, 0x11, 0x10))
    assert encode_gsm_7("\f^{}\\[~]|€") == bytes.fromhex("1b0a1b141b281b291b2f1b3c1b3d1b3e1b401b65")
    assert sorted(encode_gsm_7(GSM_7)) == [place for place in range(128) if place != ESCAPE]


@given(st.text(max_size=500) | st.text(alphabet=GSM_7 + GSM_7_EXTENSION, max_size=900))
def test_the_parts_are_the_text_and_each_is_within_its_bound(text: str) -> None:
    """D3: as many as are counted, and no escape or surrogate pair is parted."""
    found = split_segments(text)
    assert "".join(found.parts) == text
    assert len(found.parts) == segments(text).segments
    alone = len(found.parts) == 1
    for part in found.parts:
        octets = encode_gsm_7(part) if found.gsm_7 else encode_ucs_2(part)
        assert len(octets) <= (160 if alone else 153) if found.gsm_7 else (140 if alone else 134)
        assert alone or part
        if found.gsm_7:
            assert not octets.endswith(bytes((ESCAPE,)))
        else:
            assert octets.decode("utf-16-be") == part


def of(text: str, esm_class: int = 4, coding: int = 0, **parameters: bytes) -> ShortMessage:
    """Return a deliver_sm with that text."""
    tags = {
        "id": RECEIPTED_MESSAGE_ID,
        "state": MESSAGE_STATE,
        "network": NETWORK_ERROR_CODE,
        "payload": MESSAGE_PAYLOAD,
    }
    return ShortMessage(
        source=Address(1, 1, "1"),
        destination=Address(1, 1, "2"),
        text=text.encode("utf-16-be" if coding == 8 else "latin-1"),
        esm_class=esm_class,
        data_coding=coding,
        parameters={tags[name]: value for name, value in parameters.items()},
    )


ARRIVED = ReceiptState.DELIVERED
LOST = ReceiptState.UNDELIVERED


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            of("id:0123 sub:001 dlvrd:001 submit date:2611251200 done date:2611251201 stat:DELIVRD err:000 text:Code"),
            SmppReceipt("0123", ARRIVED, error="000"),
        ),
        (of("ID:a-b STAT:delivered"), SmppReceipt("a-b", ARRIVED)),
        (of("stat:UNDELIV err:1B id:7"), SmppReceipt("7", LOST, Reason.NO_SIGNAL, "1B")),
        (of("id: 7, status: EXPIRED"), SmppReceipt("7", LOST, Reason.NO_SIGNAL)),
        (of("id:7 stat:DELETED"), SmppReceipt("7", LOST, Reason.REFUSED)),
        (of("id:7 stat:REJECTD"), SmppReceipt("7", LOST, Reason.REFUSED)),
        (of("id:7 stat:UNKNOWN"), SmppReceipt("7", LOST, Reason.NO_RECEIPT)),
        (of("id:7 stat:ACCEPTD"), SmppReceipt("7", None)),
        (of("id:7 stat:ENROUTE", esm_class=0x20), SmppReceipt("7", None)),
        (of("message_id:7 state:DELIVRD"), SmppReceipt("7", ARRIVED)),
        (of("id:7 stat:DELIVRD", coding=8), SmppReceipt("7", ARRIVED)),
        (of("", payload=b"id:7 stat:DELIVRD"), SmppReceipt("7", ARRIVED)),
        (of("", id=b"7\0", state=b"\2"), SmppReceipt("7", ARRIVED)),
        (of("", esm_class=0, id=b"7\0", state=b"\2"), SmppReceipt("7", ARRIVED)),
        (of("id:8 stat:DELIVRD", id=b"7\0", state=b"\5"), SmppReceipt("7", LOST, Reason.NO_SIGNAL)),
        (of("id:7 stat:UNDELIV", network=b"\3\0\1"), SmppReceipt("7", LOST, Reason.UNKNOWN_RECIPIENT)),
        (of("id:7 stat:UNDELIV", network=b"\3\0\x20"), SmppReceipt("7", LOST, Reason.MAILBOX_FULL)),
        (of("id:7 stat:UNDELIV", network=b"\1\0\1"), SmppReceipt("7", LOST, Reason.NO_SIGNAL)),
        (of("id:7 stat:UNDELIV text:id:9 stat:DELIVRD"), SmppReceipt("7", LOST, Reason.NO_SIGNAL)),
        (of("text:hello id:7 stat:DELIVRD"), SmppReceipt("7", ARRIVED)),
        (of("id:7 stat:UNDELIV text:err:481516"), SmppReceipt("7", LOST, Reason.NO_SIGNAL)),
        (of("\5\0\3\1\1\1id:7 stat:DELIVRD", esm_class=0x44), SmppReceipt("7", ARRIVED)),
        (of("STOP", esm_class=0), None),
        (of("id:7 stat:DELIVRD", esm_class=0), None),
    ],
)
def test_a_receipt_is_understood_as_smscs_write_it(message: ShortMessage, expected: SmppReceipt | None) -> None:
    assert parse_receipt(message) == expected


@pytest.mark.parametrize(
    "message", [of(""), of("id:7"), of("stat:DELIVRD"), of("id:7 stat:NEVER"), of(f"id:{'7' * 65} stat:DELIVRD")]
)
def test_a_receipt_that_says_nothing_of_a_message_is_malformed(message: ShortMessage) -> None:
    with pytest.raises(MalformedError):
        parse_receipt(message)


@pytest.mark.parametrize(
    ("identifier", "ids", "expected"),
    [("00Ab", "same", {"00Ab", "00ab", "00AB", "Ab"}), ("171", "decimal", {"ab", "AB", "000000ab", "000000AB"}),
     ("ab", "hex", {"171", "0000000171"}), ("0xAB", "hex", {"171", "0000000171"}), ("0", "same", {"0"})],
)  # fmt: skip
def test_an_id_is_looked_for_in_the_spellings_of_its_setting(identifier: str, ids: str, expected: set[str]) -> None:
    assert set(spellings(identifier, ids)) == expected


@pytest.mark.parametrize(
    ("sender", "expected"),
    [("+4915112345678", (1, 1, "4915112345678")), ("4915112345678", (1, 1, "4915112345678")), ("78787", (3, 0, "78787")),
     ("+123", (1, 1, "123")), ("My Shop", (5, 0, "My Shop"))],
)  # fmt: skip
def test_a_sender_has_its_type_and_plan(sender: str, expected: tuple[int, int, str]) -> None:
    assert address_of(sender) == Address(*expected)


@pytest.mark.parametrize(
    ("statuses", "reason", "permanent"),
    [
        ({0x14, 0x58}, Reason.THROTTLED, False),
        ({0x0A, 0x0E, 0x0F, 0x48, 0x49, 0x53}, Reason.MISCONFIGURED, True),
        ({0x05, 0x0D}, Reason.MISCONFIGURED, False),
        ({0x01, 0x0B, 0x65, 0x66, 0xFE}, Reason.REFUSED, True),
        ({0x101}, Reason.BLOCKED, True),
        ({0x04, 0x08, 0x0C, 0x45, 0x64, 0xFF, 0x400, 0x4FF, 0xDEAD}, Reason.PROVIDER_ERROR, False),
    ],
)
def test_every_status_is_sorted(statuses: set[int], reason: Reason, *, permanent: bool) -> None:
    """D2: what is not in the specification is temporary."""
    for status in statuses:
        failure = failure_of_status(status)
        assert (failure.reason, failure.permanent) == (reason, permanent)
