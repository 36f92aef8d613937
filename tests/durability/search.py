"""A search for secrets: each of them in every form that a program might write it in, through text and through raw files."""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import phonenumbers

from countersign.messages.channels.phone import grouped

GREP: Final = shutil.which("grep")
_LEAST: Final = 8
"""A needle that is shorter would be met by chance."""


def forms_of_code(code: str) -> dict[str, bytes]:
    """Return how a code might be written, by the name of the form."""
    spaced = {name: sign.join(grouped(code)) for name, sign in (("spaced", " "), ("dashed", "-"), ("escaped", "%20"))}
    return _forms(code) | {name: text.encode() for name, text in spaced.items()} | _forms(code.lower(), "lower ")


def forms_of_mail(address: str) -> dict[str, bytes]:
    """Return how a mail address might be written; its local part alone would tell as much."""
    local, _, domain = address.partition("@")
    return (
        _forms(address)
        | _forms(local, "local part ")
        | {"header": f"<{address}>".encode(), "entity": f"{local}&#64;{domain}".encode()}
    )


def forms_of_number(number: str) -> dict[str, bytes]:
    """Return how a telephone number might be written."""
    parsed = phonenumbers.parse(number)
    written = {
        f"format {name}": phonenumbers.format_number(parsed, form).encode()
        for name, form in (
            ("international", phonenumbers.PhoneNumberFormat.INTERNATIONAL),
            ("national", phonenumbers.PhoneNumberFormat.NATIONAL),
            ("RFC 3966", phonenumbers.PhoneNumberFormat.RFC3966),
        )
    }
    return _forms(number) | _forms(number.removeprefix("+"), "digits ") | written


def _forms(text: str, name: str = "") -> dict[str, bytes]:
    plain = text.encode()
    forms = {
        "plain": plain,
        "percent-encoded": urllib.parse.quote(text, safe="").encode(),
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
        "reversed": plain[::-1],
    }
    # In base64 a text looks different at each of three places it may begin at; the signs that its neighbours share are left out.
    for offset in range(3):
        own = slice(-(-offset * 4 // 3), (offset + len(plain)) * 4 // 3)
        forms[f"base64 +{offset}"] = base64.b64encode(b"\0" * offset + plain)[own]
        forms[f"base64url +{offset}"] = base64.urlsafe_b64encode(b"\0" * offset + plain)[own]
    return {name + form: needle for form, needle in forms.items() if len(needle) >= _LEAST}


class Search:
    """Looks for many needles at once, each known by a name that may be shown."""

    def __init__(self, folder: Path, needles: Mapping[str, bytes]) -> None:
        self._names = {needle: name for name, needle in needles.items()}
        assert all(b"\n" not in needle and b"\0" not in needle for needle in self._names)
        self._file = folder / "needles"
        self._file.write_bytes(b"\n".join(self._names) + b"\n")

    def found_in(self, files: Iterable[Path]) -> dict[str, set[str]]:
        """Return the names of the needles that are in these files, each with the files it is in."""
        assert GREP is not None
        # One file of all of them, since reading the needles takes longer than looking for them. A line break keeps files apart.
        whole = self._file.with_name("haystack")
        found: dict[str, set[str]] = {}
        places: list[tuple[int, Path]] = []
        with whole.open("wb") as haystack:
            for file in files:
                with contextlib.suppress(FileNotFoundError):  # a file of a server that runs can go while we look
                    places.append((haystack.tell(), file))
                    haystack.write(file.read_bytes() + b"\n")
        ended = subprocess.run(
            [GREP, "-a", "-b", "-o", "-F", "-f", self._file, "--", whole],
            capture_output=True,
            check=False,
            env={"LC_ALL": "C"},
        )
        if ended.returncode > 1:
            raise AssertionError(ended.stderr.decode())
        for line in ended.stdout.splitlines():
            at, _, needle = line.partition(b":")
            file = next(file for start, file in reversed(places) if start <= int(at))
            found.setdefault(self._names[needle], set()).add(str(file))
        whole.unlink()
        return found
