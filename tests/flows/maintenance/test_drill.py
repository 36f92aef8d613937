"""What a drill finds in a database that was restored, and which backups belong to these settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.flows.people import ada

from countersign.domain.verifications.challenge import Action
from countersign.errors import SettingsError
from countersign.flows.maintenance.drill import check_belongs, prove
from countersign.store.backup.manifest import BackupManifest

if TYPE_CHECKING:
    from tests.flows.place import Place


async def test_every_sealed_value_is_opened_and_what_cannot_be_is_counted(home: Place) -> None:
    """O11: also what stands inside of other values, such as the contact of a verification."""
    await ada(home)
    challenge = await home.begun(action=Action("Pay 3 EUR", "0" * 64))
    sound = await prove(home.database, home.keyring)
    assert sound.is_sound
    assert sound.opened >= 4
    assert sound.entries > 0
    await home.change("UPDATE accounts SET id = 'acc_of_another'")
    await home.change("UPDATE challenges SET id = 'ver_of_another' WHERE id = $1", challenge.id)
    found = await prove(home.database, home.keyring)
    assert not found.is_sound
    assert found.unreadable == {"accounts": 1, "challenges": 1}


def of(**described: object) -> BackupManifest:
    return BackupManifest(
        **{"made_at": 0, "release": "1", "database": "sqlite", "revision": "0015", **described}  # type: ignore[arg-type]
    )


async def test_a_backup_belongs_to_its_environment_and_its_keys(place: Place) -> None:
    """O11: an older release has noted less, and what it has not noted is not held against it."""
    fingerprint, (kid, _) = place.keyring.fingerprint().hex(), place.keyring.kids()[0]
    for fitting in (of(), of(environment="production", fingerprint=fingerprint, keys=(kid,))):
        check_belongs(fitting, place.keyring, development=False)
    for other, word in (
        (of(environment="development"), "one of development"),
        (of(fingerprint="00" * 16, keys=("k2",)), "k2"),
        (of(fingerprint=fingerprint, keys=(kid, "k3")), "k3"),
    ):
        with pytest.raises(SettingsError, match=word):
            check_belongs(other, place.keyring, development=False)
