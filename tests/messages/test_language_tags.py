"""Language tags as old phones, Java and POSIX write them lead to the language that is meant, and to its country."""

from __future__ import annotations

import pytest

from countersign.messages.language.catalogue import canonical_tag, negotiate, region_of


@pytest.mark.parametrize(
    ("tag", "canonical", "language"),
    [
        ("iw", "he", "he"),
        ("iw-IL", "he-IL", "he"),
        ("IW_il", "he-il", "he"),
        ("in", "id", "en"),
        ("ji", "yi", "en"),
        ("pt_BR", "pt-BR", "pt"),
        ("pt_BR.UTF-8", "pt-BR", "pt"),
        ("de_AT@euro", "de-AT", "de"),
        (" de ", "de", "de"),
        ("de-AT", "de-AT", "de"),
        ("", "", "en"),
        ("C", "C", "en"),
    ],
)
def test_a_tag_is_read_as_it_is_meant(tag: str, canonical: str, language: str) -> None:
    """J3: one who writes Hebrew as `iw` gets Hebrew."""
    assert canonical_tag(tag) == canonical
    assert negotiate(tag).tag == language


@pytest.mark.parametrize(
    ("tag", "country"),
    [
        ("de", "DE"), ("de-AT", "AT"), ("en", "US"), ("en-GB", "GB"), ("ja", "JP"), ("ar", "EG"), ("iw", "IL"), ("pt_BR", "BR"), ("pt", "BR"),
        ("sv", "SE"), ("zh-Hant-TW", "TW"), ("en-u-hc-h12", "US"), ("xx", ""), ("*", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_tag_leads_to_the_country_of_its_speakers(tag: str, country: str) -> None:
    assert region_of(tag) == country
