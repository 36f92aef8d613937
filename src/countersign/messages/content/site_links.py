"""The operator's links at the foot of pages and mail: terms, privacy, legal notice, help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from countersign.messages.language.catalogue import mark

if TYPE_CHECKING:
    from countersign.domain.look.theme import SiteLinks
    from countersign.messages.language.catalogue import Language

LABELS: Final = {
    "terms": mark("Terms"),
    "privacy": mark("Privacy"),
    "imprint": mark("Legal notice"),
    "support": mark("Get help"),
}
"""The words of each link, by the setting that has its address."""


def labelled_links(links: SiteLinks, language: Language) -> tuple[tuple[str, str], ...]:
    """Return address and words of each link that there is, for a reader of `language`."""
    own = links.of_language(language.tag)
    return tuple((address, language.say(label)) for name, label in LABELS.items() if (address := getattr(own, name)))
