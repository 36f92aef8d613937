"""What no contract allows is refused in bounded time and memory, by the path of what is wrong and never by its value."""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.web.client import Client, assert_problem

from countersign.web.http.request import MAX_BODY
from countersign.wiring import Runtime

BEGIN = "/v1/verifications"
SECRET = "Zq7secret"

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(autouse=True)
def _in_bounded_time() -> Iterator[None]:
    gc.disable()  # a collection looks at all that the tests before have left, and takes a second
    began = time.process_time()  # not the clock of the wall, which other tests slow down; what hangs meets the timeout
    try:
        yield
        assert time.process_time() - began < 2
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "to", "required"),
        ({"to": 14155552671}, "to", "wrong_type"),
        ({"to": None}, "to", "wrong_type"),
        ({"to": ["ada@example.org"]}, "to", "wrong_type"),
        ({"to": ""}, "to", "too_short"),
        ({"to": SECRET * 100}, "to", "too_long"),
        ({"to": "ada@example.org", "chanel": SECRET}, "chanel", "unknown_field"),
        ({"to": "ada@example.org", SECRET: 1}, "body", "unknown_field"),
        ({"to": "ada@example.org", "channel": SECRET}, "channel", "malformed"),
        ({"to": "ada@example.org", "purpose": SECRET * 10}, "purpose", "too_long"),
        ({"to": "ada@example.org", "subject": 42}, "subject", "wrong_type"),
        ({"to": "ada@example.org", "subject": "x" * 201}, "subject", "too_long"),
        ({"to": "ada@example.org", "subject": "a\x00b"}, "subject", "malformed"),
        ({"to": "ada@example.org", "subject": "a\r\nSet-Cookie: b"}, "subject", "malformed"),
        ({"to": "ada@example.org", "action": SECRET}, "action", "wrong_type"),
        ({"to": "ada@example.org", "action": {"summary": "x" * 201}}, "action.summary", "too_long"),
        ({"to": "ada@example.org", "action": {"summary": "Pay\n5"}}, "action.summary", "malformed"),
        ({"to": "ada@example.org", "action": {"summary": "Pay \u202e5 RUE"}}, "action.summary", "malformed"),
        ({"to": "ada@example.org", "action": {"hash": "x" * 201}}, "action.hash", "too_long"),
        ({"to": "ada@example.org", "action": {"sum": 1}}, "action.sum", "unknown_field"),
        ({"to": "ada@example.org", "locale": "de__DE"}, "locale", "malformed"),
        ({"to": "ada@example.org", "locale": "de\n"}, "locale", "malformed"),
        ({"to": "ada@example.org", "requester": {"ip": "999.1.1.1"}}, "requester.ip", "malformed"),
        ({"to": "ada@example.org", "requester": {"ip": "fe80::1%\u0000"}}, "requester.ip", "malformed"),
        ({"to": "ada@example.org", "requester": {"user_agent": "x" * 1001}}, "requester.user_agent", "too_long"),
        ({"to": "ada@example.org", "requester": {"user_agent": "x\x1b[2J"}}, "requester.user_agent", "malformed"),
        ({"to": "ada@example.org", "requester": {"device": "x" * 201}}, "requester.device", "too_long"),
        ([], "body", "wrong_type"),
        ("ada@example.org", "body", "wrong_type"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_by_its_path(
    client: Client, runtime: Runtime, body: object, field: str, reason: str
) -> None:
    """H3: wrong types, unknown fields and texts out of bounds are a 400 that names the place and repeats no value."""
    answer = await client.post(BEGIN, body)
    assert_problem(answer, 400, "malformed")
    assert (answer.json["field"], answer.json["reason"]) == (field, reason)
    assert SECRET not in answer.body.decode()
    assert runtime.core.ledger.waiting == 0


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("ada", "malformed"),
        ("ada@", "malformed"),
        ("@example.net", "malformed"),
        ("ada@example.org\r\nBcc: eve@example.org", "malformed"),
        ("ada\x00@example.org", "malformed"),
        ("ada@exam\u200bple.org", "malformed"),
        ('"ada\\"@example.org', "malformed"),
        ("ada@[127.0.0.1]", "malformed"),
        ("ada@ex\u0430mple.org", "mixed_scripts"),
        ("\u0430da@example.org", "mixed_scripts"),
        ("4155552671", "malformed"),
        ("+1", "malformed"),
        ("+1415", "short_number"),
        ("+14155552671;ext=5", "malformed"),
        ("+19002345678", "premium_number"),
        ("+881612345678", "satellite_number"),
        ("+18002345678", "not_a_mobile_number"),
        ("+999999999999999999", "malformed"),
    ],
)
async def test_a_destination_nobody_is_reached_at_says_why(client: Client, to: str, reason: str) -> None:
    answer = await client.post(BEGIN, {"to": to})
    assert_problem(answer, 422, "unusable-destination")
    assert answer.json["reason"] == reason
    assert answer.json["field"] == "to"
    assert len(to) < 8 or to not in answer.json["detail"]


async def test_two_spellings_of_a_look_alike_do_not_meet(client: Client) -> None:
    latin = await client.begin("ada@example.org")
    cyrillic = await client.begin("\u0430\u0434\u0430@\u043f\u0440\u0438\u043c\u0435\u0440.org")
    assert latin["id"] != cyrillic["id"]


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"nonsense",
        b'{"to": "ada@example.org"} more',
        b'{"to": "a\x00b"}',
        b'{"to": "\\ud800"}',
        b'{"to": "\xff\xfe"}',
        b'{"\xff": 1}',
        b"\xef\xbb\xbf{}",
        b'{"to": NaN}',
        b"[" * 60_000,
        b'{"to":' * 10_000,
        b'{"action":' + b'{"summary":' * 5_000,
        b'{"x":' + b"[" * 60_000,
    ],
    ids=lambda raw: repr(raw[:16]),
)
async def test_what_is_no_json_is_refused_at_once(client: Client, raw: bytes) -> None:
    """H3: bad UTF-8, half surrogates, deep nesting and plain nonsense are a 400."""
    began = time.process_time()
    answer = await client.post(BEGIN, raw=raw)
    assert_problem(answer, 400, "malformed")
    assert time.process_time() - began < 2


async def test_a_long_body_is_refused_before_it_is_read(client: Client) -> None:
    """H3: 10 MB are not taken in to be thrown away."""
    raw = b'{"to": "' + b"a" * 10_000_000 + b'"}'
    tracemalloc.start()
    answer = await client.post(BEGIN, raw=raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert_problem(answer, 413, "too-large")
    assert peak < 1_000_000


async def test_a_long_body_without_a_length_is_left_at_the_bound(client: Client) -> None:
    read = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(10_000):
            read += 1_000
            yield b"a" * 1_000

    answer = await client.post(BEGIN, parts=parts())
    assert_problem(answer, 413, "too-large")
    assert read <= MAX_BODY + 1_000


async def test_a_body_in_parts_is_put_together(client: Client) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for byte in json.dumps({"to": "ada@example.org"}).encode():
            yield bytes([byte])

    assert (await client.post(BEGIN, parts=parts())).status == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/jsonp"},
        {"content-type": ""},
        {"content-encoding": "gzip"},
    ],
)
async def test_what_is_not_said_to_be_json_is_refused(client: Client, headers: dict[str, str]) -> None:
    assert_problem(await client.post(BEGIN, {"to": "ada@example.org"}, headers=headers), 415, "not-json")


async def test_json_in_other_words_is_json(client: Client) -> None:
    headers = {"content-type": "Application/JSON ; charset=UTF-8"}
    assert (await client.post(BEGIN, {"to": "ada@example.org"}, headers=headers)).status == 201


@pytest.mark.parametrize("length", ["-1", "1e3", "99999999999999999999999999", "0x10"])
async def test_a_length_that_is_none_is_refused(client: Client, length: str) -> None:
    answer = await client.post(BEGIN, {"to": "ada@example.org"}, headers={"content-length": length})
    assert_problem(answer, 413, "too-large")


@pytest.mark.parametrize(
    "id_", ["x", "ver_", "ver_%00", "ver_0000000000000000000000000u", "ver_" + "0" * 500, "..", "\u0430"]
)
async def test_an_id_that_cannot_be_one_is_unknown(client: Client, id_: str) -> None:
    assert_problem(await client.get(f"/v1/verifications/{id_}"), 404, "missing")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/verifications", "POST"),
        ("DELETE", "/v1/verifications/ver_00000000000000000000000000", "GET, HEAD"),
        ("POST", "/health/live", "GET, HEAD"),
        ("BREW", "/v1/verifications", "POST"),
    ],
)
async def test_a_method_an_address_does_not_take_is_told(client: Client, method: str, path: str, allow: str) -> None:
    answer = await client.ask(method, path)
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize(
    "path",
    ["/v1/", "/v1/nothing", "/v1/verifications/", "/v1/verifications/a/b/c", "/v1/verifications/a/b", "/nothing"],
)
async def test_an_address_there_is_not_is_a_problem_too(client: Client, path: str) -> None:
    """H1: also where no endpoint was reached."""
    answer = await client.get(path)
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == 404


async def test_text_of_every_script_is_welcome(client: Client) -> None:
    for summary in (
        "Zahlung über 5\u00a0€ an Jürgen",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0928\u093e\u092e",
        "👩\u200d🚀",
    ):
        assert (await client.begin(subject=summary, action={"summary": summary}))["status"] == "pending"
