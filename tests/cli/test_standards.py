"""How a configuration stands to the standards: computed from its settings, and each setting moves its own row."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from countersign.cli.doctor.standards import STATEMENTS, Conformance, assess
from countersign.config import load

DOCUMENT = Path(__file__).parents[2] / "docs" / "standards.md"
BASE = {"COUNTERSIGN_ENVIRONMENT": "production", "COUNTERSIGN_PUBLIC_URL": "https://verify.example.org"}


def departures(**settings: str) -> set[str]:
    """Return what a configuration departs from."""
    environ = {**BASE, **{f"COUNTERSIGN_{name}": value for name, value in settings.items()}}
    found = assess(load(environ))
    return {f"{one.number} {one.asks}" for one in found if one.standing is Conformance.DEPARTS}


@pytest.mark.parametrize(
    ("setting", "value", "mends"),
    [
        ("PASSWORDS_LEAST", "15", {"3.1.1.2"}),
        ("SIGN_IN_SENT_CODES", "no", {"3.1.3.1"}),
        ("SIGN_IN_TRUSTED_BROWSERS", "no", {"2.2.1", "2.2.3", "3.1.1.2"}),
        ("PASSWORDS_BREACHED_FILE", "/var/lib/pwned.txt", {"3.1.1.2", "6.2.12"}),
        ("RECOVERY_DELAYED", "no", {"4.2"}),
        ("PROFILE", "strict", {"2.2.1", "2.2.3", "3.1.1.2", "3.1.3.1", "4.2"}),
    ],
)
def test_each_setting_moves_its_own_rows(setting: str, value: str, mends: set[str]) -> None:
    """S9, S10, S5: what a profile sets can be set alone, and what is set alone overrides the profile."""
    before, after = departures(), departures(**{setting: value})
    assert after < before
    assert {one.split()[0] for one in before - after} == mends


def test_a_single_setting_overrides_the_profile() -> None:
    assert departures(PROFILE="strict", SIGN_IN_SENT_CODES="yes") > departures(PROFILE="strict")
    assert departures(PUBLIC_URL="http://localhost:8000", ENVIRONMENT="development") > departures()


def test_the_command_tells_it_to_a_person_and_to_a_script(run: Run) -> None:
    lines = run("doctor", "--standards").stdout.splitlines()
    assert len(lines) == len(STATEMENTS)
    assert all(len(line.split("\t")) == 5 for line in lines)
    told = json.loads(run("doctor", "--standards", "--json").stdout)
    assert [one["number"] for one in told] == [one.number for one in STATEMENTS]


def test_the_document_says_the_same() -> None:
    text = DOCUMENT.read_text()
    balanced, strict = (assess(load({**BASE, "COUNTERSIGN_PROFILE": name})) for name in ("balanced", "strict"))
    for one, other in zip(balanced, strict, strict=True):
        row = f"| {one.source.split()[0]} {one.number} | {one.asks} | {one.standing.value} | {other.standing.value} | {one.why} | {', '.join(f'`{name}`' for name in one.attacked_by)} |"
        assert row in text, row


def test_every_statement_that_is_met_names_a_test_that_tries_to_break_it() -> None:
    """What nobody tries to break is not said to be met; a test that is renamed or removed takes the word back."""
    there = set()
    for path in (DOCUMENT.parents[1] / "tests").rglob("test_*.py"):
        there |= set(re.findall(r"^(?:    )?(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    settings = [
        load({**BASE, "COUNTERSIGN_PROFILE": profile, "COUNTERSIGN_PASSWORDS_BREACHED_FILE": "/var/lib/pwned.txt"})
        for profile in ("balanced", "strict")
    ]
    met = {one for each in settings for one in assess(each) if one.standing is Conformance.MET}
    assert [f"{one.number} {one.asks}" for one in met if not one.attacked_by] == []
    assert {name for one in STATEMENTS for name in one.attacked_by} - there == set()
