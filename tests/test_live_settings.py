"""Settings of a program that runs: what a signal reads again, what a changed secret reads again, and what neither does."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from countersign.config import load
from countersign.config.agreement import agreement_of, differing_sections
from countersign.config.database_address import database_address
from countersign.config.lines import find_lines
from countersign.config.live_settings import LiveSettings
from countersign.errors import SettingsError
from countersign.serving.preflight import find_faults

MAIL = """
environment = "development"
site = "{site}"

[providers.mail]
kind = "smtp"
host = "mail.example.org"
from_address = "codes@example.org"
username = "shop"
password_file = "{password}"
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No countersign.toml of a developer takes part."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """Return a file with a provider's password, and write the settings file that names it."""
    path = tmp_path / "password"
    path.write_text("first\n")
    (tmp_path / "countersign.toml").write_text(MAIL.format(site="Before", password=path))
    return path


def live() -> LiveSettings:
    """Return the settings of a program that started now."""
    return LiveSettings({}, load({}))


def test_a_changed_secret_is_read_again_and_an_edited_file_is_not(password: Path, tmp_path: Path) -> None:
    """K4, O5: somebody edits the settings file, has not finished, and another replaces a password."""
    settings = live()
    (tmp_path / "countersign.toml").write_text('site = "After"\nport = = \n')
    password.write_text("second\n")
    assert settings.have_secrets_changed() is False  # it may still be being written
    assert settings.have_secrets_changed() is True
    assert settings.have_secrets_changed() is False  # once for each change
    found = settings.read_secrets()
    assert found.providers["mail"].settings.password == "second"
    assert found.site == "Before"
    with pytest.raises(SettingsError, match="line 2"):
        settings.read()


def test_a_secret_that_changes_while_the_one_before_is_taken_is_read_again(password: Path) -> None:
    """K4: between the reading and the moment when it counts, processes are replaced, which takes seconds."""
    settings = live()
    password.write_text("second\n")
    assert [settings.have_secrets_changed() for _ in range(2)] == [False, True]
    found = settings.read_secrets()
    password.write_text("the third\n")
    settings.take(found)
    assert [settings.have_secrets_changed() for _ in range(3)] == [False, True, False]
    assert settings.read_secrets().providers["mail"].settings.password == "the third"


def test_a_signal_reads_everything_again(password: Path, tmp_path: Path) -> None:
    """O5: what was taken is what later changes of secrets are read with."""
    settings = live()
    (tmp_path / "countersign.toml").write_text(MAIL.format(site="After", password=password))
    settings.take(settings.read())
    assert settings.settings.site == "After"
    password.write_text("third\n")
    assert settings.read_secrets().site == "After"


def test_a_secret_that_is_missing_for_a_moment_has_not_changed(password: Path) -> None:
    """K4: whoever replaces a file may remove it first."""
    settings = live()
    password.unlink()
    assert not any(settings.have_secrets_changed() for _ in range(3))
    password.write_text("second\n")
    assert [settings.have_secrets_changed() for _ in range(3)] == [False, True, False]


def test_a_new_connection_has_the_password_that_its_file_has_then(tmp_path: Path) -> None:
    """K4: user and password may change, and nothing else; what cannot be read leaves the address as it was, and is told once."""
    file = tmp_path / "database"
    file.write_text("postgresql://one:first@db.example.org:5432/shop\n")
    address = database_address(
        load({"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_DATABASE_URL_FILE": str(file)})
    )
    file.write_text("postgresql://two:second@db.example.org:5432/shop\n")
    assert address() == "postgresql://two:second@db.example.org:5432/shop"
    for wrong in ("", "postgresql://two:third@other.example.org:5432/shop", "mysql://two:third@db.example.org/shop"):
        file.write_text(wrong)
        with capture_logs() as logs:
            assert [address(), address()] == ["postgresql://two:second@db.example.org:5432/shop"] * 2
        assert [line["event"] for line in logs] in (["database_url_not_read"], [])
        assert "third" not in str(logs)
    file.unlink()
    assert address().startswith("postgresql://two:second@")
    file.write_text("postgresql://three:fourth@db.example.org:5432/shop")
    assert address().startswith("postgresql://three:fourth@")


def test_the_line_of_each_key_is_found() -> None:
    """O5: whatever stands in between, such as values of several lines that look like keys."""
    lines = find_lines(
        '# port = 1\nport = 1\nsite = """\nport = 2\n[log]\n"""\nhost."a b" = 1\n\n[limits]\ndestination = [\n  "1/1m",\n]\n'
        'requester = ["port = 3"] # [x]\n[providers.mail]\nkind = "smtp"\nhttp = { a = 1 }\n[[list]]\n'
    )
    assert lines.of("port") == 2
    assert lines.of("site") == 3
    assert lines.of("host", "a b") == 7
    assert lines.of("limits", "destination") == 10
    assert lines.of("limits", "requester") == 13
    assert lines.of("providers", "mail", "kind") == 15
    assert lines.of("providers", "mail", "http", "a") == 16
    assert lines.of("providers", "mail") == 14
    assert lines.of("nothing") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('\n\ngrace = "soon"', "(grace in countersign.toml, line 3)"),
        ("[limits]\n\ndestination = ['10 a minute']", "([limits] destination in countersign.toml, line 3)"),
        ("[log]\nlevle = 'info'", "[log] levle in countersign.toml, line 2"),
        ("[providers.mail]\n\nkind = 'pigeon'", "([providers.mail] kind in countersign.toml, line 3)"),
        (
            "\n\n[providers.mail]\nkind = 'smtp'",
            "[providers.mail] (smtp): host is required: expected a host name (countersign.toml, line 3).",
        ),
        ("\n[providers.mail]\nhost = 'x'", "it is missing (countersign.toml, line 2)."),
        ("\n[providers.Mail]\nkind = 'smtp'", "[providers.Mail] in countersign.toml, line 2"),
        ("\nproviders = 3", "providers in countersign.toml, line 2"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    """O5."""
    (tmp_path / "countersign.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load({})
    assert said in str(caught.value)


async def test_every_file_that_settings_name_is_opened_before_they_count(tmp_path: Path) -> None:
    """O5: keys, templates, lists; all faults are told at once."""
    (tmp_path / "places.mmdb").write_text("nothing of the kind")
    (tmp_path / "breached").write_text("nothing of the kind\n")
    settings = load(
        {
            "COUNTERSIGN_PUBLIC_URL": "https://verify.example.org",
            "COUNTERSIGN_RISK_PLACES_FILE": str(tmp_path / "places.mmdb"),
            "COUNTERSIGN_PASSWORDS_BREACHED_FILE": str(tmp_path / "breached"),
            "COUNTERSIGN_MESSAGES_FOLDER": str(tmp_path / "none"),
        }
    )
    faults = "\n".join(await find_faults(settings))
    for name in ("places.mmdb", "breached", "none", "countersign keys new"):
        assert name in faults
    assert not (tmp_path / ".countersign").exists()  # looking makes nothing


def test_settings_that_must_agree_are_compared_by_section() -> None:
    """O7: sections are named, and neither order nor secrets count."""
    base = {"COUNTERSIGN_ENVIRONMENT": "development"}
    own = agreement_of(load(base))
    for environ, sections in (
        ({}, []),
        ({"COUNTERSIGN_LIMITS_DESTINATION": "1/1m"}, ["limits"]),
        ({"COUNTERSIGN_FRAUD_MODE": "shadow", "COUNTERSIGN_RETENTION_DAYS": "3"}, ["retention_days", "fraud"]),
        ({"COUNTERSIGN_PURPOSES_SIGN_IN_GUESSES": "3"}, ["purposes"]),
        ({"COUNTERSIGN_PROFILE": "strict"}, ["sign_in", "recovery", "passwords"]),
        ({"COUNTERSIGN_GRACE": "7", "COUNTERSIGN_DATABASE_POOL": "3", "COUNTERSIGN_LOG_LEVEL": "debug"}, []),
    ):
        stored = b'{"version":"%s","sections":%s}' % (own.version.encode(), _sections(base | environ))
        assert differing_sections(own, stored) == sections
    assert differing_sections(own, None) == differing_sections(own, b"\x00") == []
    assert differing_sections(own, b'{"version":"0","sections":{}}') == []  # another release knows other settings


def _sections(environ: dict[str, str]) -> bytes:
    import json

    return json.dumps(agreement_of(load(environ)).sections).encode()
