"""The moved clock against a real emulator: what takes minutes, hours or days takes a moment."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.peers.emulator import Emulator, emulated
from tests.peers.program import PATIENCE
from tests.test_docs import example

HOUR = 3_600


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """One with the machine's time."""
    with emulated() as started:
        yield started


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_whole_life_passes_in_a_moment(emulator: Emulator) -> None:
    """C2, C7, D1: sent, resent when a resend may be made, reported on late, good at 9:59, and worth nothing at 10:01."""
    began = time.monotonic()
    begun = emulator.begin("ada+late@example.org")
    code = emulator.code_for("ada+late@example.org")
    emulator.until(begun, "accepted")
    early = emulator.ask("POST", f"/v1/verifications/{begun['id']}/resend", {})
    assert (early.status, early.json["type"].rpartition("/")[2]) == (429, "too-soon")

    emulator.advance(12)
    time.sleep(0.3)
    assert emulator.look(begun)["deliveries"][-1]["state"] == "accepted"
    emulator.advance(8)
    emulator.until(begun, "delivered", within=3)

    wait = moment(begun["resend_at"]) - moment(emulator.ask("GET", "/test/clock").json["now"])
    emulator.advance(int(wait))
    assert emulator.ask("POST", f"/v1/verifications/{begun['id']}/resend", {}).status == 200
    assert emulator.code_for("ada+late@example.org", messages=2) == code
    other = emulator.begin("grace@example.org")
    good = emulator.code_for("grace@example.org")

    at = moment(begun["expires_at"])
    assert emulator.ask("POST", "/test/clock", {"at": stamp(at - 2)}).status == 200
    assert emulator.check(begun, "000 000" if code != "000 000" else "000 001")["refusal"] == "wrong_code"
    assert emulator.check(other, good)["status"] == "approved"
    assert emulator.ask("POST", "/test/clock", {"at": stamp(at + 1)}).status == 200
    assert emulator.look(begun)["status"] == "expired"
    assert emulator.check(begun, code)["refusal"] == "expired"
    assert time.monotonic() - began < 10


def test_a_code_is_good_at_nine_minutes_and_fifty_nine_seconds(emulator: Emulator) -> None:
    """C2: to the second, on both sides; and the proof bears the moved time."""
    soon, late = emulator.begin("soon@example.org"), emulator.begin("late@example.org")
    codes = [emulator.code_for("soon@example.org"), emulator.code_for("late@example.org")]
    assert emulator.ask("POST", "/test/clock", {"at": stamp(moment(soon["expires_at"]) - 1)}).status == 200
    approved = emulator.check(soon, codes[0])
    assert approved["status"] == "approved"
    claims = claims_of(approved["proof"])
    now = moment(emulator.ask("GET", "/test/clock").json["now"])
    assert now - 5 <= claims["iat"] <= now
    assert claims["exp"] == claims["iat"] + 300
    assert emulator.ask("POST", "/test/clock", {"at": stamp(moment(late["expires_at"]) + 1)}).status == 200
    assert emulator.check(late, codes[1])["refusal"] == "expired"


def test_what_is_tried_again_later_is_tried_when_the_clock_says_so(emulator: Emulator) -> None:
    """D2."""
    begun = emulator.begin("ada+throttled@example.org")
    emulator.until(begun, "queued")
    emulator.advance(60)
    emulator.until(begun, "accepted", within=3)


def test_a_session_ends_twelve_hours_after_the_sign_in(emulator: Emulator) -> None:
    """S8."""
    fields = {"name": "Ada", "identifier": "ada@example.org", "password": "correct horse battery", "return_to": ""}
    assert emulator.browse("POST", "/sign-up", **fields).status == 303
    assert emulator.browse("POST", "/verify", code=emulator.code_for("ada@example.org")).status == 303
    assert emulator.browse("GET", "/account").status == 200
    emulator.advance(12 * HOUR - 60)
    assert emulator.browse("GET", "/account").status == 200
    emulator.advance(61)
    ended = emulator.browse("GET", "/account")
    assert (ended.status, ended.headers["location"].startswith("/sign-in")) == (303, True)


def test_a_process_that_is_killed_is_replaced_by_one_with_the_moved_time(emulator: Emulator) -> None:
    """O1: what was worth nothing before is worth nothing after."""
    begun = emulator.begin("ada@example.org")
    code = emulator.code_for("ada@example.org")
    emulator.advance(601)
    killed = emulator.serving()
    for process in killed:
        os.kill(process, signal.SIGKILL)
    until = time.monotonic() + PATIENCE
    while not (set(emulator.serving()) - set(killed)) or not emulator.answers():
        assert time.monotonic() < until
        time.sleep(0.05)
    assert emulator.ask("GET", "/test/clock").json["ahead"] == 601
    assert emulator.check(begun, code)["refusal"] == "expired"


def test_the_clock_is_never_put_back_and_never_moved_out_of_the_calendar(emulator: Emulator) -> None:
    """H1: each refusal says why, and leaves the clock as it is."""
    emulator.advance(100)
    for body, reason in (
        ({"advance": -1}, "backward"),
        ({"at": "2020-01-01T00:00:00Z"}, "backward"),
        ({"advance": 401 * 86_400}, "too_far"),
        ({"advance": 10**30}, "too_far"),
        ({"at": "9999-12-31T23:59:59Z"}, "too_far"),
    ):
        refused = emulator.ask("POST", "/test/clock", body)
        assert (refused.status, refused.json["reason"]) == (422, reason), body
    for malformed in ({"at": "noon"}, {"at": "2030-01-01T00:00:00"}, {"at": 1}, {"advance": 1, "at": "x"}, {"by": 1}):
        assert emulator.ask("POST", "/test/clock", malformed).status == 400, malformed
    back = emulator.ask("DELETE", "/test/clock")
    assert (back.status, back.headers["allow"]) == (405, "GET, POST, HEAD")
    for told in (emulator.ask("GET", "/test/clock"), emulator.ask("POST", "/test/clock", {})):
        assert told.json["ahead"] == 100
        assert 0 <= moment(told.json["now"]) - time.time() - 100 + 1 < 3


def test_the_test_of_the_document_has_ten_minutes_pass(tmp_path: Path) -> None:
    """The whole program of docs/api.md, as a reader pastes it, with `countersign` on the path."""
    program = tmp_path / "expires.py"
    program.write_text(example("clock"))
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    ended = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (ended.stdout, ended.returncode) == ("expired\n", 0), ended.stderr


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat()


def claims_of(proof: str) -> dict[str, Any]:
    payload = proof.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
