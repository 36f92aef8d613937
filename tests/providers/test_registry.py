"""A new provider is one file and one line: the settings, the reference, the doctor and the sending find it by themselves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.providers.http_peers import Gateway, sms
from tests.providers.peers import NOW

from countersign.cli.doctor.provider_checks import check_providers
from countersign.config import load
from countersign.config.reference import write_reference
from countersign.domain.delivery.delivery import Reason
from countersign.domain.delivery.route import unweighted
from countersign.domain.shared.contact import Channel
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers import registry
from countersign.providers.registry import MODULES, find_kind, make_provider

if TYPE_CHECKING:
    from tests.providers.peers import StartServer

PIGEON = '''
"""Pigeon: SMS by pigeon, for a test."""

from typing import Annotated

import msgspec

from countersign.domain.delivery.delivery import Accepted, Message
from countersign.domain.shared.contact import Channel
from countersign.providers import Connectivity, ProviderContext, ProviderKind
from countersign.providers.fields import require_filled
from countersign.providers.http.client import HttpClient, failure_of_response
from countersign.providers.http.settings import HttpSettings
from countersign.setting import Described, Group


class PigeonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A loft."""

    loft: Annotated[str, Described("The loft that pigeons start from.", expects="the name of a loft")]
    ring: Annotated[str, Described("The ring that pigeons bear.", secret=True)]
    speed: Annotated[int, msgspec.Meta(ge=1, le=150), Described("How fast pigeons fly, in km/h.")] = 70
    url: Annotated[str, Described("The address of the loft.", expects="an address")] = "https://pigeons.example"
    http: Annotated[HttpSettings, Group()] = HttpSettings()

    def __post_init__(self) -> None:
        require_filled(loft=self.loft, ring=self.ring)


class PigeonProvider:
    """Sends SMS by pigeon."""

    def __init__(self, settings: PigeonSettings, context: ProviderContext) -> None:
        self._settings = settings
        self._clock = context.clock
        self._client = HttpClient(settings.http.endpoint("Pigeon", settings.url))

    async def send(self, message: Message) -> Accepted:
        """Send a pigeon."""
        url, headers = f"{self._settings.url}/{self._settings.loft}", {"authorization": self._settings.ring}
        response = await self._client.post(url, headers, message.text.encode())
        if not response.ok:
            raise failure_of_response("Pigeon", response, self._clock())
        return Accepted(message.key)

    async def check(self) -> Connectivity:
        """Look at the loft."""
        return await self._client.check()

    async def close(self) -> None:
        """Let the pigeons rest."""
        await self._client.close()


KIND = ProviderKind(
    summary="a loft of pigeons", channels=(Channel.SMS,), settings=PigeonSettings, provider=PigeonProvider
)
'''


@pytest.fixture
def pigeon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one file and the one line."""
    (tmp_path / "pigeon_post.py").write_text(PIGEON)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(registry.MODULES, "pigeon", "pigeon_post")
    monkeypatch.delitem(sys.modules, "pigeon_post", raising=False)
    monkeypatch.chdir(tmp_path)


def environ(port: int, **changes: str) -> dict[str, str]:
    """Return an environment with a provider of the new kind."""
    given = {"KIND": "pigeon", "LOFT": "north", "RING": "a secret", "SPEED": "90", "URL": f"http://127.0.0.1:{port}"}
    given |= {"ALLOW_HTTP": "yes", "ALLOW_PRIVATE": "yes", "TIMEOUT": "2.5", **changes}
    return {
        "COUNTERSIGN_PUBLIC_URL": "https://verify.example.org",
        "COUNTERSIGN_ROUTES_SMS": "birds",
        **{f"COUNTERSIGN_PROVIDERS_BIRDS_{name}": value for name, value in given.items()},
    }


@pytest.mark.usefixtures("pigeon")
async def test_a_message_goes_through_a_new_provider_by_its_settings(start_tcp_server: StartServer) -> None:
    gateway = Gateway()
    settings = load(environ(await start_tcp_server(gateway)))
    assert settings.routes == {Channel.SMS: unweighted("birds")}
    configured = settings.providers["birds"]
    assert (configured.settings.speed, configured.settings.http.timeout) == (90, 2.5)
    provider = make_provider(configured, lambda: NOW)
    assert (await provider.send(sms())).provider_message_id == sms().key
    gateway.answer(429)
    with pytest.raises(DeliveryFailedError) as caught:
        await provider.send(sms())
    await provider.close()
    assert caught.value.reason is Reason.THROTTLED
    assert [line for line, _, _ in gateway.posted] == ["POST /north HTTP/1.1"] * 2
    assert gateway.posted[0][1]["authorization"] == "a secret"


@pytest.mark.usefixtures("pigeon")
async def test_the_doctor_looks_at_a_new_provider(start_tcp_server: StartServer) -> None:
    port = await start_tcp_server(Gateway())
    here = load(environ(port)).providers
    assert await check_providers(here) == [("birds", f"127.0.0.1 port {port} can be reached without TLS", "")]
    gone = load(environ(9)).providers
    [(_, seen, remedy)] = await check_providers(gone)
    assert "cannot be reached" in seen
    assert remedy


@pytest.mark.usefixtures("pigeon")
def test_the_reference_has_a_new_provider_with_its_settings() -> None:
    text = write_reference()
    assert '`kind = "pigeon"`: a loft of pigeons. Carries: sms.' in text
    assert "| `loft` | the name of a loft | required | The loft that pigeons start from. |" in text
    assert "| `speed` | 1 to 150 | 70 | How fast pigeons fly, in km/h. |" in text
    assert text.count("| `allow_private` |") == write_reference().count("| `allow_http` |")
    assert "`smpp`, `pigeon`" in text


@pytest.mark.usefixtures("pigeon")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"SPEED": "900"}, "speed (COUNTERSIGN_PROVIDERS_BIRDS_SPEED): expected 1 to 150, got '900'."),
        ({"WINGS": "2"}, "COUNTERSIGN_PROVIDERS_BIRDS_WINGS: there is no such setting of pigeon"),
        ({"LOFT": ""}, "[providers.birds] (pigeon): loft is required"),
        ({"KIND": "pidgin"}, "smpp, pigeon, got 'pidgin'"),
    ],
)
def test_a_bad_setting_of_a_new_provider_is_named(changes: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ(9, **changes))
    assert said in str(caught.value)
    assert "a secret" not in str(caught.value)


@pytest.mark.usefixtures("pigeon")
def test_a_new_provider_carries_nothing_but_its_channels() -> None:
    with pytest.raises(SettingsError, match="birds is a loft of pigeons and cannot carry voice"):
        load({**environ(9), "COUNTERSIGN_ROUTES_VOICE": "birds"})


@pytest.mark.parametrize("name", MODULES)
def test_every_kind_says_what_it_is_and_what_it_carries(name: str) -> None:
    kind = find_kind(name)
    assert kind.summary.startswith(("a ", "an "))
    assert kind.channels
    assert kind.settings.__module__ == MODULES[name]
