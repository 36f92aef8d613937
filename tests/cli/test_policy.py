"""What a changed policy would have done, at the command line."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from countersign.clock import system_clock
from countersign.config import load
from countersign.domain.accounts.risk import SignInFacts, to_event_facts
from countersign.domain.shared.event import Event, EventKind
from countersign.store.ledger import event_log
from countersign.wiring import installation_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def test_without_sign_ins_nothing_would_change(run: Run, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_text("[risk]\nfailures = 1\n")
    ended = run("policy", "test", "strict.toml", "--json")
    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["sign_ins"] == 0
    plain = run("policy", "test", "strict.toml", "--since", "1")
    assert "0 of 0 sign-ins" in plain.stderr


def test_a_bad_policy_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[risk]\nfailures = 99\n")
    ended = run("policy", "test", "bad.toml")
    assert ended.exit_code == 2
    assert "risk.failures" in ended.stderr


def test_what_would_change_is_shown_and_the_exit_code_says_so(run: Run, tmp_path: Path) -> None:
    """The file is what is tried, also where the environment of the running program says otherwise."""
    assert run("apps", "list").exit_code == 0
    asyncio.run(_skipped_once(tmp_path))
    (tmp_path / "same.toml").write_text("[risk]\nfailures = 5\n")
    same = run("policy", "test", "same.toml", "--json", RISK_FAILURES="1")
    assert (same.exit_code, json.loads(same.stdout)["sign_ins"]) == (0, 1)
    (tmp_path / "wary.toml").write_text("[risk]\nfailures = 2\n")
    wary = run("policy", "test", "wary.toml", "--json", RISK_FAILURES="9")
    found = json.loads(wary.stdout)
    assert wary.exit_code == 1
    assert [(one["before"], one["after"], one["findings"]) for one in found["examples"]] == [
        ("skip", "challenge", ["many_failures"])
    ]
    plain = run("policy", "test", "wary.toml")
    assert plain.exit_code == 1
    assert "1 of 1 sign-ins" in plain.stderr


async def _skipped_once(folder: Path) -> None:
    """Put a sign-in into the log that needed no code: on a trusted browser, after three wrong passwords."""
    settings = load({"COUNTERSIGN_ENVIRONMENT": "development", "COUNTERSIGN_HOME": str(folder / ".countersign")})
    async with installation_of(settings) as ground:
        now = system_clock()
        facts = SignInFacts(
            device_known=True,
            trust_age=86_400_000,
            location=None,
            last_location=None,
            last_seen_at=None,
            now=now,
            failed_attempts=3,
            contact_age=40 * 3_600_000,
        )
        told: dict[str, str | int] = {**to_event_facts(facts), "decision": "skip"}
        event = Event(now, EventKind.SIGN_IN_ASSESSED, "app_own", "acc_1", told)
        await ground.log().run(ground.database, event_log.append_event, event)
