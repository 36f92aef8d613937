"""Reading what HTTP APIs answer and post: whatever it is, it is a value or a refusal, never a fault."""

from __future__ import annotations

import pytest

from countersign.errors import InputError
from countersign.providers.http.client import MAX_BODY
from countersign.providers.http.payload import error_code, json_at, json_list_at, parse_form, parse_json

DOCUMENT = {"messages": [{"id": "m-1", "status": {"code": 5}}], "name": "x"}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("name",), "x"),
        (("messages", 0, "id"), "m-1"),
        (("messages", 0, "status", "code"), 5),
        (("messages", 1, "id"), None),
        (("messages", "id"), None),
        (("name", "x"), None),
        ((0,), None),
        ((), DOCUMENT),
    ],
)
def test_a_path_leads_to_a_value_or_to_none(path: tuple[str | int, ...], found: object) -> None:
    assert json_at(DOCUMENT, *path) == found


def test_a_list_that_is_none_is_empty() -> None:
    assert json_list_at(DOCUMENT, "messages") == DOCUMENT["messages"]
    assert json_list_at(DOCUMENT, "name") == []
    assert json_list_at(None, "messages") == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 60_000, b"\xff", b'"' + b"x" * MAX_BODY + b'"'],
    ids=["empty", "cut", "deep", "utf-8", "long"],
)
def test_what_is_no_json_is_none(body: bytes) -> None:
    assert parse_json(body) is None


@pytest.mark.parametrize(
    ("value", "code"), [(7, 7), ("30003", 30003), ("", 0), (None, 0), ("3e4", 0), ("\u0663", 0), ("1" * 10, 0), ([], 0)]
)
def test_an_error_code_is_a_number_or_a_text_of_digits(value: object, code: int) -> None:
    assert error_code(value) == code


def test_a_form_is_read_in_its_order_with_empty_fields() -> None:
    assert parse_form(b"b=2&a=&b=%C3%9F") == [("b", "2"), ("a", ""), ("b", "ß")]
    assert parse_form(b"") == []


@pytest.mark.parametrize("body", [b"no form", b"a=\xff", b"&".join([b"a=1"] * 201), b"a=" + b"x" * MAX_BODY])
def test_what_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        parse_form(body)
