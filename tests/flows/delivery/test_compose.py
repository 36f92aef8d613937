"""Composing: the templates of an operator and the app hash of an application appear in the message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.flows.place import SHOP

from countersign.config import load
from countersign.domain.shared.contact import Channel
from countersign.domain.verifications.purpose import DEFAULT_POLICIES
from countersign.errors import SettingsError
from countersign.flows.delivery.claim import claim_due
from countersign.flows.delivery.send import send
from countersign.messages.custom.custom_templates import load_templates
from countersign.wiring import open_runtime, prepare

if TYPE_CHECKING:
    from pathlib import Path

    from tests.flows.place import Place


async def test_a_code_goes_out_in_the_operators_words_with_the_hash_of_the_app(place: Place, tmp_path: Path) -> None:
    """D4."""
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "sms.txt").write_text("{{ code }} opens {{ site }}.")
    post = msgspec.structs.replace(
        place.delivery, templates=load_templates(folder, DEFAULT_POLICIES, code_in_subject=False)
    )
    challenge = await place.begun("+14155550123", channel=Channel.SMS)
    (parcel,) = await claim_due(post, 10)
    shop = msgspec.structs.replace(SHOP, app_hash="FA+9qCX9VSu")
    await send(post, msgspec.structs.replace(parcel, application=shop))
    code = place.code(challenge)
    assert place.inbox.sent[0].text.split("\n") == [
        f"{code} opens Shop.",
        "Never share it. We never ask for it.",
        "FA+9qCX9VSu",
        f"@shop.example #{code}",
    ]


async def test_a_template_that_breaks_a_rule_stops_the_start(tmp_path: Path) -> None:
    """With a clear word, and before any process of a crew starts."""
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "sms.txt").write_text("{{ code }}\n{{ password }}")
    settings = load(
        {
            "COUNTERSIGN_ENVIRONMENT": "development",
            "COUNTERSIGN_HOME": str(tmp_path / "home"),
            "COUNTERSIGN_MESSAGES_FOLDER": str(folder),
        }
    )
    for start in (prepare, open_runtime):
        with pytest.raises(SettingsError, match=r"sms\.txt, line 2: There is no variable 'password'"):
            await start(settings)
