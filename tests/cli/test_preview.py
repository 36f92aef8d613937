"""`countersign preview` is for this machine and for development, and needs nothing but settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.config_files import themed_settings
from tests.peers.program import Program
from tests.web.client import Client

from countersign.messages.custom.custom_templates import DEFAULT_TEMPLATES
from countersign.web.preview.application import PreviewApplication

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Give a client of a preview."""
    return Client(PreviewApplication(themed_settings(tmp_path), DEFAULT_TEMPLATES))


def test_it_refuses_settings_of_production(tmp_path: Path) -> None:
    (tmp_path / "countersign.toml").write_text('environment = "production"\npublic_url = "https://id.example.org"\n')
    refused = Program(tmp_path).run("preview", "--port", "0")
    assert refused.returncode == 2
    assert "never part of production" in refused.stderr
    assert not (tmp_path / ".countersign").exists()


async def test_it_answers_this_machine_alone_and_carries_out_nothing(client: Client) -> None:
    """H5: a site that points its own name at this machine reads nothing, and no form is carried out."""
    assert (await client.get("/", headers={"host": "localhost:8010"})).status == 200
    assert (await client.get("/", headers={"host": "evil.example"})).status == 421
    assert (await client.get("/", headers={"host": "localhost.evil.example"})).status == 421
    assert (await client.ask("POST", "/sign-in", headers={"host": "localhost:8010"})).status == 405
    assert (await client.get("/sign-in", headers={"host": "localhost:8010"})).status == 404
    assert (await client.get("/static/x/..%2f..%2fsecret", headers={"host": "localhost"})).status == 404


async def test_a_wrong_choice_shows_the_first_one(client: Client) -> None:
    page = await client.get("/page/sign_in.empty?language=xx&theme=<b>&scheme=%00", headers={"host": "localhost"})
    assert page.status == 200
    assert b'<html lang="en"' in page.body
