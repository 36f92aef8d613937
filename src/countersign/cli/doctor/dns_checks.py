"""The checks of `countersign doctor` for the domains of mail: SPF, the key of each DKIM selector, DMARC, and where bounces go."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.providers.email.message import ascii_domain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countersign.config import Settings
    from countersign.providers.email.dkim import DkimKey, DkimSigner

PATIENCE: Final = 5.0
"""Seconds for one question, over all servers and tries."""

_PORT: Final = 53
_TAG: Final = re.compile(r"\s*([a-z]+)\s*=\s*(.*?)\s*\Z", re.DOTALL)
_FORBIDS_ALL: Final = re.compile(r"v=spf1(\s+exp=\S+)*\s+-all", re.IGNORECASE)
_ALLOWS_ALL: Final = re.compile(r"(?:^|\s)\+?all(?:\s|$)", re.IGNORECASE)


Finding: TypeAlias = tuple[CheckState, str, str]
"""A state, what was seen, and the remedy."""


class UnansweredError(Exception):
    """No server has answered a question."""


class MailDomain(msgspec.Struct, frozen=True):
    """A provider of mail, the domain that people see, that of its envelope ("" if the provider has its own), and who signs."""

    provider: str
    visible: str
    envelope: str
    bounces: str
    signer: DkimSigner | None


async def check_mail_domains(settings: Settings, resolver: str = "") -> list[CheckResult]:
    """Ask the DNS for what receivers of our mail will ask. `resolver` is an address with or without a port; "" is the system's."""
    domains = list(_mail_domains(settings))
    if not domains:
        return []
    try:
        questions = Questions(resolver)
    except (dns.exception.DNSException, OSError, ValueError):
        return [
            CheckResult(
                "dns", CheckState.ADVICE, "There is no DNS server to ask.", "Name one: countersign doctor --resolver"
            )
        ]
    checks: dict[str, Callable[[], Awaitable[Finding]]] = {}
    for one in domains:
        if one.envelope:
            checks[f"dns {one.envelope} SPF"] = partial(_spf, questions, one.envelope)
        for key in () if one.signer is None else one.signer.keys:
            place = f"{key.selector}._domainkey.{one.signer.domain if one.signer else ''}"
            checks[f"dns {place}"] = partial(_dkim, questions, place, key)
        checks[f"dns {one.visible} DMARC"] = partial(_dmarc, questions, one)
        if one.bounces:
            checks[f"dns {one.bounces} MX"] = partial(_mx, questions, one.bounces)
    return list(await asyncio.gather(*(_answered(name, check) for name, check in checks.items())))


class Questions:
    """Asks one DNS server, or those of the system."""

    def __init__(self, server: str) -> None:
        self._resolver = dns.asyncresolver.Resolver(configure=not server)
        self._resolver.lifetime = PATIENCE
        if server:
            host, port = _split(server)
            self._resolver.nameservers = [host]
            self._resolver.port = port

    async def texts(self, name: str) -> list[str]:
        """Return the TXT records of a name, each as one text; none if there is no such name. Raises UnansweredError."""
        answer = await self._ask(name, "TXT")
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer or ()]

    async def has(self, name: str, kind: str) -> bool:
        """Return whether a name has records of a kind. Raises UnansweredError."""
        return bool(await self._ask(name, kind))

    async def _ask(self, name: str, kind: str) -> dns.resolver.Answer | None:
        try:
            return await self._resolver.resolve(dns.name.from_text(name), kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return None
        except (dns.exception.DNSException, OSError) as error:
            raise UnansweredError(type(error).__name__) from error


def _split(server: str) -> tuple[str, int]:
    """Return address and port of `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`."""
    if server.startswith("["):
        host, _, port = server[1:].partition("]")
        return host, int(port.removeprefix(":") or _PORT)
    if server.count(":") == 1:
        host, _, port = server.partition(":")
        return host, int(port)
    return server, _PORT


def _mail_domains(settings: Settings) -> Iterator[MailDomain]:
    for name, configured in settings.providers.items():
        given = configured.settings
        if configured.kind == "smtp":
            visible = _domain(given.from_address)
            bounces = _domain(given.bounce_address) if given.bounce_address else ""
            yield MailDomain(name, visible, bounces or visible, bounces, given.signer())
        elif configured.kind == "ses":  # it signs by itself, and has an envelope of its own
            yield MailDomain(name, _domain(given.from_address), "", "", None)


def _domain(address: str) -> str:
    return ascii_domain(address).rpartition("@")[2].lower()


async def _answered(name: str, check: Callable[[], Awaitable[Finding]]) -> CheckResult:
    try:
        state, what, remedy = await check()
    except UnansweredError as error:
        return CheckResult(
            name,
            CheckState.ADVICE,
            f"No DNS server has answered ({error}).",
            "Name another: countersign doctor --resolver",
        )
    return CheckResult(name, state, what, remedy)


async def _spf(questions: Questions, domain: str) -> Finding:
    """Judge the SPF record of the envelope's domain (RFC 7208)."""
    found = [one for one in await questions.texts(domain) if re.match(r"v=spf1(\s|$)", one, re.IGNORECASE)]
    if not found:
        return (
            CheckState.ADVICE,
            "There is no SPF record, so receivers cannot see which servers send for this domain.",
            f'Add a TXT record to {domain}, such as "v=spf1 include:your-mail-server -all".',
        )
    if len(found) > 1:
        return (
            CheckState.UNSAFE,
            f"There are {len(found)} SPF records: receivers then take none (RFC 7208, 4.5).",
            "Join them in one.",
        )
    if _FORBIDS_ALL.fullmatch(found[0].strip()):
        return (
            CheckState.UNSAFE,
            f'"{found[0]}" says that nobody sends mail for this domain.',
            "Name the mail server in it.",
        )
    if _ALLOWS_ALL.search(found[0]):
        return CheckState.UNSAFE, f'"{found[0]}" lets everybody send for this domain.', "End it with -all."
    return CheckState.FINE, found[0], ""


async def _dkim(questions: Questions, place: str, key: DkimKey) -> Finding:
    """Compare the key in the DNS with ours (RFC 6376, 3.6.1)."""
    wanted, *others = _public_forms(key)
    kind = "ed25519" if isinstance(key.key, Ed25519PrivateKey) else "rsa"
    record = f'"v=DKIM1; k={kind}; p={wanted}"'
    found = [_tags(one) for one in await questions.texts(place) if "p" in _tags(one)]
    if not found:
        return (
            CheckState.UNSAFE,
            "There is no key, so that no receiver can verify our signatures.",
            f"Add a TXT record to {place}: {record}",
        )
    if len(found) > 1:
        return CheckState.UNSAFE, f"There are {len(found)} keys, and one is right.", f"Leave this one alone: {record}"
    tags = found[0]
    published = re.sub(r"\s", "", tags["p"])
    if not published:
        return CheckState.UNSAFE, "The key was withdrawn: its p= is empty.", f"Put the key there: {record}"
    if published not in {wanted, *others} or tags.get("k", "rsa") != kind:
        return (
            CheckState.UNSAFE,
            "The key is another one than that which signs, so that receivers take our mail for forged.",
            f"Put the key there that belongs to the settings: {record}",
        )
    if "y" in tags.get("t", "").split(":"):
        return CheckState.ADVICE, "The key is marked as one for tests (t=y).", "Take t=y away."
    return CheckState.FINE, f"the key of the settings ({kind})", ""


async def _dmarc(questions: Questions, domain: MailDomain) -> Finding:
    """Judge the DMARC policy of the visible domain, or of the nearest domain above it (RFC 7489, 6.6.3)."""
    found: list[str] = []
    place = domain.visible
    while "." in place:
        found = [one for one in await questions.texts(f"_dmarc.{place}") if re.match(r"v=DMARC1\s*(;|$)", one)]
        if found:
            break
        place = place.partition(".")[2]
    if not found:
        return (
            CheckState.ADVICE,
            "There is no DMARC policy, so others can send in the name of this domain; large receivers ask senders for one.",
            f'Add a TXT record to _dmarc.{domain.visible}, such as "v=DMARC1; p=none; rua=mailto:dmarc@{domain.visible}".',
        )
    if len(found) > 1:
        return CheckState.UNSAFE, f"There are {len(found)} policies: receivers then take none.", "Leave one."
    tags = _tags(found[0])
    policy = (tags.get("sp") or tags.get("p", "") if place != domain.visible else tags.get("p", "")).lower()
    signed = domain.signer is not None and _is_aligned(domain.signer.domain, domain.visible)
    by_spf = bool(domain.envelope) and _is_aligned(domain.envelope, domain.visible)
    if policy in {"quarantine", "reject"} and domain.envelope and not signed and not by_spf:
        return (
            CheckState.UNSAFE,
            f"The policy is {policy}, and neither the signature nor the envelope is of this domain: our mail is taken for forged.",
            f"Sign with a dkim_domain of {domain.visible}.",
        )
    if policy in {"quarantine", "reject"} and domain.envelope and domain.signer is None:
        return (
            CheckState.ADVICE,
            f"The policy is {policy}, and our mail is not signed: where it is forwarded it is taken for forged.",
            "Set dkim_domain, dkim_selector and dkim_key_file of the provider, unless the mail server signs.",
        )
    return CheckState.FINE, f"{found[0]}{f' (of {place})' if place != domain.visible else ''}", ""


async def _mx(questions: Questions, domain: str) -> Finding:
    if await questions.has(domain, "MX") or await questions.has(domain, "A") or await questions.has(domain, "AAAA"):
        return CheckState.FINE, "bounces have a way back", ""
    return (
        CheckState.UNSAFE,
        "No mail server takes mail for the domain of bounces; many receivers refuse a sender like that.",
        f"Add an MX record to {domain}.",
    )


def _is_aligned(one: str, visible: str) -> bool:
    """Return whether two domains are alike enough for DMARC's relaxed alignment, as far as that is seen without a list of suffixes."""
    return one == visible or one.endswith(f".{visible}") or visible.endswith(f".{one}")


def _tags(record: str) -> dict[str, str]:
    """Return the tags of a record such as `v=DKIM1; p=...` (RFC 6376, 3.2)."""
    found = (_TAG.match(part) for part in record.split(";"))
    return {one[1]: one[2] for one in found if one}


def _public_forms(key: DkimKey) -> list[str]:
    """Return the public key as it stands in the DNS: that of Ed25519 raw (RFC 8463, 4), that of RSA in either of its two forms."""
    public = key.key.public_key()
    raw = (
        [public.public_bytes(Encoding.Raw, PublicFormat.Raw)]
        if isinstance(key.key, Ed25519PrivateKey)
        else [
            public.public_bytes(Encoding.DER, form) for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)
        ]
    )
    return [base64.b64encode(one).decode() for one in raw]
