"""Bounces as a mail server pipes them, and what an operator sees of the addresses they suppress."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.conftest import Run
from tests.clock import FixedClock
from tests.flows.place import SHOP, place_at
from tests.peers.program import Program
from tests.providers.bounces import postfix

from countersign.cli.output import wait_for
from countersign.domain.shared.application import ApplicationMode
from countersign.flows.delivery.bounces import bounce_signer
from countersign.providers.email.verp import make_return_path

LIVE = type(SHOP)("app_live", 0, "live", ApplicationMode.LIVE, "Live", "live.example", (), b"live's key")


class Alias:
    """The command of an alias, and the address of a message that was sent to ada@example.org."""

    def __init__(self, program: Program, address: str, run: Run, settings: dict[str, str]) -> None:
        self.program = program
        self.address = address
        self._run = run
        self._settings = settings

    def run(self, *words: str, raw: bytes = b"") -> Result:
        """Run a command in this process; `raw` is piped into it."""
        return self._run(*words, raw=raw, **self._settings)

    def pipe(self, raw: bytes, *words: str, **settings: str) -> subprocess.CompletedProcess[bytes]:
        """Hand one mail to the command, as a mail server does."""
        return subprocess.run(
            self.program.command("bounces", "take", *words),
            cwd=self.program.place,
            env={**self.program.environ, **{f"COUNTERSIGN_{name}": value for name, value in settings.items()}},
            input=raw,
            capture_output=True,
            check=False,
            timeout=60,
        )

    def suppressed(self) -> list[dict[str, str]]:
        """Return what `suppressions list` says."""
        found: list[dict[str, str]] = json.loads(self.run("suppressions", "list", "--json").stdout)
        return found


@pytest.fixture
def alias(sqlite_url: str, tmp_path: Path, run: Run) -> Alias:
    """An alias on a database with one message that a provider took."""

    async def sent() -> str:
        async with place_at(sqlite_url, tmp_path, clock=FixedClock(), live=("first",)) as place:
            challenge = await place.begun(application=LIVE)
            await place.deliver()
            return make_return_path("bounces@shop.example", f"{challenge.id}.1.0", bounce_signer(place.keyring))

    address = wait_for(sent())
    settings = {"DATABASE_URL": sqlite_url, "SECRET_FILE": str(tmp_path / "keys.json")}
    return Alias(Program(tmp_path, ENVIRONMENT="development", **settings), address, run, settings)


def test_a_bounce_that_is_piped_suppresses_its_address_until_it_is_lifted(alias: Alias) -> None:
    """D2: taken once, shown masked, and let go by an operator; each act is in the log, which stays whole."""
    for _ in range(2):
        ended = alias.pipe(postfix(alias.address))
        assert (ended.returncode, ended.stdout) == (0, b""), ended.stderr
        assert b"ada@" not in ended.stderr
    (one,) = alias.suppressed()
    assert (one["to"], one["reason"], one["provider"]) == ("a***@example.org", "unknown_recipient", "first")
    shown = alias.run("suppressions", "show", "Ada@example.org")
    assert (shown.exit_code, "unknown_recipient" in shown.stdout) == (1, True)
    lifted = alias.run("suppressions", "lift", "ada@example.org")
    assert (lifted.exit_code, lifted.stdout) == (0, "a***@example.org receives messages again.\n")
    assert alias.suppressed() == []
    assert alias.run("suppressions", "show", "ada@example.org").exit_code == 0
    assert alias.run("suppressions", "lift", "ada@example.org").exit_code == 2
    assert alias.run("events", "verify").exit_code == 0
    assert b"ada@example" not in b"".join(path.read_bytes() for path in alias.program.place.glob("countersign.db*"))


def test_the_address_may_be_named_by_the_mail_server(alias: Alias) -> None:
    assert alias.run("bounces", "take", alias.address, raw=postfix("undisclosed")).exit_code == 0
    assert len(alias.suppressed()) == 1


@pytest.mark.parametrize("raw", [b"", b"\0" * 4096, b"Subject: hello\n\nhello\n", b"x" * 3_000_000])
def test_whatever_else_is_piped_is_taken_and_changes_nothing(alias: Alias, raw: bytes) -> None:
    """D2: a mail server must never be made to send a bounce of a bounce."""
    assert alias.run("bounces", "take", raw=raw).exit_code == 0
    assert alias.run("bounces", "take", raw=postfix("bounces@shop.example")).exit_code == 0
    assert alias.suppressed() == []


def test_in_an_outage_the_mail_server_keeps_the_mail(alias: Alias) -> None:
    """D2: exit code 75 of sysexits, for a database that is away and for settings that are wrong."""
    away = alias.pipe(postfix(alias.address), DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    wrong = alias.pipe(postfix(alias.address), DATABASE_URL="nonsense")
    assert (away.returncode, wrong.returncode) == (os.EX_TEMPFAIL, os.EX_TEMPFAIL)


def test_only_a_mail_address_is_looked_for(alias: Alias) -> None:
    for typed in ("nonsense", "+14155550123"):
        ended = alias.run("suppressions", "show", typed)
        assert (ended.exit_code, ended.stdout) == (2, "")


def test_a_mailbox_that_is_away_keeps_nobody_from_serving(program: Program) -> None:
    """D2: it is a line in the log, without the password."""
    mailbox = {"IMAP_HOST": "127.0.0.1", "IMAP_PORT": "9", "IMAP_USERNAME": "bounces", "IMAP_PASSWORD": "word-of-tests"}
    with program.serving(**{f"BOUNCES_{name}": value for name, value in mailbox.items()}) as server:
        assert server.ask("GET", "/health/ready").status == 200
        until = time.monotonic() + 20
        while "mailbox_failed" not in server.logged and time.monotonic() < until:
            time.sleep(0.1)
        said = server.logged
    assert "mailbox_failed" in said
    assert "word-of-tests" not in said


def test_a_mailbox_without_a_password_stops_the_start(program: Program) -> None:
    ended = program.run("serve", BOUNCES_IMAP_HOST="imap.example.org")
    assert ended.returncode == 2
    assert "bounces.imap_password" in ended.stderr
