"""Threat: a webhook is turned against the network it stands in, by its address, its name, or a name that changes."""

from __future__ import annotations

import asyncio
import base64
import socket
from ipaddress import ip_address
from typing import Any

import pytest
from tests.providers.contexts import context, flat
from tests.providers.peers import Authority, Hidden, StartServer, message

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError
from countersign.providers.http.ssrf_guard import is_allowed
from countersign.providers.webhook import WebhookProvider, WebhookSettings

PUBLIC = [
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]
PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1"),
    *("::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:c0a8:101::1"),
]
NEVER = [
    *("169.254.169.254", "169.254.1.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1"),
    *("192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "100.100.100.200", "168.63.129.16"),
    *("::", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "100::1", "fd00:ec2::254"),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_reached(address: str) -> None:
    assert is_allowed(ip_address(address), allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_may_be_reached_only_where_the_operator_says_so(address: str) -> None:
    assert not is_allowed(ip_address(address), allow_private=False)
    assert is_allowed(ip_address(address), allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_an_address_that_is_nobodys_server_is_never_reached(address: str) -> None:
    assert not is_allowed(ip_address(address), allow_private=False)
    assert not is_allowed(ip_address(address), allow_private=True)


def settings(url: str, **changes: object) -> WebhookSettings:
    secret = "whsec_" + base64.b64encode(b"s" * 32).decode()
    given: dict[str, Any] = {"url": url, "secret": secret, "allow_http": True, "timeout": 1.5}
    return flat(WebhookSettings, **{**given, **changes})


async def send(url: str, **changes: object) -> DeliveryFailedError | None:
    webhook = WebhookProvider(settings(url, **changes), context())
    try:
        await webhook.send(message())
    except DeliveryFailedError as failure:
        return failure
    finally:
        await webhook.close()
    return None


class Counted:
    """A receiver that says yes, and keeps the heads of what it got."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                line.split(": ")[1] for line in head.lower().split("\r\n") if line.startswith("content-length")
            )
            await reader.readexactly(int(length))
            self.heads.append(head)
            writer.write(b"HTTP/1.1 204 X\r\n\r\n")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"]
)
async def test_no_way_to_write_our_own_machine_leads_there(
    start_tcp_server: StartServer, hidden: Hidden, host: str
) -> None:
    counted = Counted()
    port = await start_tcp_server(counted)
    failure = await send(f"http://{host}:{port}/")
    assert failure is not None
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)
    assert "allow_private" in str(failure)
    assert counted.heads == []
    hidden.check(failure)


class Names:
    """Stands in for the resolver of the machine: one name, and what it means each time it is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.asked = 0
        self._answers = answers
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, port: int, *args: int, **more: int) -> list[Any]:
        if host != "sender.example":
            return list(self._real(host, port, *args, **more))
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return [entry for literal in answer for entry in self._real(literal, port, type=socket.SOCK_STREAM)]


async def test_a_name_is_looked_up_once_and_the_address_that_was_judged_is_used(
    start_tcp_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second look-up could be answered with an address of ours (DNS rebinding): there is none."""
    counted, elsewhere = Counted(), Counted()
    port = await start_tcp_server(counted, address="127.0.0.2")
    await start_tcp_server(elsewhere, address="127.0.0.3", port=port)
    names = Names(monkeypatch, ["127.0.0.2"], ["127.0.0.3"])
    assert await send(f"http://sender.example:{port}/x", allow_private=True) is None
    assert names.asked == 1
    assert len(counted.heads) == 1
    assert elsewhere.heads == []
    assert f"host: sender.example:{port}\r\n" in counted.heads[0].lower()


async def test_a_certificate_is_held_against_the_name_and_not_the_address(
    start_tcp_server: StartServer, monkeypatch: pytest.MonkeyPatch, authority: Authority
) -> None:
    counted = Counted()
    port = await start_tcp_server(counted, tls=True, address="127.0.0.2")  # which its certificate does not name
    Names(monkeypatch, ["127.0.0.2"])
    asked_for: list[str | None] = []
    monkeypatch.setattr(authority.server, "sni_callback", lambda _, name, __: asked_for.append(name))
    url = f"https://sender.example:{port}/"
    assert await send(url, allow_private=True, ca_file=authority.ca_file) is None
    assert (len(counted.heads), asked_for) == (1, ["sender.example"])
    failure = await send(url.replace("sender.example", "127.0.0.2"), allow_private=True, ca_file=authority.ca_file)
    assert failure is not None
    assert failure.reason is Reason.MISCONFIGURED


@pytest.mark.parametrize("answer", [["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["169.254.169.254"]])
async def test_a_name_that_means_an_address_of_ours_as_well_is_refused_whole(
    monkeypatch: pytest.MonkeyPatch, answer: list[str]
) -> None:
    Names(monkeypatch, answer)
    failure = await send("https://sender.example/")
    assert failure is not None
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)


async def test_metadata_is_not_reached_even_where_private_networks_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, ["169.254.169.254"])
    failure = await send("http://sender.example/", allow_private=True)
    assert failure is not None
    assert (failure.reason, failure.permanent) == (Reason.MISCONFIGURED, True)


async def test_a_host_whose_first_address_does_not_answer_is_reached_at_its_second(
    start_tcp_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted()
    port = await start_tcp_server(counted, address="127.0.0.2")
    Names(monkeypatch, ["127.0.0.3", "127.0.0.2"])
    assert await send(f"http://sender.example:{port}/", allow_private=True) is None
    assert len(counted.heads) == 1


async def test_a_name_that_means_nothing_is_unreachable_for_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    failure = await send("https://sender.example/")
    assert failure is not None
    assert (failure.reason, failure.permanent) == (Reason.UNREACHABLE, False)


async def test_no_proxy_of_the_environment_is_used(
    start_tcp_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, counted = Counted(), Counted()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{await start_tcp_server(proxy)}")
    port = await start_tcp_server(counted)
    assert await send(f"http://127.0.0.1:{port}/", allow_private=True) is None
    assert (len(proxy.heads), len(counted.heads)) == (0, 1)
