"""What `countersign doctor` says of keys: their file, their age, and what is still sealed with earlier ones."""

from __future__ import annotations

from typing import Final

from countersign.cli.doctor.check_result import CheckResult, CheckState
from countersign.clock import system_clock
from countersign.config import Settings
from countersign.errors import SettingsError
from countersign.flows.maintenance.reseal import count_sealed
from countersign.keys import Keyring
from countersign.store.engine.database import Database
from countersign.wiring import key_source_of

OLD_KEY_DAYS: Final = 365
_DAY: Final = 86_400_000


def check_keys(settings: Settings) -> tuple[list[CheckResult], Keyring | None]:
    """Return what there is to say of the keys, and the keys themselves if they can be read."""
    path = settings.secret_file
    if settings.development and not settings.secret_command and not path.exists():
        return [
            CheckResult(
                "keys",
                CheckState.ADVICE,
                f"{path} does not exist yet.",
                "It is created at the first start in development.",
            )
        ], None
    try:
        keyring = Keyring(key_source_of(settings), system_clock)
    except SettingsError as error:
        return [
            CheckResult("keys", CheckState.UNSAFE, str(error), "Countersign cannot serve without the right key file.")
        ], None
    states = keyring.states()
    retired = [key.kid for key in states if key.state in {"retired", "closed"}]
    days = (system_clock() - keyring.primary.active_from) // _DAY
    where = "from secret_command" if settings.secret_command else f"in {path}, mode {path.stat().st_mode & 0o777:04o}"
    if days > OLD_KEY_DAYS:
        aged = CheckResult(
            "keys", CheckState.ADVICE, f"The active key is {days} days old.", "Rotate it: countersign keys rotate"
        )
    else:
        aged = CheckResult(
            "keys",
            CheckState.FINE,
            f"{len(states)} {where}, the active one {days} days old"
            + (f", retired: {', '.join(retired)}" if retired else ""),
        )
    return [aged, *_wearing_key(keyring)], keyring


def _wearing_key(keyring: Keyring) -> list[CheckResult]:
    """Advise to replace an active key of an older release, which seals with random nonces under one key."""
    if keyring.primary.by_record:
        return []
    return [
        CheckResult(
            "sealing",
            CheckState.ADVICE,
            "An older release made the active key. It may seal 2^32 records at most (NIST SP 800-38D, 8.3), and they are not counted.",
            "Once every program runs this release, replace it: countersign keys rotate",
        )
    ]


async def check_sealing(database: Database, keyring: Keyring) -> list[CheckResult]:
    """Tell what is sealed with keys that are not the active one, and whether an index is being replaced."""
    sealed = await count_sealed(database, keyring)
    retired = {key.kid for key in keyring.states() if key.retired_at is not None}
    shown = ", ".join(f"{count} with {kid}" + (" (retired)" if kid in retired else "") for kid, count in sealed.items())
    if retired & set(sealed) or keyring.replacing_index:
        what = f"Sealed with other keys than the active one: {shown or 'nothing'}."
        if keyring.replacing_index:
            what += " Keyed hashes of an earlier index are still looked for."
        return [CheckResult("reseal", CheckState.ADVICE, what, "Run: countersign keys reseal")]
    return [CheckResult("reseal", CheckState.FINE, shown or "everything is sealed with the active key")]
