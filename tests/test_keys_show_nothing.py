"""What a keyring holds shows no key, whoever prints it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from tests.clock import NOON, FixedClock

from countersign.keys import Keyring, new_file

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_that_a_keyring_holds_shows_a_secret(tmp_path: Path) -> None:
    """C8: a debugger or an error that prints an object of it prints no key."""
    path = tmp_path / "keys.json"
    new_file(path, NOON)
    keyring = Keyring(path, FixedClock())
    keyring.seal("anything", "an id")
    raw = base64.b64decode(json.loads(path.read_text())["keys"][0]["secret"])
    derived = {raw, keyring._secrets.first_index}
    shown = "".join(
        repr(one)
        for one in (
            keyring,
            *vars(keyring).values(),
            keyring._secrets.stored,
            keyring._secrets.hashes,
            keyring._secrets.keys,
        )
    )
    for secret in derived:
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
        assert base64.b64encode(secret).decode() not in shown
