"""Finds the line on which each key of a TOML document is set, which the parser of the standard library does not tell."""

from __future__ import annotations

import re
import tomllib
from typing import Final

import msgspec

_HEADER: Final = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY: Final = re.compile(
    r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


class Lines(msgspec.Struct, frozen=True):
    """The number of a line, from 1, by the path of the key or table that begins on it."""

    by_path: dict[tuple[str, ...], int]

    def of(self, *path: str) -> int:
        """Return the line of a key, or of the nearest table around it; 1 if neither is found."""
        while path and path not in self.by_path:
            path = path[:-1]
        return self.by_path.get(path, 1)


def find_lines(document: str) -> Lines:
    """Return the lines of a document that parses. A value of several lines counts where it begins."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    value: str | None = None
    for number, line in enumerate(document.splitlines(), 1):
        if value is not None:
            value += f"\n{line}"
        elif (header := _HEADER.fullmatch(line)) is not None:
            table = _parts(header[1])
            found.setdefault(table, number)
            continue
        elif (key := _KEY.match(line)) is not None:
            found.setdefault((*table, *_parts(key[1])), number)
            value = line[key.end() :]
        else:
            continue
        if _is_whole(value):
            value = None
    return Lines(found)


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _is_whole(value: str) -> bool:
    """Return True if the value ends here, and False if it goes on on the next line."""
    try:
        tomllib.loads(f"value ={value}")
    except tomllib.TOMLDecodeError:
        return False
    return True
