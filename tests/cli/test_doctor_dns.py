"""The doctor asks the DNS what receivers of our mail will ask: SPF, the keys of DKIM, DMARC, and where bounces go."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from tests.peers.dns_server import dns_server
from tests.peers.program import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

Records: TypeAlias = dict[tuple[str, str], list[str]]
RSA = rsa.generate_private_key(65_537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()
KEY_PLACE, ED_PLACE = "2026a._domainkey.mail.example.org", "2026b._domainkey.mail.example.org"


def public(key: rsa.RSAPrivateKey, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, form)).decode()


def quoted(text: str) -> str:
    """Write a TXT record in parts of 255 bytes, as a long key must be."""
    return " ".join(f'"{text[start : start + 250]}"' for start in range(0, len(text), 250))


def good() -> Records:
    ed = base64.b64encode(ED.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    return {
        ("bounces.mail.example.org", "TXT"): ['"v=spf1 ip4:192.0.2.1 -all"', '"some-site-verification=1"'],
        ("bounces.mail.example.org", "MX"): ["10 mx.example.org."],
        (KEY_PLACE, "TXT"): [quoted(f"v=DKIM1; k=rsa; p={public(RSA)}")],
        (ED_PLACE, "TXT"): [quoted(f"v=DKIM1; k=ed25519; p={ed}")],
        ("_dmarc.example.org", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:dmarc@example.org"'],
        ("mail.example.org", "TXT"): ['"something else"'],
    }


@pytest.fixture
def records() -> Records:
    return good()


@pytest.fixture
def server(records: Records) -> Iterator[str]:
    with dns_server(records) as address:
        yield address


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    for name, key in (("rsa", RSA), ("ed", ED)):
        file = tmp_path / f"{name}.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.chmod(0o600)
    given = {
        "KIND": "smtp",
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "FROM_ADDRESS": "codes@mail.example.org",
        "BOUNCE_ADDRESS": "bounces@bounces.mail.example.org",
        "DKIM_DOMAIN": "mail.example.org",
        "DKIM_SELECTOR": "2026a",
        "DKIM_KEY_FILE": str(tmp_path / "rsa.pem"),
        "DKIM_ED25519_SELECTOR": "2026b",
        "DKIM_ED25519_KEY_FILE": str(tmp_path / "ed.pem"),
    }
    return {f"PROVIDERS_MAIL_{name}": value for name, value in given.items()}


def found(run: Run, server: str, settings: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return the state and what was seen, by name, of each finding about the DNS; each that is not fine has a remedy."""
    ended = run("doctor", "--json", "--resolver", server, **settings)
    every = [one for one in json.loads(ended.stdout) if one["name"].startswith("dns")]
    assert all(one["remedy"] for one in every if one["state"] != "fine")
    return {one["name"].removeprefix("dns "): (one["state"], one["what"]) for one in every}


def test_a_domain_in_order_is_fine(run: Run, server: str, settings: dict[str, str]) -> None:
    """`doctor` did not look at the DNS."""
    seen = found(run, server, settings)
    assert {name: state for name, (state, _) in seen.items()} == {
        "bounces.mail.example.org SPF": "fine",
        "bounces.mail.example.org MX": "fine",
        KEY_PLACE: "fine",
        ED_PLACE: "fine",
        "mail.example.org DMARC": "fine",
    }
    assert "(of example.org)" in seen["mail.example.org DMARC"][1]


OTHER = rsa.generate_private_key(65_537, 2048)


@pytest.mark.parametrize(
    ("place", "records_there", "name", "state", "said"),
    [
        ("bounces.mail.example.org", [], "bounces.mail.example.org SPF", "advice", "no SPF"),
        ("bounces.mail.example.org", ['"v=spf1 -all"'], "bounces.mail.example.org SPF", "unsafe", "nobody sends"),
        ("bounces.mail.example.org", ['"v=spf1 +all"'], "bounces.mail.example.org SPF", "unsafe", "everybody"),
        ("bounces.mail.example.org", ['"v=spf1 a"', '"v=spf1 mx"'], "bounces.mail.example.org SPF", "unsafe", "2 SPF"),
        ("bounces.mail.example.org", ['"v=spf10 a"'], "bounces.mail.example.org SPF", "advice", "no SPF"),
        (KEY_PLACE, [], KEY_PLACE, "unsafe", "no key"),
        (KEY_PLACE, [quoted(f"v=DKIM1; p={public(OTHER)}")], KEY_PLACE, "unsafe", "another one"),
        (KEY_PLACE, ['"v=DKIM1; p="'], KEY_PLACE, "unsafe", "withdrawn"),
        (KEY_PLACE, [quoted(f"v=DKIM1; t=y; p={public(RSA)}")], KEY_PLACE, "advice", "t=y"),
        (KEY_PLACE, [quoted(f"p={public(RSA, PublicFormat.PKCS1)}")], KEY_PLACE, "fine", "the key of the settings"),
        (ED_PLACE, [quoted(f"k=rsa; p={public(RSA)}")], ED_PLACE, "unsafe", "another one"),
        ("_dmarc.example.org", [], "mail.example.org DMARC", "advice", "no DMARC"),
        ("_dmarc.example.org", ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'], "mail.example.org DMARC", "unsafe", "2 policies"),
        ("_dmarc.example.org", ['"v=DMARC1; p=none; sp=reject"'], "mail.example.org DMARC", "fine", "sp=reject"),
    ],
)  # fmt: skip
def test_what_receivers_would_stumble_over_is_named(
    run: Run,
    server: str,
    settings: dict[str, str],
    records: Records,
    place: str,
    records_there: list[str],
    name: str,
    state: str,
    said: str,
) -> None:
    records[place, "TXT"] = records_there
    if not records_there:
        del records[place, "TXT"]
    assert found(run, server, settings)[name][0] == state
    assert said in found(run, server, settings)[name][1]


def test_bounces_without_a_way_back_are_unsafe(
    run: Run, server: str, settings: dict[str, str], records: Records
) -> None:
    del records["bounces.mail.example.org", "MX"]
    assert found(run, server, settings)["bounces.mail.example.org MX"][0] == "unsafe"
    records["bounces.mail.example.org", "A"] = ["192.0.2.1"]
    assert found(run, server, settings)["bounces.mail.example.org MX"][0] == "fine"


def test_mail_that_a_policy_forbids_is_unsafe(
    run: Run, server: str, settings: dict[str, str], records: Records
) -> None:
    """The signature and the envelope are of others, and the domain says that such mail is forged."""
    records["_dmarc.shop.example", "TXT"] = ['"v=DMARC1; p=quarantine"']
    state, said = found(run, server, {**settings, "PROVIDERS_MAIL_FROM_ADDRESS": "codes@shop.example"})[
        "shop.example DMARC"
    ]
    assert (state, "forged" in said) == ("unsafe", True)


def test_a_server_that_does_not_answer_is_not_the_domains_fault(
    run: Run, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from countersign.cli.doctor import dns_checks

    monkeypatch.setattr(dns_checks, "PATIENCE", 0.2)
    seen = found(run, f"127.0.0.1:{free_port()}", settings)
    assert {state for state, _ in seen.values()} == {"advice"}
    assert "No DNS server has answered" in seen[KEY_PLACE][1]
    assert found(run, "nonsense of a server", settings)["dns"][0] == "advice"


def test_in_development_nobody_is_asked_unless_a_server_is_named(run: Run, settings: dict[str, str]) -> None:
    every = json.loads(run("doctor", "--json", **settings).stdout)
    assert not [one for one in every if one["name"].startswith("dns")]
