"""The short way of the hot routes: the same answers as by the usual way, in the order of the requests."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.web.served import Served
from tests.web.wire import BEGIN, CLOSE, JSON, UNKNOWN, Reply, begin, replies, request, talk

from countersign.web.http.application import WebApplication


@pytest.fixture
def hot(app: WebApplication, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that were answered on the short way."""
    answered: list[str] = []
    answer = app.hot_routes.answer

    def noted(*args: Any) -> Awaitable[Any]:
        answered.append(args[2]["path"])
        return answer(*args)

    monkeypatch.setattr(app.hot_routes, "answer", noted)
    return answered


async def test_requests_that_are_sent_ahead_are_answered_in_order(place: Served, hot: list[str]) -> None:
    """Pipelining (RFC 9112, 9.3.2), over routes of both ways."""
    sent = [
        request(place, "POST", BEGIN, begin("one@example.org"), JSON),
        request(place, "POST", UNKNOWN, b'{"code": "123456"}', JSON),
        request(place, "GET", "/health/live"),
        request(place, "POST", BEGIN, begin("two@example.org"), JSON),
        request(place, "GET", "/sign-in"),
        request(place, "POST", BEGIN, b"{", JSON + CLOSE),
    ]
    found = replies(await talk(place, b"".join(sent)))
    assert [reply.status for reply in found] == [201, 404, 200, 201, 200, 400]
    assert (found[0].json["to"], found[3].json["to"]) == ("o***@example.org", "t***@example.org")
    assert hot  # the first at least


async def test_a_request_in_single_bytes_is_the_same_request(place: Served, hot: list[str]) -> None:
    sent = request(place, "POST", BEGIN, begin("ada@example.org"), JSON + CLOSE)
    (answer,) = replies(await talk(place, *(sent[n : n + 1] for n in range(len(sent)))))
    assert answer.status == 201
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    for byte in sent.replace(CLOSE.encode(), b""):
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await reader.readline()).startswith(b"HTTP/1.1 20")
    writer.close()
    assert len(hot) <= 2


async def test_what_is_no_http_after_a_request_does_not_take_its_answer(place: Served) -> None:
    sent = request(place, "POST", BEGIN, begin("ada@example.org"), JSON) + b"nonsense\r\n\r\n"
    (answer,) = replies(await talk(place, sent))
    assert (answer.status, answer.headers["connection"]) == (201, "close")


Sent = tuple[str, bytes, str, str | None]
SAME: dict[str, Callable[[Served], Sent]] = {
    "begun": lambda _: (BEGIN, begin("ada@example.org"), JSON, None),
    "without a key": lambda _: (BEGIN, begin("ada@example.org"), JSON, ""),
    "with a wrong key": lambda _: (BEGIN, begin("ada@example.org"), JSON, "csk_test_nobodys"),
    "not in JSON": lambda _: (BEGIN, b"to=ada", "Content-Type: text/plain\r\n", None),
    "no type": lambda _: (BEGIN, begin("ada@example.org"), "", None),
    "broken JSON": lambda _: (BEGIN, b'{"to": ', JSON, None),
    "no UTF-8": lambda _: (BEGIN, b'{"to": "\xff"}', JSON, None),
    "an unknown field": lambda _: (BEGIN, b'{"to": "ada@example.org", "chanel": "sms"}', JSON, None),
    "nothing": lambda _: (BEGIN, b"", JSON, None),
    "too large": lambda _: (BEGIN, b'{"to": "' + b"a" * 70_000 + b'"}', JSON, None),
    "nobody's address": lambda _: (BEGIN, begin("ada"), JSON, None),
    "an idempotency key": lambda _: (BEGIN, begin("ada@example.org"), f"{JSON}Idempotency-Key: one\r\n", None),
    "a broken idempotency key": lambda _: (BEGIN, begin("a@example.org"), f"{JSON}Idempotency-Key: \t\r\n", None),
    "compressed": lambda _: (BEGIN, b"x", f"{JSON}Content-Encoding: gzip\r\n", None),
    "an unknown id": lambda _: (UNKNOWN, b'{"code": "123456"}', JSON, None),
    "no id": lambda _: (f"{BEGIN}/ver_x/check", b'{"code": "123456"}', JSON, None),
    "a blank code": lambda _: (UNKNOWN, b'{"code": "  "}', JSON, None),
    "behind a proxy that is not trusted": lambda _: (
        UNKNOWN,
        b'{"code": "1"}',
        f"{JSON}X-Forwarded-Proto: https\r\n",
        None,
    ),
    "a query": lambda _: (f"{BEGIN}?to=x", begin("ada@example.org"), JSON, None),
}


@pytest.mark.parametrize("case", SAME)
async def test_both_ways_to_a_hot_route_answer_alike(place: Served, hot: list[str], case: str) -> None:
    """The same handlers, the same errors, the same headers: whole in one piece, or with the body after the head."""
    path, body, headers, key = SAME[case](place)
    sent = request(place, "POST", path, body, headers + CLOSE, key=key)
    cut = len(sent) - len(body)
    (short,) = replies(await talk(place, sent))
    assert hot
    hot.clear()
    another = short.status == 201 and "Idempotency" not in headers
    again = body.replace(b"ada", b"abe") if another else body  # somebody whose address is masked alike
    parts = (sent[:cut], again) if body else (sent.replace(b" HTTP/1.1", b" HTTP/1.0"),)
    (long,) = replies(await talk(place, *parts, pause=0.05))
    assert not hot
    assert _comparable(short) == _comparable(long)


def _comparable(reply: Reply) -> tuple[int, dict[str, str], str]:
    """Return what two equal requests are answered with alike: without times and counts."""
    headers = {
        name: value for name, value in reply.headers.items() if name not in {"date", "content-length", "location"}
    }
    if "ratelimit" in headers:
        headers["ratelimit"] = re.sub(r"[rt]=\d+", "", headers["ratelimit"])
    body = re.sub(r'"(\w+_at|id|reference)":"[^"]*"|"state":"\w+"|"delivery":\{[^}]*\}', "", reply.body.decode())
    return reply.status, headers, body


async def test_a_code_is_checked_on_the_short_way(place: Served, hot: list[str]) -> None:
    """C1: the same flow, from begin to check, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(request(place, "POST", BEGIN, begin("ada@example.org"), JSON))
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None
    begun = json.loads(await reader.readexactly(int(length[1])))
    writer.write(request(place, "POST", f"{BEGIN}/{begun['id']}/check", b'{"code": "000000"}', JSON + CLOSE))
    (checked,) = replies(await reader.read())
    assert (checked.status, checked.json["refusal"]) == (200, "wrong_code")
    assert hot == [BEGIN, f"{BEGIN}/{begun['id']}/check"]
    writer.close()
