"""Settings: where they come from, which win, and that whatever is wrong is named with its place and what was expected."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from countersign.config import load
from countersign.domain.delivery.route import PrefixRoute, WeightedProvider, unweighted
from countersign.domain.policy import InstallationPolicy
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.purpose import DEFAULT_POLICIES
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.errors import SettingsError

DEVELOPMENT = {"COUNTERSIGN_ENVIRONMENT": "development"}
PRODUCTION = {"COUNTERSIGN_PUBLIC_URL": "https://verify.example.org"}
MAIL = {
    "COUNTERSIGN_PROVIDERS_MAIL_KIND": "smtp",
    "COUNTERSIGN_PROVIDERS_MAIL_HOST": "mail.example.org",
    "COUNTERSIGN_PROVIDERS_MAIL_FROM_ADDRESS": "codes@example.org",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No countersign.toml of a developer takes part."""
    monkeypatch.chdir(tmp_path)


def faults(environ: dict[str, str], file: Path | None = None) -> str:
    """Return what is said of settings that are wrong."""
    with pytest.raises(SettingsError) as caught:
        load(environ, file)
    return str(caught.value)


def written(tmp_path: Path, text: str) -> Path:
    """Return a settings file with this text."""
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def test_development_needs_no_setting_at_all() -> None:
    settings = load(DEVELOPMENT)
    assert settings.development
    assert settings.database_url == "sqlite:///.countersign/countersign.db"
    assert settings.secret_file == Path(".countersign/secret.keys")
    assert (settings.public_url, settings.host) == ("http://localhost:8000", "localhost")
    assert settings.routes == dict.fromkeys(Channel, unweighted("inbox"))
    assert settings.purposes == DEFAULT_POLICIES


def test_the_rules_of_no_settings_are_the_rules_of_the_domain() -> None:
    made = load(PRODUCTION).policy
    assert (made.destination, made.requester, made.routes) == (
        InstallationPolicy().destination,
        InstallationPolicy().requester,
        {},
    )


def test_production_is_the_default_and_asks_for_its_address() -> None:
    said = faults({})
    assert "COUNTERSIGN_PUBLIC_URL" in said
    assert "COUNTERSIGN_ENVIRONMENT=development" in said


def test_the_address_of_development_follows_the_port() -> None:
    assert load({**DEVELOPMENT, "COUNTERSIGN_PORT": "9000"}).public_url == "http://localhost:9000"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'environment = "development"\nport = 1234\nsite = "Shop"\n')
    settings = load({"COUNTERSIGN_PORT": "4321"}, file)
    assert (settings.port, settings.site) == (4321, "Shop")


def test_a_file_in_the_working_directory_is_found_and_one_that_is_named_is_taken_instead(tmp_path: Path) -> None:
    (tmp_path / "countersign.toml").write_text('site = "Found"\n')
    assert load(DEVELOPMENT).site == "Found"
    named = written(tmp_path, 'site = "Named"\n')
    assert load({**DEVELOPMENT, "COUNTERSIGN_CONFIG": str(named)}).site == "Named"


def test_a_file_that_is_named_and_missing_stops_the_start(tmp_path: Path) -> None:
    assert "cannot be read" in faults(DEVELOPMENT, tmp_path / "none.toml")


def test_a_file_that_is_no_toml_is_named_with_the_line(tmp_path: Path) -> None:
    assert "line 2" in faults(DEVELOPMENT, written(tmp_path, 'site = "Shop"\nport = = 1\n'))


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("COUNTERSIGN_PROT", "COUNTERSIGN_PORT"),
        ("COUNTERSIGN_LOGLEVEL", "COUNTERSIGN_LOG_LEVEL"),
        ("COUNTERSIGN_PROVIDERS_MAIL_COLOUR", ""),
        ("COUNTERSIGN_", ""),
    ],
)
def test_a_variable_that_is_no_setting_is_named(variable: str, meant: str) -> None:
    said = faults({**DEVELOPMENT, variable: "x"})
    assert said.startswith(f"{variable}: there is no such setting")
    assert meant in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "prot in "),
        ("[log]\nlevle = 'info'", "[log] levle in "),
        ("[purposes.sign_in]\nguess = 3", "[purposes.sign_in] guess in "),
        ("[providers.mail]\nhostname = 'x'", "[providers.mail] hostname in "),
        ("[providers.Mail]\nkind = 'smtp'", "[providers.Mail] in "),
        ("providers = 3", "providers in "),
        ("log = 3", "log in "),
    ],
)
def test_a_line_of_the_file_that_is_no_setting_is_named(tmp_path: Path, text: str, said: str) -> None:
    assert said in faults(DEVELOPMENT, written(tmp_path, text))


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("COUNTERSIGN_ENVIRONMENT", "staging", "development or production"),
        ("COUNTERSIGN_PORT", "http", "0 to 65535"),
        ("COUNTERSIGN_PORT", "70000", "0 to 65535"),
        ("COUNTERSIGN_WORKERS", "0", "1 to 64"),
        ("COUNTERSIGN_BIND", "everywhere", "an IP address"),
        ("COUNTERSIGN_PUBLIC_URL", "verify.example.org", "https://verify.example.org"),
        ("COUNTERSIGN_PUBLIC_URL", "https://example.org/path", "without a path"),
        ("COUNTERSIGN_PUBLIC_URL", "https://user@example.org", "without a path"),
        ("COUNTERSIGN_DATABASE_URL", "mysql://localhost/x", "postgresql://"),
        ("COUNTERSIGN_DATABASE_URL", "sqlite:///:memory:", "sqlite:///path"),
        ("COUNTERSIGN_TRUSTED_PROXIES", "10.0.0.0/8, nonsense", "a list of networks"),
        ("COUNTERSIGN_LIMITS_DESTINATION", "10 a minute", "10/10m"),
        ("COUNTERSIGN_LIMITS_REQUESTER", "0/1m", "60/10m"),
        ("COUNTERSIGN_METRICS_TOKEN", "short", "at least 16 characters"),
        ("COUNTERSIGN_LOG_LEVEL", "loud", "debug, info, warning or error"),
        ("COUNTERSIGN_NO_WORKER", "perhaps", "yes or no"),
        ("COUNTERSIGN_SITE", "a\nb", "60 characters"),
        ("COUNTERSIGN_HOST", "not a host", "example.org"),
        ("COUNTERSIGN_RETENTION_DAYS", "-1", "1 to 3650"),
    ],
)
def test_a_bad_value_is_named_with_its_place_and_what_was_expected(variable: str, value: str, expected: str) -> None:
    said = faults({**DEVELOPMENT, variable: value})
    assert f"({variable}): expected" in said
    assert expected in said


@pytest.mark.parametrize(
    "text", ["port = '80'\n[log]\nlevel = 3", "no_worker = 'yes'\ntrusted_proxies = 3", "site = 3"]
)
def test_a_value_of_another_type_in_the_file_is_a_fault_or_means_the_same(tmp_path: Path, text: str) -> None:
    assert "expected" in faults(DEVELOPMENT, written(tmp_path, text))


def test_every_fault_is_told_at_once() -> None:
    said = faults({"COUNTERSIGN_PORT": "x", "COUNTERSIGN_GRACE": "x", "COUNTERSIGN_NONSENSE": "x"})
    assert all(name in said for name in ("port", "grace", "COUNTERSIGN_NONSENSE", "public_url"))
    assert len(said.splitlines()) == 4


def test_no_secret_is_repeated_in_a_fault(tmp_path: Path) -> None:
    """C8: whoever reads the error of a start learns no password."""
    said = faults(
        {
            **DEVELOPMENT,
            **MAIL,
            "COUNTERSIGN_DATABASE_URL": "mysql://user:hunter2@host/x",
            "COUNTERSIGN_METRICS_TOKEN": "hunter2",
            "COUNTERSIGN_PROVIDERS_MAIL_PASSWORD": "hunter2",
            "COUNTERSIGN_PROVIDERS_HOOK_KIND": "webhook",
            "COUNTERSIGN_PROVIDERS_HOOK_URL": "https://hunter2.example.org",
            "COUNTERSIGN_PROVIDERS_HOOK_SECRET": "hunter2",
        },
        written(tmp_path, "[providers.mail]\npassword = 7\n"),
    )
    assert "hunter2" not in said


def test_no_secret_is_shown_by_the_settings_themselves() -> None:
    """C8: a log or a traceback that shows the settings shows nothing of them."""
    settings = load(
        {
            **DEVELOPMENT,
            "COUNTERSIGN_METRICS_TOKEN": "a token of sixteen",
            "COUNTERSIGN_DATABASE_URL": "postgresql://a:hunter2@b/c",
        }
    )
    assert "hunter2" not in repr(settings)
    assert "sixteen" not in repr(settings)


def test_a_secret_is_read_from_a_file_without_its_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a token of sixteen\n")
    assert (
        load({**DEVELOPMENT, "COUNTERSIGN_METRICS_TOKEN_FILE": str(tmp_path / "token")}).metrics.token
        == "a token of sixteen"
    )
    file = written(tmp_path, f'[metrics]\ntoken_file = "{tmp_path / "token"}"\n')
    assert load(DEVELOPMENT, file).metrics.token == "a token of sixteen"


def test_a_secret_that_is_given_twice_stops_the_start(tmp_path: Path) -> None:
    said = faults(
        {**DEVELOPMENT, "COUNTERSIGN_METRICS_TOKEN": "x" * 16, "COUNTERSIGN_METRICS_TOKEN_FILE": str(tmp_path)}
    )
    assert "keep one of the two" in said


def test_a_secret_whose_file_is_missing_stops_the_start(tmp_path: Path) -> None:
    said = faults({**DEVELOPMENT, "COUNTERSIGN_METRICS_TOKEN_FILE": str(tmp_path / "none")})
    assert "COUNTERSIGN_METRICS_TOKEN_FILE" in said
    assert "cannot be read" in said


def test_the_key_file_is_a_setting_and_not_a_secret_in_a_file() -> None:
    assert load({**DEVELOPMENT, "COUNTERSIGN_SECRET_FILE": "/somewhere/keys"}).secret_file == Path("/somewhere/keys")


def test_a_provider_comes_from_the_environment_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    settings = load(
        {
            **PRODUCTION,
            "COUNTERSIGN_PROVIDERS_MY_MAIL_KIND": "smtp",
            "COUNTERSIGN_PROVIDERS_MY_MAIL_HOST": "mail.example.org",
            "COUNTERSIGN_PROVIDERS_MY_MAIL_PORT": "465",
            "COUNTERSIGN_PROVIDERS_MY_MAIL_TLS": "tls",
            "COUNTERSIGN_PROVIDERS_MY_MAIL_FROM_ADDRESS": "codes@example.org",
            "COUNTERSIGN_PROVIDERS_MY_MAIL_USERNAME": "ada",
            "COUNTERSIGN_PROVIDERS_MY_MAIL_PASSWORD_FILE": str(tmp_path / "password"),
            "COUNTERSIGN_ROUTES_EMAIL": "my_mail",
        }
    )
    mail = settings.providers["my_mail"]
    assert (mail.settings.port, mail.settings.password) == (465, "hunter2")
    assert settings.routes == {Channel.EMAIL: unweighted("my_mail")}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({**MAIL, "COUNTERSIGN_ROUTES_EMAIL": "post"}, "there is no provider 'post'"),
        ({**MAIL, "COUNTERSIGN_ROUTES_SMS": "mail"}, "mail is a mail server and cannot carry sms"),
        ({**MAIL, "COUNTERSIGN_ROUTES_EMAIL": "mail, mail"}, "names a provider twice"),
        ({"COUNTERSIGN_ROUTES_EMAIL": "inbox"}, "the inbox is for development"),
        ({"COUNTERSIGN_PROVIDERS_INBOX_KIND": "smtp"}, "choose another name"),
        ({"COUNTERSIGN_PROVIDERS_MAIL_HOST": "x"}, "[providers.mail] kind: expected one of smtp, webhook, twilio"),
        ({**MAIL, "COUNTERSIGN_PROVIDERS_MAIL_HOST": ""}, "[providers.mail] (smtp): host is no host name"),
        (
            {"COUNTERSIGN_PROVIDERS_MAIL_KIND": "smtp"},
            "[providers.mail] (smtp): host is required: expected a host name.",
        ),
        (
            {**MAIL, "COUNTERSIGN_PROVIDERS_MAIL_TIMEOUT": "soon"},
            "timeout (COUNTERSIGN_PROVIDERS_MAIL_TIMEOUT): expected",
        ),
    ],
)
def test_a_provider_or_a_route_that_cannot_work_stops_the_start(environ: dict[str, str], said: str) -> None:
    assert said in faults({**PRODUCTION, **environ})


def test_a_purpose_keeps_what_is_not_set(tmp_path: Path) -> None:
    file = written(
        tmp_path, '[purposes.bind_contact]\nguesses = 3\n[purposes.pay]\ncode_length = 8\nchannels = ["sms"]\n'
    )
    purposes = load(DEVELOPMENT, file).purposes
    assert (purposes["bind_contact"].guesses, purposes["bind_contact"].binds) == (3, True)
    assert (purposes["pay"].shape.length, purposes["pay"].channels, purposes["pay"].guesses) == (8, (Channel.SMS,), 5)


def test_a_purpose_that_is_too_easily_guessed_stops_the_start() -> None:
    said = faults(
        {**DEVELOPMENT, "COUNTERSIGN_PURPOSES_SIGN_IN_CODE_LENGTH": "4", "COUNTERSIGN_PURPOSES_SIGN_IN_GUESSES": "10"}
        | {"COUNTERSIGN_PURPOSES_SIGN_IN_LIFETIME": "3600"}
    )
    assert "[purposes.sign_in] lifetime: expected 30 to 600 seconds, got 3600" in said
    assert "guesses" not in said  # ten guesses at ten thousand codes are one in a thousand, which is just allowed


def test_limits_are_read_as_people_write_them() -> None:
    settings = load(
        {**DEVELOPMENT, "COUNTERSIGN_LIMITS_DESTINATION": "3/1m, 20/1d", "COUNTERSIGN_LIMITS_REQUESTER": ""}
    )
    assert settings.limits.destination == (
        RateLimit("destination", 3, 60_000),
        RateLimit("destination_day", 20, 86_400_000),
    )
    assert settings.limits.requester == ()
    assert settings.limits.application == (), "no limit by default"
    bounded = load({**DEVELOPMENT, "COUNTERSIGN_LIMITS_APPLICATION": "600/1m, 50000/1d"})
    assert bounded.policy.application == (
        RateLimit("application", 600, 60_000),
        RateLimit("application_day", 50_000, 86_400_000),
    )


@pytest.mark.parametrize(
    ("word", "meant"), [("yes", True), ("true", True), ("1", True), ("no", False), ("false", False), ("off", False)]
)
def test_yes_and_no_may_be_said_in_several_ways(word: str, meant: bool) -> None:  # noqa: FBT001 - a table of words
    assert load({**DEVELOPMENT, "COUNTERSIGN_NO_WORKER": word}).no_worker is meant


ROUTED = """
[providers.first]
kind = "twilio"
account_sid = "AC1"
auth_token = "t"
sender = "+14155550100"
[providers.second]
kind = "vonage"
api_key = "k"
api_secret = "s"
sender = "Shop"
"""


def test_a_route_may_have_weights_and_numbers_a_route_of_their_own(tmp_path: Path) -> None:
    text = (
        ROUTED
        + """
[routes]
sms = ["first=3", "second = 1"]
[detours.dach]
channel = "sms"
prefixes = ["+49", "+43"]
providers = ["second", "first"]
"""
    )
    settings = load(PRODUCTION, written(tmp_path, text))
    assert settings.routes == {Channel.SMS: (WeightedProvider("first", 3), WeightedProvider("second", 1))}
    own = unweighted("second", "first")
    assert settings.detours == {Channel.SMS: (PrefixRoute("+49", own), PrefixRoute("+43", own))}
    assert settings.providers["first"].callback == "https://verify.example.org/v1/receipts/first"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[routes]\nsms = ['first=0']", "a weight is a number from 1 to 1000"),
        ("[routes]\nsms = ['first=many']", "a weight is a number from 1 to 1000"),
        ("[routes]\nsms = ['first=1', 'second']", "either every provider has a weight"),
        ("[routes]\nsms = ['first=1', 'first=2']", "names a provider twice"),
        ("[routes]\nvoice = ['second']", "second is a gateway for SMS and cannot carry voice"),
        ("[detours.x]\nchannel = 'sms'\nprefixes = ['+49']", "channel, prefixes and providers are required"),
        ("[detours.x]\nchannel = 'sms'\nprefixes = ['49']\nproviders = ['first']", "the beginnings of numbers"),
        ("[detours.x]\nchannel = 'email'\nprefixes = ['+49']\nproviders = ['first']", "the beginnings of numbers"),
        ("[detours.x]\nchannel = 'sms'\nprefixes = ['+49']\nproviders = ['third']", "there is no provider 'third'"),
        ("[detours.x]\nchannel = 'sms'\nprefixes = ['+49', '+49']\nproviders = ['first']", "two detours"),
    ],
)
def test_a_route_that_cannot_be_meant_stops_the_start(tmp_path: Path, more: str, told: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(told)):
        load(PRODUCTION, written(tmp_path, ROUTED + more))


def test_a_provider_whose_name_begins_with_anothers_keeps_its_own_settings() -> None:
    """The longest name that fits is meant: COUNTERSIGN_PROVIDERS_MAIL_EU_HOST is not `eu_host` of `mail`."""
    both = {**MAIL, **{name.replace("_MAIL_", "_MAIL_EU_"): value for name, value in MAIL.items()}}
    both["COUNTERSIGN_PROVIDERS_MAIL_EU_HOST"] = "eu.example.org"
    providers = load({**PRODUCTION, **both}).providers
    assert {name: provider.settings.host for name, provider in providers.items()} == {
        "mail": "mail.example.org",
        "mail_eu": "eu.example.org",
    }


def test_a_setting_of_another_kind_is_named_with_the_kind_that_lacks_it() -> None:
    said = faults({**PRODUCTION, **MAIL, "COUNTERSIGN_PROVIDERS_MAIL_AUTH_TOKEN": "t"})
    assert said.startswith("COUNTERSIGN_PROVIDERS_MAIL_AUTH_TOKEN: there is no such setting of smtp")


def test_faults_of_all_tables_are_told_at_once() -> None:
    said = faults({**MAIL, "COUNTERSIGN_PROVIDERS_MAIL_HOST": "", "COUNTERSIGN_ROUTES_SMS": "nobody"})
    assert all(
        part in said for part in ("public_url", "[providers.mail] (smtp): host", "there is no provider 'nobody'")
    )
