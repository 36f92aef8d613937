"""The settings as they are declared, and countersign.example.toml, which is held against them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from tests.config_files import SVG

from countersign.cli.serve import serve
from countersign.config import load
from countersign.config.example_secrets import is_example
from countersign.config.families import DETOUR_SETTINGS, PURPOSE_SETTINGS, SETTINGS, provider_settings
from countersign.config.purposes import PurposeSettings
from countersign.config.routes import RouteSettings
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.purpose import DEFAULT_POLICIES
from countersign.errors import SettingsError
from countersign.providers.registry import MODULES

EXAMPLE = Path(__file__).resolve().parent.parent / "countersign.example.toml"
PRODUCTION = {"COUNTERSIGN_PUBLIC_URL": "https://verify.example.org"}
EVERY_PROVIDER = {kind: provider_settings(kind) for kind in MODULES}
EVERY_SETTING = (
    *SETTINGS,
    *PURPOSE_SETTINGS,
    *DETOUR_SETTINGS,
    *(one for each in EVERY_PROVIDER.values() for one in each),
)


def test_the_example_names_every_setting() -> None:
    text = EXAMPLE.read_text()
    last_names = {setting.name.rpartition(".")[2] for setting in EVERY_SETTING}
    assert {name for name in last_names if not re.search(rf"^# {name} = ", text, re.MULTILINE)} == set()


def whole_example(folder: Path) -> str:
    """Return the example without the marks of comments before its settings; the files of its theme are put into `folder`."""
    for name in ("logo", "logo-dark", "icon"):
        (folder / f"{name}.svg").write_text(SVG.format(width=160, fill="#0a2f7a"))
    (folder / "brand.woff2").write_bytes(b"wOF2" + b"\0" * 4 + (48).to_bytes(4) + b"\0" * 36)
    text = re.sub(r"^# (?=[a-z_]+ = |\[)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    return re.sub(r"/etc/countersign/(?=[\w-]+\.(svg|woff2))", f"{folder}/", text)


def example_tables(folder: Path) -> dict[str, Any]:
    """Return the tables of the example with every line of it."""
    return tomllib.loads(whole_example(folder))


def test_the_example_is_good_as_it_is_and_with_every_line_of_it(tmp_path: Path) -> None:
    """What is commented out would be taken too, but for the file of authorities, which is somebody's own."""
    load(PRODUCTION, EXAMPLE)
    every = whole_example(tmp_path)
    assert {"providers", "purposes", "routes"} <= tomllib.loads(every).keys()
    (tmp_path / "settings.toml").write_text(every)
    settings = load({"COUNTERSIGN_ENVIRONMENT": "development"}, tmp_path / "settings.toml")
    assert settings.purposes["sign_in"].channels == (Channel.EMAIL, Channel.SMS)
    assert sorted(settings.providers) == [
        "bulk",
        "chat",
        "cloud",
        "first",
        "gateway",
        "letters",
        "mail",
        "operator",
        "second",
    ]


def test_no_secret_of_the_example_serves_in_production(tmp_path: Path) -> None:
    """Everybody can read it: whoever signs with it is believed. Each is named, with its place, and no other setting is."""
    (tmp_path / "settings.toml").write_text(whole_example(tmp_path))
    with pytest.raises(SettingsError) as caught:
        load({}, tmp_path / "settings.toml")
    named = {line.partition(" (")[0] for line in str(caught.value).splitlines()}
    wanted = {
        setting.name
        for table in example_tables(tmp_path)["providers"].values()
        for setting in EVERY_PROVIDER[table["kind"]]
        if setting.secret and table.get(setting.name) and setting.name != "url"
        # Vonage's is half a name: eight figures, which are no secret without the other half.
        if (table["kind"], setting.name) != ("vonage", "api_key")
    }
    assert named == wanted | {"bounces.imap_password"}
    assert "whsec_" not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "example"),
    [
        ("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", True),
        ("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDF=", True),  # the same key in other letters
        ("whsec_" + "A" * 44, True),
        ("whsec_QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD", True),
        ("better in secret_file", True),
        ("inafile8", True),
        ("whsec_b3VyLW93bi1zZWNyZXQtb2YtdGhlLXRlc3RzLTAxMjM=", False),
        ("whsec_", True),
        ("correct horse", False),
        ("", False),
    ],
)
def test_an_example_is_known_in_every_spelling(secret: str, *, example: bool) -> None:
    assert is_example(secret) is example


def test_every_secret_that_a_document_shows_is_known() -> None:
    """A secret that is put into a document later serves nobody either."""
    shown = re.compile(r"whsec_[A-Za-z0-9+/]{32,}={0,2}")
    documents = (EXAMPLE, *EXAMPLE.parent.glob("docs/**/*.md"), EXAMPLE.parent / "README.md")
    found = {secret for path in documents for secret in shown.findall(path.read_text(encoding="utf-8"))}
    assert found
    assert all(is_example(secret) for secret in found)


def test_the_example_shows_defaults_where_there_are_any(tmp_path: Path) -> None:
    tables = example_tables(tmp_path)
    shown = {
        f"{name}.{key}": value
        for name, table in tables.items()
        if isinstance(table, dict)
        for key, value in table.items()
    }
    shown |= {name: value for name, value in tables.items() if not isinstance(value, dict)}
    for setting in SETTINGS:
        if setting.fallback:
            assert setting.convert(shown[setting.name]) == setting.fallback, setting.name
    for setting in PURPOSE_SETTINGS:
        if setting.fallback:
            assert setting.convert(tables["purposes"]["sign_in"][setting.name]) == setting.fallback, setting.name
    for table in tables["providers"].values():
        for setting in EVERY_PROVIDER[table["kind"]]:
            if setting.fallback and setting.name in table and not isinstance(setting.fallback, tuple):
                assert setting.convert(table[setting.name]) == setting.fallback, setting.name


def test_every_setting_says_what_it_is_for() -> None:
    for setting in EVERY_SETTING:
        assert setting.meaning.endswith(".")
        assert setting.expects, setting.name
        assert setting.default


def test_a_default_that_is_told_in_words_of_its_own_is_the_default() -> None:
    checked = 0
    for setting in EVERY_SETTING:
        if setting.reads is not None and setting.fallback is not None and setting.default != "none":
            assert setting.convert(setting.default) == setting.fallback, setting.name
            checked += 1
    assert checked > 5


def test_every_channel_has_a_route_and_a_purpose_the_defaults_of_the_domain() -> None:
    assert RouteSettings.__struct_fields__ == tuple(channel.value for channel in Channel)
    assert PurposeSettings().lifetime == DEFAULT_POLICIES["sign_in"].lifetime


def test_options_of_serve_say_what_the_settings_say() -> None:
    rows = {setting.name: setting for setting in SETTINGS}
    options = {
        option.name: option for option in serve.params if isinstance(option, click.Option) and option.name in rows
    }
    assert options.keys() == {"bind", "port", "workers", "no_worker"}
    for name, option in options.items():
        assert option.help is not None
        assert option.help.startswith(rows[str(name)].meaning)
        if isinstance(option.type, click.IntRange):
            assert rows[str(name)].expects == f"{option.type.min} to {option.type.max}"
