"""How long a text is in an address inside an address: as long as it is once it is encoded twice."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from countersign.domain.oidc.authorization_request import MAX_ENCODED, encoded_length, fits_in_address


@given(st.text(max_size=50))
def test_it_is_reckoned_as_it_is_encoded(text: str) -> None:
    assert encoded_length(text) == len(quote(quote_plus(text), safe=""))


def test_a_lone_surrogate_is_no_fault() -> None:
    assert encoded_length("\ud800") == 15


def test_the_limit_is_where_it_is_said_to_be() -> None:
    assert fits_in_address("x" * MAX_ENCODED)
    assert not fits_in_address("x" * (MAX_ENCODED + 1))
    assert not fits_in_address("%" * (MAX_ENCODED // 5 + 1))
