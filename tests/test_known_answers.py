"""Known answers of every derivation: a change of one would leave everything that is stored unreadable.

The literals were computed beside the program, from HMAC, BLAKE2b and AES-GCM alone.
"""

from __future__ import annotations

import pytest
from tests.clock import FixedClock

from countersign.domain.verifications.code import CodeShape, derive
from countersign.flows.delivery.bounces import bounce_signer
from countersign.flows.verifications.cancel import not_me_reference
from countersign.keys import DerivedKey, HashKeys, Keyring, derive_key
from countersign.keys.hash_keys import LaterIndex

MASTER = bytes(range(32))
SECOND = bytes(range(32, 64))
KEY = DerivedKey("k1", 0, MASTER)
FIRST_INDEX = HashKeys(MASTER, (), 0)
SECOND_INDEX = HashKeys(MASTER, (LaterIndex(1, SECOND),), 0)


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        (b"countersign code v1", "e66cd0ce112503cc745d48eee4e8f43aa58e3c086656d64651e6544214ca4707"),
        (b"countersign seal v1", "ac3f12ee1ca765428fa144c461c089eb2db3b10a43e31640c50762f736a72e57"),
        (b"countersign index v1", "7707f68ed0bf00bf9784f22aadc0012dbfc5ea573fab303dee099f7d6a9b59e2"),
    ],
)
def test_a_key_is_derived_for_one_use(use: bytes, expected: str) -> None:
    """O2: HKDF-SHA256 (RFC 5869) without salt."""
    assert derive_key(MASTER, use).hex() == expected


def test_a_code_is_derived_from_the_key_for_codes() -> None:
    """C1: neither from the master secret itself nor from another key."""
    assert KEY.code.hex() == "e66cd0ce112503cc745d48eee4e8f43aa58e3c086656d64651e6544214ca4707"
    codes = {derive(key, "ver_1", 0, CodeShape()).reveal() for key in (KEY.code, MASTER)}
    assert len(codes) == 2


def test_what_older_releases_sealed_is_opened() -> None:
    """K3: a random nonce of 12 bytes, then AES-256-GCM under the key for sealing."""
    sealed = "000102030405060708090a0b24e4375801c562c5b63d6c093fbef3d9b6af201811fd04b077c1c5f9ab87fa"
    assert KEY.unseal(bytes.fromhex(sealed), b"ver_1") == b"ada@example.org"


def test_what_is_sealed_with_a_key_of_its_own_is_opened() -> None:
    """K3: 02, a salt of 24 bytes, then AES-256-GCM under key and nonce that keyed BLAKE2b makes of the salt."""
    salt = "000102030405060708090a0b0c0d0e0f1011121314151617"
    sealed = f"02{salt}f4d100f0ea472bcf60677d31d410187fe15f9c25c3f6aba30c60ba66c5030c"
    assert KEY.unseal(bytes.fromhex(sealed), b"ver_1") == b"ada@example.org"


def test_proofs_and_id_tokens_have_the_key_pairs_that_were_published() -> None:
    """O2: two pairs, so that neither is taken for the other."""
    proofs, identities = KEY.public_jwk(), KEY.public_identity_jwk()
    assert (proofs["kid"], proofs["x"]) == ("k1", "5ByVJOQXg788mQ5WW88sK03l5Qj60Xs8ji_cD0_oOhM")
    assert (identities["kid"], identities["x"]) == ("k1-id", "K3shAWHTVPkSAUuhOXicPpd-XP86czk8vcVRdOLpt1g")
    assert KEY.sign({"a": 1}).endswith(
        ".6j7l2r4YDqVi6dZqhqfOO6eyTwt2_-3bsjVn5KffML8q6XlJybiWB5xwZjdX0LcH8Y2b8xcIudfWwtJywi_rKg"
    )
    assert KEY.sign_identity({"a": 1}).endswith(
        ".7qRAAg3g9RsI0Ft9wnMu_G5j2cdnSiKnwUMZLzbcHfnEXVwkf6Cg10NMUlGp_EPEtVCWl9dXX9eoRVQqFJWacw"
    )


@pytest.mark.parametrize(
    ("hashes", "blind", "secret", "link", "fingerprint"),
    [
        (
            FIRST_INDEX,
            "e88be160dde1c787f8e56da1ad41a20a",
            "915cd4d8ec64dfeccb995f158a4fe3f486e338e4cbfd25601d4a1837b2442729",
            "ff21bc4d38931aee71535f3c0281ff0f3ea3948045fe953350a9b30cab822681",
            "415bf5a2f2d4bbdd689b2fabd9541592446c44e4538f850fccabf5cf99949e5e",
        ),
        (
            SECOND_INDEX,
            "017e67000fce517c75f5267195d7898ccc",
            "010178b14062203389de9d5b70f7c3d953e586c73a975e0a0f756c21c22463d48d",
            "f9b6bc541e18e46771f0d61ad658488463cfa1aa86e1abc1edac39145607ba95",
            "7bc881b412e0bf7972e82063e1bcc75bf0eca159c7e6754c4dcd532d6161cdcb",
        ),
    ],
)
def test_keyed_hashes_are_those_that_are_stored(
    hashes: HashKeys, blind: str, secret: str, link: str, fingerprint: str
) -> None:
    """K2: under the first index, and under one that came after it."""
    assert hashes.blind_index("contact", "ada@example.org").hex() == blind
    assert hashes.hash_secret("csk_live_x").hex() == secret
    assert hashes.link(b"entry").hex() == link
    assert hashes.fingerprints()[0].hex() == fingerprint


def test_references_in_mails_are_those_that_were_sent(keyring: Keyring) -> None:
    """S6: the link of "this wasn't me", and the address that a bounce comes back to."""
    assert not_me_reference(keyring, "ver_1") == "ver_1.uK81egSn-iVxA_OJGVwCXw"
    assert bounce_signer(keyring)("ver_1").hex() == keyring.blind_index("bounce", "ver_1").hex()


@pytest.fixture
def keyring() -> Keyring:
    """The keyring of the literals."""
    return Keyring(LiteralSource(), FixedClock())


class LiteralSource:
    """A source of the secrets that the literals were made with."""

    def read(self) -> bytes:
        """Return what a key file of an older release holds."""
        secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
        return f'{{"index":"{secret}","keys":[{{"kid":"k1","active_from":0,"secret":"{secret}"}}]}}'.encode()

    def stamp(self) -> None:
        """Tell nothing."""


def test_all_derived_keys_differ() -> None:
    """K1: of one master secret, and of two: no key of one use is that of another."""
    made: list[str] = []
    for kid, master in (("k1", MASTER), ("k2", SECOND)):
        key = DerivedKey(kid, 0, master)
        made += [key.code.hex(), str(key.public_jwk()["x"]), str(key.public_identity_jwk()["x"])]
        made += [derive_key(master, use, 64)[:32].hex() for use in (b"countersign seal v1", b"countersign seal v2")]
        made += [
            derive_key(master, use).hex()
            for use in (
                b"countersign index v1",
                b"countersign wrap v2",
                b"countersign link v2",
                b"countersign fingerprint v2",
            )
        ]
        made.append(master.hex())
    assert len(set(made)) == len(made) == 20
