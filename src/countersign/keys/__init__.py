"""The secrets of an installation: where they are kept, and every key that is derived from them."""

from countersign.keys.derived_key import PROOF_ALGORITHM, DerivedKey, Signer, derive_key
from countersign.keys.hash_keys import BLIND_BYTES, HashKeys
from countersign.keys.key_file import (
    ACTIVATION_DELAY,
    LATE_READER,
    LONGEST_CODE,
    LONGEST_TOKEN,
    StoredIndex,
    StoredKey,
    StoredKeyring,
    close_keys,
    close_older_indexes,
    new_file,
    read_file,
    read_secrets,
    retire_key,
    rotate_file,
    rotate_index,
)
from countersign.keys.key_source import KeyCommand, KeyFile, KeySource
from countersign.keys.keyring import REREAD_AFTER, Keyring, KeyState, to_hash

__all__ = [
    "ACTIVATION_DELAY",
    "BLIND_BYTES",
    "LATE_READER",
    "LONGEST_CODE",
    "LONGEST_TOKEN",
    "PROOF_ALGORITHM",
    "REREAD_AFTER",
    "DerivedKey",
    "HashKeys",
    "KeyCommand",
    "KeyFile",
    "KeySource",
    "KeyState",
    "Keyring",
    "Signer",
    "StoredIndex",
    "StoredKey",
    "StoredKeyring",
    "close_keys",
    "close_older_indexes",
    "derive_key",
    "new_file",
    "read_file",
    "read_secrets",
    "retire_key",
    "rotate_file",
    "rotate_index",
    "to_hash",
]
