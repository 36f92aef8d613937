"""D3 against an independent reckoner: npm sms-segments-calculator counts thousands of texts as we do."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.rounds import rounds

from countersign.domain.delivery.sms_segments import GSM_7, GSM_7_EXTENSION
from countersign.messages.channels.sms_size import Encoding, segments

ROOT = Path(__file__).resolve().parent.parent.parent
ORACLE = ROOT / "tests" / "peers" / "segments_oracle.mjs"
FOUND = shutil.which("node") is not None and (ROOT / "node_modules" / "sms-segments-calculator").exists()

pytestmark = [pytest.mark.peers, pytest.mark.skipif(not FOUND, reason="needs Node.js and npm ci")]


def texts() -> list[str]:
    """Return texts of every length around the borders: plain, with extension characters, in 16 bits, with emoji of two units."""
    chance = random.Random(20_261_124)
    # A carriage return joins a line feed in the reckoner's grapheme splitting; nothing of ours has one.
    plain = GSM_7.replace("\r", "")
    pools = (plain, plain + GSM_7_EXTENSION * 4, plain + "żąğш漢", "漢字かな" + "😀🙏", plain + "😀")
    return ["".join(chance.choices(chance.choice(pools), k=chance.randrange(1, 480))) for _ in range(rounds(10_000))]


def test_thousands_of_texts_have_the_segments_that_the_reckoner_finds() -> None:
    """D3."""
    given = texts()
    done = subprocess.run(
        ["node", str(ORACLE)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=100,
    )
    counted = [line.split() for line in done.stdout.splitlines()]
    assert len(counted) == len(given)
    for text, theirs in zip(given, counted, strict=True):
        ours = segments(text)
        assert theirs == ["GSM-7" if ours.encoding is Encoding.GSM_7 else "UCS-2", str(ours.segments)], text
