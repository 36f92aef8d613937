"""Hosts are looked up in threads of their own: a DNS that is silent holds up its own names alone, and passes for no server that hangs."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.providers.contexts import context
from tests.providers.peers import message

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError
from countersign.providers.email.smtp import SmtpProvider, SmtpSettings
from countersign.providers.http.client import Endpoint, HttpClient
from countersign.providers.http.name_lookup import THREADS, find_addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

HANGS = "hangs.example"


class SilentDns:
    """The resolver of a machine whose DNS server says nothing about one host, until it `answers`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.answers = threading.Event()
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, *args: Any, **more: Any) -> list[Any]:
        if host.endswith(HANGS):
            self.asked += 1
            self.answers.wait(20)
            host = "127.0.0.1"
        return list(self._real(host, *args, **more))


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentDns]:
    """Such a resolver; it answers at the end, so that no thread is left."""
    made = SilentDns(monkeypatch)
    yield made
    made.answers.set()


async def refusal(client: HttpClient) -> DeliveryFailedError:
    with pytest.raises(DeliveryFailedError) as caught:
        await client.post(f"https://{HANGS}/x", {}, b"")
    return caught.value


async def test_a_dns_that_is_silent_is_not_taken_for_a_server_that_hangs(silent: SilentDns) -> None:
    """D2: the operator looks in the right place, and no time-out of the server is learned from it."""
    client = HttpClient(Endpoint(label="Acme", url=f"https://{HANGS}", timeout=0.1))
    failures = await asyncio.gather(*(refusal(client) for _ in range(40)))
    assert {(one.reason, one.permanent) for one in failures} == {(Reason.UNREACHABLE, False)}
    assert all("DNS" in str(one) for one in failures)
    assert silent.asked == 1, "all of them wait for one look-up"
    await client.close()


async def test_mail_says_so_as_well(silent: SilentDns) -> None:
    """D2: it was "did not answer in time"."""
    given = SmtpSettings(host=HANGS, tls="none", from_address="codes@shop.example", timeout=0.2)
    provider = SmtpProvider(given, context())
    with pytest.raises(DeliveryFailedError, match="DNS") as caught:
        await provider.send(message())
    assert (caught.value.reason, caught.value.permanent) == (Reason.UNREACHABLE, False)
    assert silent.asked == 1
    await provider.close()


async def test_it_holds_up_nobody_else(silent: SilentDns) -> None:
    """D2: mail is signed in the threads that all share, and other hosts are looked up."""
    client = HttpClient(Endpoint(label="Acme", url=f"https://{HANGS}", timeout=0.2))
    waiting = [asyncio.create_task(refusal(client)) for _ in range(100)]
    while not silent.asked:  # noqa: ASYNC110 - a thread says so
        await asyncio.sleep(0)
    async with asyncio.timeout(0.15):
        assert await find_addresses("127.0.0.1", 80) == ["127.0.0.1"]
        assert await asyncio.to_thread(int, "7") == 7
    await asyncio.gather(*waiting)
    await client.close()


async def test_who_gives_up_leaves_the_look_up_to_the_others(silent: SilentDns) -> None:
    patient = asyncio.create_task(find_addresses(HANGS, 80))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await find_addresses(HANGS, 80)
    silent.answers.set()
    assert await patient == ["127.0.0.1"]
    assert silent.asked == 1
    assert await find_addresses(HANGS, 80) == ["127.0.0.1"]
    assert silent.asked == 2, "what is known is asked anew each time (DNS rebinding is the caller's to judge)"


async def test_many_silent_hosts_take_only_threads_of_their_own(silent: SilentDns) -> None:
    tasks = [asyncio.create_task(find_addresses(f"{n}.{HANGS}", 80)) for n in range(THREADS + 4)]
    await asyncio.sleep(0.02)
    async with asyncio.timeout(1):
        assert await asyncio.to_thread(int, "7") == 7
    silent.answers.set()
    assert await asyncio.gather(*tasks) == [["127.0.0.1"]] * len(tasks)
