"""The long tail of gateways: a real plugin against a device of loopback, and what each other plugin would send, held as it leaves."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlsplit

import pytest
import requests
from tests.providers.contexts import context, flat
from tests.providers.peers import CODE, Hidden, StartServer, message

from countersign import logs
from countersign.config import load
from countersign.domain.delivery.delivery import Reason
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers.sms.apprise_gateways import GATEWAYS, OWN_HOST, AppriseProvider, AppriseSettings, plugin_for

if TYPE_CHECKING:
    from pathlib import Path

    from countersign.domain.delivery.delivery import Message

TO = "+14155550123"
SECRET = "token-of-tests"
TEXT = f"Shop: {CODE} is your code. Nobody asks for it. {{{{ 1 }}}} :smile:\n\n@shop.example #{CODE}"
FORM = {
    "46elks": "user:password@14155550100/{to}",
    "atalk": "appuser@abcdefghij/{to}",
    "bulksms": "ident:secret@{to}",
    "bulkvs": "user:password@14155550100/{to}",
    "burstsms": "abcdefgh:abcdefgh@14155550100/{to}",
    "clicksend": "user:0123456789abcdef@{to}",
    "cm": "01234567-89ab-cdef-0123-456789abcdef/{to}",
    "d7sms": "abcdefghij@{to}",
    "eight00com": "abcdefghijk@14155550100/{to}",
    "elks": "user:password@14155550100/{to}",
    "exotel": "sidsid:abcdefgh@14155550100/{to}",
    "httpsms": "abcdefghij1234567890@14155550100/{to}",
    "kaleyra": "abcdefgh:abcdefgh@SHOPIN/{to}",
    "kudosity": "abcdefgh:abcdefgh@14155550100/{to}",
    "msgbird": "abcdefghijklmnopqrstuvwxy/14155550100/{to}",
    "octopush": "user@example.org/abcdefgh/{to}",
    "plivo": "MAXXXXXXXXXXXXXXXXXX12345@abcdefghijABCDEFGHIJ0123456789abcdefghijkl/14155550100/{to}",
    "serwersms": "user:password@Shop/{to}",
    "seven": "abcdefghij1234567890/{to}",
    "sinch": "0123456789abcdef0123456789abcdef:0123456789abcdef0123456789abcdef@14155550100/{to}",
    "smsc": "user:password@{to}",
    "smseagle": "token-of-tests@127.0.0.1:8080/{to}",
    "smseagles": "token-of-tests@sms.example.org/{to}",
    "telesign": "abcdef01-2345-6789-abcd-ef0123456789:abcdefgh@{to}",
    "telnyx": "KEYabcdefghijklmnop@14155550100/{to}",
}
VENDORS = {
    "46elks": "api.46elks.com",
    "atalk": "api.africastalking.com",
    "bulksms": "api.bulksms.com",
    "bulkvs": "portal.bulkvs.com",
    "burstsms": "api.transmitsms.com",
    "clicksend": "rest.clicksend.com",
    "cm": "gw.messaging.cm.com",
    "d7sms": "api.d7networks.com",
    "eight00com": "api.800.com",
    "elks": "api.46elks.com",
    "exotel": "api.exotel.com",
    "httpsms": "api.httpsms.com",
    "kaleyra": "api.kaleyra.io",
    "kudosity": "api.transmitsms.com",
    "msgbird": "rest.messagebird.com",
    "octopush": "api.octopush.com",
    "plivo": "api.plivo.com",
    "serwersms": "api2.serwersms.pl",
    "seven": "gateway.seven.io",
    "sinch": "us.sms.api.sinch.com",
    "smsc": "smsc.ru",
    "telesign": "rest-ww.telesign.com",
    "telnyx": "api.telnyx.com",
}
"""Where the public documentation of each has its API, as of version 2.3 of the library."""


def settings(**changes: Any) -> AppriseSettings:
    given = {
        "url": f"smseagle://{SECRET}@127.0.0.1:9/{{to}}",
        "allow_http": True,
        "allow_private": True,
    }
    return flat(AppriseSettings, **{**given, **changes})


def sms(text: str = TEXT) -> Message:
    return message(channel=Channel.SMS, to=TO, text=text, subject="", html="")


def device(port: int, **changes: Any) -> AppriseProvider:
    return AppriseProvider(settings(url=f"smseagle://{SECRET}@127.0.0.1:{port}/{{to}}", **changes), context())


async def body_of(reader: asyncio.StreamReader) -> Any:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length"))
    return json.loads(await reader.readexactly(length))


def answered(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{more}\r\n".encode() + body


async def test_a_device_of_loopback_gets_the_text_as_it_is(start_tcp_server: StartServer, hidden: Hidden) -> None:
    """D2, D4: to the digit and to the line end; no template of the text is filled in, nothing is split."""
    came: list[Any] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await body_of(reader))
        writer.write(answered(b'{"result": {"message_id": 7, "status": "ok"}}'))
        await writer.drain()

    provider = device(await start_tcp_server(take))
    word = await provider.send(sms())
    await provider.close()
    assert (word.provider_message_id, word.receipt_within) == ("ver_01kabc.1.0", None)
    assert [one["params"]["to"] for one in came] == [TO.lstrip("+")]
    assert came[0]["params"]["message"] == TEXT
    hidden.check(provider, word, secrets=(CODE, TO.lstrip("+"), SECRET))


@pytest.mark.parametrize(("place", "written"), [("{to}", "14155550123"), ("+{to}", TO), ("%2B{to}/?priority=high", TO)])
async def test_the_plus_is_there_where_the_settings_want_it(
    start_tcp_server: StartServer, place: str, written: str
) -> None:
    came: list[Any] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append((await body_of(reader))["params"]["to"])
        writer.write(answered(b'{"result": {"status": "ok"}}'))
        await writer.drain()

    port = await start_tcp_server(take)
    await AppriseProvider(settings(url=f"smseagle://{SECRET}@127.0.0.1:{port}/{place}"), context()).send(sms())
    assert came == [written]


@pytest.mark.parametrize("fault", ["refuses", "is broken", "hangs up", "talks nonsense", "leads elsewhere", "is away"])
async def test_a_fault_is_for_now_and_says_nothing(start_tcp_server: StartServer, hidden: Hidden, fault: str) -> None:
    """D2, C8: the library does not say why, so none is taken for final; neither code, number nor token is repeated."""
    led = []

    async def elsewhere(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        led.append(await reader.read(1))

    other = await start_tcp_server(elsewhere)
    said = {
        "refuses": answered(f'{{"result": {{"status": "no {CODE} {TO}"}}}}'.encode()),
        "is broken": answered(b"", "500 Internal Server Error"),
        "hangs up": b"",
        "talks nonsense": b"SSH-2.0-nonsense\r\n\r\n",
        "leads elsewhere": answered(b"", "307 Temporary Redirect", f"location: http://127.0.0.1:{other}/\r\n"),
    }

    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(reader)
        writer.write(said[fault])
        await writer.drain()

    port = 9 if fault == "is away" else await start_tcp_server(fail)
    with pytest.raises(DeliveryFailedError) as failed:
        await device(port).send(sms())
    assert (failed.value.reason, failed.value.permanent) == (Reason.PROVIDER_ERROR, False)
    assert led == []
    hidden.check(failed.value, secrets=(CODE, TO.lstrip("+"), SECRET))


async def test_a_gateway_that_hangs_is_left_in_time_and_keeps_its_place(start_tcp_server: StartServer) -> None:
    """D2: a thread cannot be stopped, so as many as there are places hang, and the rest goes on at once to the next provider."""
    freed = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(reader)
        await freed.wait()
        writer.write(answered(b'{"result": {"status": "ok"}}'))
        await writer.drain()

    provider = device(await start_tcp_server(hang), timeout=0.5, connections=3)
    began = time.monotonic()
    failed = await asyncio.gather(*(provider.send(sms()) for _ in range(10)), return_exceptions=True)
    assert time.monotonic() - began < 1.4
    reasons = [error.reason for error in failed if isinstance(error, DeliveryFailedError) and not error.permanent]
    assert sorted(reasons) == [Reason.THROTTLED] * 7 + [Reason.TIMED_OUT] * 3
    with pytest.raises(DeliveryFailedError) as full:
        await provider.send(sms())
    assert full.value.reason is Reason.THROTTLED
    freed.set()
    async with asyncio.timeout(5):
        while True:
            try:
                await provider.send(sms())
            except DeliveryFailedError:
                await asyncio.sleep(0.02)
            else:
                break


class Stopped(requests.ConnectionError):
    """Nothing leaves this machine."""


@pytest.mark.parametrize("scheme", sorted(GATEWAYS))
async def test_a_gateway_is_posted_to_at_its_vendors_and_over_tls(
    scheme: str, monkeypatch: pytest.MonkeyPatch, hidden: Hidden
) -> None:
    """C8: that is why it is in the list; the code and the credentials of the message are in no address."""
    left: list[requests.PreparedRequest] = []

    def keep(_: object, request: requests.PreparedRequest, **options: Any) -> None:
        left.append(request)
        assert options["verify"] is True
        raise Stopped

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", keep)
    provider = AppriseProvider(settings(url=f"{scheme}://{FORM[scheme]}"), context())
    with pytest.raises(DeliveryFailedError) as failed:
        await provider.send(sms())
    assert len(left) == 1
    url = urlsplit(left[0].url or "")
    if scheme not in OWN_HOST:
        assert (url.scheme, url.hostname) == ("https", VENDORS[scheme])
    assert left[0].method == "POST"
    sent = left[0].body
    assert isinstance(sent, str | bytes)
    body = sent if isinstance(sent, str) else sent.decode()
    assert CODE not in (left[0].url or "")
    assert f"{CODE} is your code" in unquote_plus(body)
    assert TO.lstrip("+") in unquote_plus(body)
    hidden.check(failed.value, secrets=(CODE, TO.lstrip("+"), SECRET))


def test_every_gateway_of_the_list_is_tried() -> None:
    assert FORM.keys() == GATEWAYS.keys()
    assert VENDORS.keys() == GATEWAYS.keys() - OWN_HOST


@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1/{to}",
        "xmls://example.org/{to}",
        "form://example.org/{to}",
        "apprise://example.org/abcdefgh/{to}",
        "dbus://{to}",
        "syslog://{to}",
        "file:///etc/passwd?{to}",
        "mailto://user:pass@example.org/{to}",
        "tgram://123456:abcdef/{to}",
        "whatsapp://token@15005550006/{to}",
        "https://example.org/{to}",
        "clickatell://abcdefghijk/{to}",
        "kavenegar://abcdefghijklmnop/{to}",
        "",
        "{to}",
    ],
)
def test_what_is_no_gateway_for_sms_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="gateway for SMS"):
        settings(url=url)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": "twilio://sid:token@15005550006/{to}"}, 'kind = "twilio"'),
        ({"url": "seven://abcdefghij1234567890"}, "{to} once"),
        ({"url": "seven://abcdefghij1234567890/{to}/{to}"}, "{to} once"),
        ({"url": "seven://abcdefghij1234567890/{to}/14155550199"}, "{to} once"),
        ({"url": "seven://{to}/14155550199"}, "{to} once"),
        ({"url": "seven://abcdefghij1234567890/14155550199,x/{to}"}, "where the number goes"),
        ({"url": "msgbird://abcdefghijklmnopqrstuvwxy/{to}"}, "where the number goes"),
        ({"url": "46elks://user:abcdefghij@{to}"}, "where the number goes"),
        ({"url": "seven://abcdefghij1234567890/{to}?verify=no"}, "verify"),
        ({"url": "seven://abcdefghij1234567890/{to}?flash=yes&to=14155550199"}, "decided"),
        ({"url": "seven://abcdefghij1234567890/{to}?redirect=yes"}, "decided"),
        ({"allow_private": False}, "allow_private"),
        ({"allow_http": False}, "smseagles"),
        ({"timeout": 45.0}, "timeout"),
        ({"connections": 0}, "connections"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(**change)
    assert says in str(refused.value)
    assert "abcdefghij" not in str(refused.value)
    assert "14155550199" not in str(refused.value)


def test_without_the_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsError, match=r"pip install countersign-otp\[apprise\]"):
        settings()


def test_it_is_read_from_the_settings_and_hides_its_address(tmp_path: Path) -> None:
    file = tmp_path / "countersign.toml"
    file.write_text(
        'public_url = "https://verify.example.org"\n[routes]\nsms = ["tail"]\n'
        '[providers.tail]\nkind = "apprise"\nurl = "seven://abcdefghij1234567890/{to}"\n'
    )
    made = load({}, file).providers["tail"]
    assert isinstance(made.settings, AppriseSettings)
    assert "abcdefghij" not in repr(made) + repr(made.settings)
    file.write_text(file.read_text().replace("seven:", "json:"))
    with pytest.raises(SettingsError) as refused:
        load({}, file)
    assert "abcdefghij" not in str(refused.value)
    file.write_text(file.read_text().replace("json:", "seven:").replace("sms = ", "voice = "))
    with pytest.raises(SettingsError, match="cannot carry voice"):
        load({}, file)


@pytest.mark.parametrize("to", ["1415555/../x", "14155550123?to=1", "1415555\r\n0123", "\u0661\u0664\u0661", ""])
def test_nothing_but_digits_is_put_into_an_address(to: str) -> None:
    """D5: whatever a destination may have become on its way here."""
    assert plugin_for(settings(), to) is None


async def test_the_library_says_nothing_whatever_the_level(start_tcp_server: StartServer, capfd: Any) -> None:
    """C8: its warnings name the number, and its client's debugging the address."""
    before = logging.getLogger().level

    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await body_of(reader)
        writer.write(answered(b"{}", "500 Internal Server Error"))
        await writer.drain()

    port = await start_tcp_server(fail)
    try:
        logs.configure("debug", "json", sys.stderr)
        with pytest.raises(DeliveryFailedError):
            await device(port).send(sms())
    finally:
        root = logging.getLogger()
        root.handlers = [handler for handler in root.handlers if not getattr(handler, "_countersign", False)]
        root.setLevel(before)
    said = "".join(capfd.readouterr())
    for secret in (CODE, TO.lstrip("+"), SECRET, "SMSEagle"):
        assert secret not in said
