"""A setting: its name, what is expected of it, what it is when nobody says, and what it means."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

Port: Final = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Names: Final = tuple[str, ...]


class Setting(msgspec.Struct, frozen=True):
    """One setting: `name` as in the TOML file, its type, and three texts for people. A `secret` is never shown."""

    name: str
    type: Any
    default: str
    expects: str
    meaning: str
    secret: bool = False

    @property
    def variable(self) -> str:
        """Return the environment variable that sets it; the same name ended by _FILE reads it from a file."""
        return "COUNTERSIGN_" + self.name.replace(".", "_").upper()


def at_least(least: int, most: int) -> Any:  # noqa: ANN401 - a type made at run time
    """Return the type of a whole number within bounds."""
    return Annotated[int, msgspec.Meta(ge=least, le=most)]
