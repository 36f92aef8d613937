"""Clocks that step, under the real program (libfaketime): what holds, and the one thing that no program can hold.

An expiry is a moment that is written down when a verification begins, and nothing moves it: no resend, no step of the clock. By the
program's own clock a code is worth something before that moment and nothing from it on. Once anybody has asked after that moment (an
answer, a resend, the sweep), that it expired is recorded and stays so, however far the clock is set back. The limit: where a clock
is set back by d before the expiry was noticed, the moment comes d later in true time, so a code may live for its lifetime plus d. Keep
clocks by NTP, which slews instead of stepping; the store itself offers no clock that a machine could not be wrong about.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from tests.durability.installation import Installation, installed, webhook_config
from tests.durability.sender import SECRET, Sender
from tests.durability.wire import Wire

pytestmark = [pytest.mark.slow, pytest.mark.peers, pytest.mark.timeout(90)]

LIBRARY = next(
    (
        path
        for folder in ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")
        for path in Path(folder).glob("**/libfaketimeMT.so.1")
    ),
    None,
)
TEN_MINUTES = 600


class Clock:
    """The clock of an installation's processes, some seconds off from ours."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.step(0)

    def step(self, seconds: int) -> None:
        """Have it be so many seconds ahead of the true time; negative is behind."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{seconds:+d}\n")
        draft.replace(self._file)


def faked(file: Path) -> dict[str, str]:
    """Return the environment of a program whose clock `Clock(file)` moves."""
    return {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed (apt-get install libfaketime)")
async def test_no_step_of_the_clock_moves_a_written_expiry(tmp_path: Path, sender: Sender) -> None:
    """C2: forward, back, and to and fro; see the module's own words for what holds."""
    clock = Clock(tmp_path / "clock")
    with installed(tmp_path, config=webhook_config(sender.url, SECRET)) as installation:
        installation.program.environ |= faked(tmp_path / "clock")
        started = await asyncio.to_thread(installation.serve)
        wire = Wire(installation.port, installation.key)
        began = time.time()
        forward, noticed, back, hour = [await _begin(wire, who) for who in ("forward", "noticed", "back", "hour")]
        assert time.time() - began < 5

        clock.step(TEN_MINUTES - 10)
        assert (await _wrong(installation, wire, forward))["refusal"] == "wrong_code"
        assert (await wire.post(f"/v1/verifications/{forward}/resend")).json["expires_at"] == await _expiry(
            wire, forward
        )
        clock.step(TEN_MINUTES + 1)
        for id_ in (forward, noticed):
            assert (await _right(installation, wire, id_))["refusal"] == "expired"

        # Set back to where the code was good: what was noticed stays expired.
        clock.step(0)
        for id_ in (forward, noticed):
            assert (await _right(installation, wire, id_))["refusal"] == "expired"

        # An hour back: the expiry that is written stays where it was, also over a resend; the limit is that its moment comes later.
        written = await _expiry(wire, back)
        clock.step(-3_600)
        assert await _expiry(wire, back) == written
        again = await wire.post(f"/v1/verifications/{back}/resend")
        assert (again.status, again.json["expires_at"]) == (200, written)
        assert (await _wrong(installation, wire, back))["guesses_left"] == 4
        clock.step(TEN_MINUTES + 1)
        assert (await _right(installation, wire, back))["refusal"] == "expired"

        # A day ahead: nothing that was promised before can be used, and what begins then is good then.
        clock.step(86_400)
        assert (await _right(installation, wire, hour))["refusal"] == "expired"
        later = await _begin(wire, "later")
        assert (await _right(installation, wire, later))["status"] == "approved"
        wire.close()
        # Its exit code is another test's: under load libfaketime makes the server's short waits fail (EINVAL) as it stops.
        await asyncio.to_thread(started.stop)


async def _begin(wire: Wire, who: str) -> str:
    heard = await wire.post("/v1/verifications", {"to": f"{who}@example.org"})
    assert heard.status == 201, heard.body
    id_: str = heard.json["id"]
    return id_


async def _expiry(wire: Wire, id_: str) -> str:
    found: str = (await wire.get(f"/v1/verifications/{id_}")).json["expires_at"]
    return found


async def _right(installation: Installation, wire: Wire, id_: str) -> dict[str, object]:
    told: dict[str, object] = (
        await wire.post(f"/v1/verifications/{id_}/check", {"code": installation.code_of(id_)})
    ).json
    return told


async def _wrong(installation: Installation, wire: Wire, id_: str) -> dict[str, object]:
    told: dict[str, object] = (
        await wire.post(f"/v1/verifications/{id_}/check", {"code": installation.wrong_for(id_)})
    ).json
    return told
