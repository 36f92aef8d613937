"""The settings of `[risk]`: what makes a sign-in suspicious, and the files that say where network addresses are."""

from pathlib import Path
from typing import Annotated, Final

import msgspec

from countersign.config.values import read_lists, read_optional_path
from countersign.domain.accounts.risk import RiskPolicy
from countersign.setting import Described

_DEFAULT: Final = RiskPolicy()


class RiskSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When trust in a browser is not enough for a sign-in."""

    places_file: Annotated[
        Path | None,
        Described(
            "Where network addresses are: for rough places in messages, new countries and impossible travel.",
            expects="an MMDB file in the layout of GeoIP2 City or Country",
            reads=read_optional_path,
        ),
    ] = None
    lists: Annotated[
        dict[str, Path],
        Described(
            "Files of networks, one on each line, such as tor=/etc/countersign/tor.txt. An address on a list always needs a code.",
            expects="a list of NAME=FILE",
            default="none",
            reads=read_lists,
        ),
    ] = {}
    deny_lists: Annotated[
        tuple[str, ...],
        Described("Lists from which nobody can sign in, even with a code.", expects="names from risk.lists"),
    ] = _DEFAULT.deny_lists
    travel_kmh: Annotated[
        int,
        msgspec.Meta(ge=0, le=100_000),
        Described("The speed in km/h that is impossible between two sign-ins; 0 switches the check off."),
    ] = _DEFAULT.travel_kmh
    failures: Annotated[
        int,
        msgspec.Meta(ge=0, le=10),
        Described(
            "Wrong passwords shortly before the right one after which a trusted browser needs a code; 0 switches the check off."
        ),
    ] = _DEFAULT.failures
    new_contact_hours: Annotated[
        int,
        msgspec.Meta(ge=0, le=720),
        Described("Hours for which a verified contact counts as new, which operators see with each sign-in."),
    ] = _DEFAULT.new_contact_hours
    new_country: Annotated[
        bool, Described("Whether a trusted browser needs a code when it comes from another country than last time.")
    ] = _DEFAULT.new_country

    @property
    def policy(self) -> RiskPolicy:
        """Return these settings as the flows use them."""
        return RiskPolicy(
            travel_kmh=self.travel_kmh,
            failures=self.failures,
            new_contact_hours=self.new_contact_hours,
            new_country=self.new_country,
            deny_lists=self.deny_lists,
        )
