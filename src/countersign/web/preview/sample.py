"""The made-up people, times and contacts of the preview, and the form of a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from countersign.messages.language.catalogue import Language
from countersign.messages.language.datetimes import day, time_of_day

DAY: Final = 86_400_000
HOUR: Final = 3_600_000
MINUTE: Final = 60_000
NOW: Final = 1_767_348_000_000
"""2 January 2026, 10:00 UTC."""

NAME: Final = "Ada Lovelace"
MAIL: Final = "ada.lovelace+orders@mail.example.org"
MASKED_MAIL: Final = "a***@mail.example.org"
MASKED_PHONE: Final = "+44 7*** ***123"
OTHER_MAIL: Final = "ada@example.net"
APPLICATION: Final = "Leaf & Kettle"
CODE: Final = "481516"
SUMMARY: Final = "Pay €49.90 to the Tea Shop"
SUPPORT: Final = ("https://example.org/help", "example.org/help")
"""The operator's support as a link: its address and its words."""
USER_AGENT: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)
PLACE: Final = "Reykjavík, Iceland"
ADDRESS: Final = "2001:db8:85a3::8a2e:370:7334"


class Sample(msgspec.Struct, frozen=True):
    """What a state is made for: a reader's language, the names of the site, and that of the application whose theme is shown.

    `application` is empty in the look of the site itself: then no application has sent the person here.
    """

    language: Language
    site: str
    host: str
    application: str = ""

    @property
    def asker(self) -> str:
        """Return the application that asks in the states where there is always one."""
        return self.application or APPLICATION

    def say(self, sentence: str, /, **values: str) -> str:
        """Return a sentence in the reader's language."""
        return self.language.say(sentence, **values)

    def when(self, days_ago: int, hours: int = 0) -> str:
        """Return the day and the time of so many days ago."""
        at = NOW - days_ago * DAY + hours * HOUR
        locale = self.language.locale
        return self.say("{day}, {time}", day=day(at, "UTC", locale), time=time_of_day(at, "UTC", locale))

    def on(self, days_ago: int) -> str:
        """Return the day of so many days ago."""
        return day(NOW - days_ago * DAY, "UTC", self.language.locale)


Fill: TypeAlias = Callable[[Sample], Mapping[str, Any]]


class PageState(msgspec.Struct, frozen=True):
    """One state of a page: its template, a name that no other state of it has, and what the template is filled with."""

    template: str
    name: str
    fill: Fill

    @property
    def id(self) -> str:
        """Return the last part of its address, such as `verify.wrong-code`."""
        return f"{self.template.removesuffix('.html')}.{self.name}"


def states(template: str, base: Fill, **variations: Mapping[str, Any] | Fill) -> tuple[PageState, ...]:
    """Return the states of one template: each has the values of `base`, with those of its own in their place.

    An underscore in the name of a state is shown as a hyphen.
    """

    def filled(variation: Mapping[str, Any] | Fill) -> Fill:
        def fill(sample: Sample) -> Mapping[str, Any]:
            own = variation(sample) if callable(variation) else variation
            return {**base(sample), **own}

        return fill

    return tuple(PageState(template, name.replace("_", "-"), filled(own)) for name, own in variations.items())
