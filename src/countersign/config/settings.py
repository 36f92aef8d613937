"""The settings: frozen, checked as a whole before anything starts, every fault named with its place and what was expected."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from countersign.config.fraud import read_pumping
from countersign.config.mailbox import read_mailbox
from countersign.config.provider_table import PROVIDER_SETTINGS
from countersign.config.risk import read_risk
from countersign.config.routes import read_carriers, read_detours
from countersign.config.setting import Setting
from countersign.config.sources import Given, Sources, gather
from countersign.config.table import DETOUR_SETTINGS, PURPOSE_SETTINGS, SETTINGS
from countersign.domain.accounts.risk import RiskPolicy
from countersign.domain.accounts.session import SignInPolicy
from countersign.domain.delivery.route import PrefixRoute, WeightedProvider
from countersign.domain.delivery.sms_pumping import PumpingPolicy
from countersign.domain.policy import INBOX, InstallationPolicy
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.code import Alphabet, CodeShape
from countersign.domain.verifications.purpose import DEFAULT_POLICIES, Policy
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.errors import SettingsError
from countersign.providers.email.bounce_mailbox import MailboxSettings
from countersign.providers.registry import KINDS

if TYPE_CHECKING:
    from countersign.providers.email.smtp import SmtpSettings
    from countersign.providers.http.api_settings import ApiSettings
    from countersign.providers.smpp.provider import SmppSettings
    from countersign.providers.sms.apprise_gateways import AppriseSettings
    from countersign.providers.webhook import WebhookSettings

    ProviderSettings: TypeAlias = SmtpSettings | SmppSettings | WebhookSettings | ApiSettings | AppriseSettings

Network: TypeAlias = IPv4Network | IPv6Network

LEAST_TOKEN: Final = 16
MAX_SITE: Final = 60
_LIMIT: Final = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,6})([smhd])")
_SCOPE: Final = re.compile(r"[a-z][a-z0-9_.:-]{0,39}")
_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_WORDS: Final = {"yes": True, "on": True, "no": False, "off": False}
_DEFAULT_RULES: Final = InstallationPolicy()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """An installation's settings; the table in `config/table.py` tells each one's meaning. Its repr shows nothing secret."""

    environment: Literal["development", "production"]
    home: Path
    database_url: str
    database_lanes: int
    database_pool: int
    secret_file: Path
    public_url: str
    site: str
    host: str
    bind: str
    port: int
    workers: int
    no_worker: bool
    grace: int
    trusted_proxies: tuple[Network, ...]
    queue_bound: int
    retention_days: int
    purposes: dict[str, Policy]
    destination_limits: tuple[RateLimit, ...]
    requester_limits: tuple[RateLimit, ...]
    providers: dict[str, ProviderSettings]
    routes: dict[Channel, tuple[WeightedProvider, ...]]
    detours: dict[Channel, tuple[PrefixRoute, ...]]
    integration_scopes: tuple[str, ...]
    entrance: SignInPolicy
    passwords_least: int
    passwords_slots: int
    passwords_breached_file: Path | None
    places_file: Path | None
    lists: dict[str, Path]
    bounces: MailboxSettings | None
    risk: RiskPolicy
    pumping: PumpingPolicy
    messages_folder: Path | None
    code_in_subject: bool
    metrics_token: str
    metrics_port: int | None
    log_level: str
    log_format: str

    @property
    def development(self) -> bool:
        """Say whether this is a developer's machine."""
        return self.environment == "development"

    @property
    def sqlite(self) -> bool:
        """Say whether the database is a file of ours."""
        return self.database_url.startswith("sqlite:")

    def __repr__(self) -> str:
        """Hide what may be secret."""
        return f"Settings({self.environment}, {self.home})"


def load(environ: Mapping[str, str], config_file: Path | None = None) -> Settings:
    """Return the settings of a file and the environment; raises SettingsError that names every fault, its place, and what was expected."""
    sources = gather(environ, config_file)
    reader = _Reader(sources)
    settings = reader.settings()
    if reader.faults:
        raise SettingsError("\n".join(reader.faults))
    return settings


def rules(settings: Settings) -> InstallationPolicy:
    """Return what the flows are handed."""
    return InstallationPolicy(
        policies=settings.purposes,
        destination=settings.destination_limits,
        requester=settings.requester_limits,
        routes=settings.routes,
        detours=settings.detours,
        pumping=settings.pumping,
    )


class _Reader:
    """Reads one setting after the other, and gathers what is wrong, so that all of it is told at once."""

    def __init__(self, sources: Sources) -> None:
        self._given = sources.single
        self._families = sources.families
        self._settings = {setting.name: setting for setting in SETTINGS}
        self.faults = sources.faults

    def settings(self) -> Settings:
        """Return the settings; worth nothing if there are faults."""
        development = self._value("environment", "production") == "development"
        home = Path(self._value("home", ".countersign"))
        port = self._value("port", 8000)
        public_url = self._public_url(f"http://localhost:{port}" if development else None)
        providers = self._providers(public_url)
        lists, risk = read_risk(self._value, self._fault)
        strict = self._value("profile", "balanced") == "strict"
        metrics_token = self._value("metrics.token", "")
        if metrics_token and len(metrics_token) < LEAST_TOKEN:
            self._fault("metrics.token")
        site = self._value("site", "Countersign")
        if not site.strip() or len(site) > MAX_SITE or not site.isprintable():
            self._fault("site")
        return Settings(
            environment="development" if development else "production",
            home=home,
            database_url=self._database_url(home),
            database_lanes=self._value("database_lanes", 1),
            database_pool=self._value("database_pool", 8),
            secret_file=Path(self._value("secret_file", str(home / "secret.keys"))),
            public_url=public_url,
            site=site,
            host=self._host(urlsplit(public_url).hostname or ""),
            bind=self._bind(),
            port=port,
            workers=self._value("workers", 1),
            no_worker=self._value("no_worker", False),
            grace=self._value("grace", 20),
            trusted_proxies=self._networks(),
            queue_bound=self._value("queue_bound", 4096),
            retention_days=self._value("retention_days", 30),
            purposes=self._purposes(),
            destination_limits=self._limits("destination", _DEFAULT_RULES.destination),
            requester_limits=self._limits("requester", _DEFAULT_RULES.requester),
            providers=providers,
            routes=self._routes(development=development),
            detours=self._detours(development=development),
            integration_scopes=self._scopes(),
            entrance=self._entrance(strict=strict),
            passwords_least=self._value("passwords.least", 15 if strict else 8),
            passwords_slots=self._value("passwords.slots", os.cpu_count() or 1),
            passwords_breached_file=self._file("passwords.breached_file"),
            places_file=self._file("risk.places_file"),
            lists=lists,
            risk=risk,
            pumping=read_pumping(self._value, self._fault),
            bounces=read_mailbox(self._value, self.faults),
            messages_folder=self._file("messages.folder"),
            code_in_subject=self._value("messages.code_in_subject", False),
            metrics_token=metrics_token,
            metrics_port=self._value("metrics.port", None),
            log_level=self._value("log.level", "info"),
            log_format=self._value("log.format", "auto"),
        )

    def _value(self, name: str, default: Any) -> Any:  # noqa: ANN401 - of the type that the table says
        given = self._given.get(name)
        return default if given is None else self._converted(self._settings[name], given, default)

    def _converted(self, setting: Setting, given: Given, default: Any = None) -> Any:  # noqa: ANN401
        value = given.value
        if isinstance(value, str) and setting.type not in {str, float, int}:
            word = value.strip()
            if str(setting.type).startswith("tuple["):
                value = [part.strip() for part in word.split(",") if part.strip()]
            elif setting.type is bool:
                value = _WORDS.get(word.lower(), word)
        try:
            # Not strict, since the environment has nothing but text; but a number is not taken for a text.
            return msgspec.convert(
                value, setting.type, strict=isinstance(given.value, bool) or not isinstance(value, str | list)
            )
        except msgspec.ValidationError:
            self.faults.append(_sentence(setting, given))
            return default

    def _fault(self, name: str) -> None:
        given = self._given.get(name)
        if given is not None:
            self.faults.append(_sentence(self._settings[name], given))

    def _public_url(self, default: str | None) -> str:
        found: str | None = self._value("public_url", default)
        if found is None:
            if "public_url" not in self._given:
                self.faults.append(
                    "public_url (COUNTERSIGN_PUBLIC_URL) is required in production: the https address by which people reach this"
                    " installation. To try Countersign out, set COUNTERSIGN_ENVIRONMENT=development."
                )
            return ""
        found = found.rstrip("/")
        try:
            parts = urlsplit(found)
            sound = parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
            sound = sound and found == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
        except ValueError:
            sound = False
        if not sound:
            self._fault("public_url")
        return found if sound else ""

    def _database_url(self, home: Path) -> str:
        found: str = self._value("database_url", f"sqlite:///{home / 'countersign.db'}")
        sound = found.startswith(("postgresql://", "postgres://")) or (
            found.startswith("sqlite:///") and found.removeprefix("sqlite:///") not in {"", ":memory:"}
        )
        if not sound:
            self._fault("database_url")
        return found

    def _host(self, default: str) -> str:
        found: str = self._value("host", default)
        try:
            found = found.encode("idna").decode().lower() if not found.isascii() else found.lower()
        except UnicodeError:
            found = ""
        if not _HOST.fullmatch(found):
            self._fault("host")
        return found

    def _bind(self) -> str:
        found: str = self._value("bind", "127.0.0.1")
        try:
            return str(ip_address("127.0.0.1" if found == "localhost" else found.strip("[]")))
        except ValueError:
            self._fault("bind")
            return found

    def _networks(self) -> tuple[Network, ...]:
        found: list[Network] = []
        for text in self._value("trusted_proxies", ()):
            try:
                found.append(ip_network(text))
            except ValueError:
                self._fault("trusted_proxies")
        return tuple(found)

    def _entrance(self, *, strict: bool) -> SignInPolicy:
        return SignInPolicy(
            session_lifetime=self._value("sign_in.session_hours", 8 if strict else 12) * 3_600_000,
            trusts_browsers=self._value("sign_in.trusted_browsers", not strict),
            sent_codes=self._value("sign_in.sent_codes", not strict),
        )

    def _scopes(self) -> tuple[str, ...]:
        found: tuple[str, ...] = self._value("integration_codes.scopes", ("read", "write"))
        if not found or len(set(found)) != len(found) or not all(_SCOPE.fullmatch(name) for name in found):
            self._fault("integration_codes.scopes")
        return found

    def _file(self, name: str) -> Path | None:
        found: str = self._value(name, "")
        return Path(found) if found else None

    def _limits(self, who: str, default: tuple[RateLimit, ...]) -> tuple[RateLimit, ...]:
        texts: tuple[str, ...] | None = self._value(f"limits.{who}", None)
        if texts is None:
            return default
        found: list[RateLimit] = []
        for text in texts:
            match = _LIMIT.fullmatch(text.replace(" ", ""))
            if match is None:
                self._fault(f"limits.{who}")
                continue
            burst, count, unit = match.groups()
            name = who if not found else f"{who}_{'day' if count + unit == '1d' else count + unit}"
            found.append(RateLimit(name, int(burst), int(count) * _UNITS[unit]))
        if len({limit.name for limit in found}) != len(found):
            self._fault(f"limits.{who}")
        return tuple(found)

    def _purposes(self) -> dict[str, Policy]:
        known = {setting.name: setting for setting in PURPOSE_SETTINGS}
        found = dict(DEFAULT_POLICIES)
        for name, table in self._families["purposes"].items():
            set_ = {key: self._converted(known[key], given) for key, given in table.items()}
            set_ = {key: value for key, value in set_.items() if value is not None}
            before = found.get(name, Policy())
            length, alphabet = (
                set_.pop("code_length", before.shape.length),
                set_.pop("code_alphabet", before.shape.alphabet),
            )
            policy = msgspec.structs.replace(before, shape=CodeShape(length, Alphabet(alphabet)), **set_)
            self.faults += [f"[purposes.{name}] {fault}." for fault in policy.faults()]
            found[name] = policy
        return found

    def _providers(self, public_url: str) -> dict[str, ProviderSettings]:
        found: dict[str, ProviderSettings] = {}
        for name, table in self._families["providers"].items():
            provider = self._provider(name, table, public_url)
            if provider is not None:
                found[name] = provider
        return found

    def _provider(self, name: str, table: dict[str, Given], public_url: str) -> ProviderSettings | None:
        if name == INBOX:
            self.faults.append(
                "[providers.inbox]: the inbox is always there, in development and for test keys; choose another name."
            )
            return None
        known = {setting.name: setting for setting in PROVIDER_SETTINGS}
        before = len(self.faults)
        set_ = {key: self._converted(known[key], given) for key, given in table.items()}
        kind = set_.pop("kind", None)
        if len(self.faults) > before:
            return None
        if kind is None:
            self.faults.append(f"[providers.{name}] kind: expected one of {', '.join(KINDS)}; it is missing.")
            return None
        try:
            if kind != "smtp":
                set_["name"] = name
            # A provider calls nobody back in the clear; but for one of our own network, which a test or a proxy may be.
            if KINDS[kind].called_back and (public_url.startswith("https:") or set_.get("allow_http")):
                set_["callback"] = f"{public_url}/v1/receipts/{name}"
            made: ProviderSettings = msgspec.convert(set_, KINDS[kind].settings())
        except (msgspec.ValidationError, SettingsError) as error:
            # Neither kind of error repeats a value.
            self.faults.append(f"[providers.{name}] ({kind}): {str(error).rstrip('.')}.")
            return None
        return made

    def _routes(self, *, development: bool) -> dict[Channel, tuple[WeightedProvider, ...]]:
        found: dict[Channel, tuple[WeightedProvider, ...]] = {}
        for channel in Channel:
            name = f"routes.{channel.value}"
            names: tuple[str, ...] = self._value(name, (INBOX,) if development else ())
            where = f"{name} ({self._given[name].where})" if name in self._given else name
            carriers = read_carriers(
                names, channel, where, self._families["providers"], self.faults, development=development
            )
            if carriers:
                found[channel] = carriers
        return found

    def _detours(self, *, development: bool) -> dict[Channel, tuple[PrefixRoute, ...]]:
        known = {setting.name: setting for setting in DETOUR_SETTINGS}
        tables = {
            name: {key: self._converted(known[key], given) for key, given in table.items()}
            for name, table in self._families["detours"].items()
        }
        return read_detours(tables, self._families["providers"], self.faults, development=development)


def _sentence(setting: Setting, given: Given) -> str:
    got = "" if setting.secret else f", got {given.value!r}"
    return f"{setting.name} ({given.where}): expected {setting.expects}{got}."
