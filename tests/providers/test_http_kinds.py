"""What holds for every provider alike: it takes a message, sorts every way to fail, and shows nothing secret."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.providers.contexts import flat
from tests.providers.http_peers import HTTP_KINDS, SECRETS, TAKEN, WITH_RECEIPTS, Gateway, make, sample

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers.registry import MODULES, find_kind
from countersign.setting import settings_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.providers.peers import StartServer

    from countersign.providers import Provider

pytestmark = pytest.mark.parametrize("kind", HTTP_KINDS)


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def provider(kind: str, gateway: Gateway, start_tcp_server: StartServer) -> AsyncIterator[Provider]:
    made = make(kind, await start_tcp_server(gateway))
    yield made
    await made.close()


async def refused(provider: Provider) -> DeliveryFailedError:
    with pytest.raises(DeliveryFailedError) as caught:
        await provider.send(sample(provider))
    assert "481516" not in str(caught.value)
    assert "1701234567" not in str(caught.value)
    assert not any(str(value) in str(caught.value) for value in SECRETS.values())
    return caught.value


async def test_it_returns_the_providers_own_id_and_when_its_receipt_is_overdue(
    kind: str, provider: Provider, gateway: Gateway
) -> None:
    status, body, identifier = TAKEN[kind]
    gateway.answer(status, body)
    word = await provider.send(sample(provider))
    assert word.provider_message_id == identifier
    assert word.receipt_within == (60_000 if kind in WITH_RECEIPTS else None)


async def test_no_receipt_is_waited_for_where_none_can_come(
    kind: str, gateway: Gateway, start_tcp_server: StartServer
) -> None:
    status, body, _ = TAKEN[kind]
    gateway.answer(status, body)
    provider = make(kind, await start_tcp_server(gateway), callback="")
    word = await provider.send(sample(provider))
    assert word.receipt_within is None
    assert b"v1/receipts" not in gateway.posted[0][2]
    await provider.close()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 60_000, b'{"sid": 7}', b"<MessageId>", b"\xff" * 100_000])
async def test_an_answer_that_says_nothing_is_still_a_yes(
    kind: str, provider: Provider, gateway: Gateway, body: bytes
) -> None:
    """D2: what was taken is not sent again because its answer is strange."""
    gateway.answer(TAKEN[kind][0], body)
    word = await provider.send(sample(provider))
    assert word.provider_message_id in {"", sample(provider).key}


@pytest.mark.parametrize(
    ("status", "headers", "reason", "permanent", "rest"),
    [
        (429, "", Reason.THROTTLED, False, None),
        (429, "retry-after: 7\r\n", Reason.THROTTLED, False, 7),
        (503, "retry-after: 9\r\n", Reason.THROTTLED, False, 9),
        (503, "", Reason.PROVIDER_ERROR, False, None),
        (500, "", Reason.PROVIDER_ERROR, False, None),
        (408, "", Reason.PROVIDER_ERROR, False, None),
        (401, "", Reason.MISCONFIGURED, True, None),
        (403, "", Reason.MISCONFIGURED, True, None),
        (404, "", Reason.MISCONFIGURED, True, None),
        (302, "location: https://elsewhere.example/\r\n", Reason.MISCONFIGURED, True, None),
    ],
)
async def test_a_status_without_a_word_is_sorted(
    kind: str,
    provider: Provider,
    gateway: Gateway,
    status: int,
    headers: str,
    reason: Reason,
    permanent: bool,  # noqa: FBT001
    rest: int | None,
) -> None:
    """D2."""
    assert kind in MODULES
    gateway.answer(status, b"", headers)
    error = await refused(provider)
    assert (error.reason, error.permanent, error.retry_after) == (reason, permanent, rest)
    assert len(gateway.posted) == 1  # a redirect is not followed


async def _hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(1 << 16)
    await asyncio.sleep(30)


async def _hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1 << 16)
    writer.transport.abort()


async def _breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1 << 16)
    writer.write(b'HTTP/1.1 201 Created\r\ncontent-length: 400\r\n\r\n{"si')
    await writer.drain()
    writer.close()


async def _speaks_another_language(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1 << 16)
    writer.write(b"220 mail.example.org ESMTP\r\n")
    await writer.drain()
    await asyncio.sleep(0.1)


async def _drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1 << 16)
    writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 400\r\n\r\n")
    for _ in range(100):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        (_hangs, {Reason.TIMED_OUT}),
        (_drips, {Reason.TIMED_OUT}),
        (_hangs_up, {Reason.UNREACHABLE, Reason.PROVIDER_ERROR}),
        (_breaks_off, {Reason.PROVIDER_ERROR}),
        (_speaks_another_language, {Reason.PROVIDER_ERROR}),
    ],
)
async def test_a_broken_line_is_tried_again_later_within_the_bound(
    kind: str, start_tcp_server: StartServer, fault: Callable[..., Any], reasons: set[Reason]
) -> None:
    """D2: latency, half-open, reset, cut in the middle of an answer, no HTTP at all."""
    provider = make(kind, await start_tcp_server(fault), timeout=0.5)
    async with asyncio.timeout(2):
        error = await refused(provider)
    assert error.reason in reasons
    assert not error.permanent
    await provider.close()


async def test_nobody_there_is_tried_again_later(kind: str) -> None:
    provider = make(kind, 9)
    error = await refused(provider)
    assert (error.reason, error.permanent) == (Reason.UNREACHABLE, False)
    await provider.close()


async def test_after_a_fault_the_next_message_goes_through(kind: str, start_tcp_server: StartServer) -> None:
    gateway, turn = Gateway(), iter(range(9))
    gateway.answer(*TAKEN[kind][:2])

    async def first_hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (_hangs_up if next(turn) == 0 else gateway)(reader, writer)

    provider = make(kind, await start_tcp_server(first_hangs_up))
    await refused(provider)
    assert (await provider.send(sample(provider))).provider_message_id == TAKEN[kind][2]
    await provider.close()


def test_what_cannot_work_stops_the_start_and_shows_no_secret(kind: str) -> None:
    good = {"url": "https://gateway.example.org", **SECRETS[kind]}
    struct = find_kind(kind).settings
    assert "of-tests" not in repr(flat(struct, **good))
    broken: list[dict[str, Any]] = [
        {name: "a\r\nb"} for name in ("access_token", "api_key", "auth_token") if name in good
    ]
    wrong: tuple[dict[str, Any], ...] = (
        {"url": "http://gateway.example.org"},
        {"url": "https://name:word@gateway.example.org"},
        {"url": "ftp://gateway.example.org"},
        {"timeout": 0.0},
        {"timeout": 45.0},
        {"connections": 0},
        *[{"receipt_within": 0} for setting in settings_of(struct) if setting.name == "receipt_within"],
        *[{name: ""} for name in SECRETS[kind] if name not in {"app_secret", "verify_token", "signature_secret", "languages"}],
        *broken,
    )  # fmt: skip
    for change in wrong:
        if kind == "sns" and "sender" in change:
            continue
        with pytest.raises(SettingsError) as caught:
            flat(struct, **{**good, **change})
        assert "of-tests" not in str(caught.value)
