"""Builds the documents into a site in build/site (`docs_site.py FOLDER` for FOLDER/site) and stops at the first broken link."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LINK: Final = re.compile(r"\]\((?!\w+:)([^)#\s]+)[^)\s]*\)|(?:src|href)=\"(?!\w+:)([^\"#]+)[^\"]*\"")
CODE: Final = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def documents() -> list[Path]:
    """Return every document: those at the top of the checkout and those below docs."""
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def linked(document: Path) -> set[Path]:
    """Return the files of this checkout to which a document links, images included.

    Raises:
        FileNotFoundError: A link leads to no file.
    """
    if document.suffix != ".md":
        return set()
    found = set()
    for match in LINK.finditer(CODE.sub("", document.read_text(encoding="utf-8"))):
        target = (document.parent / (match[1] or match[2])).resolve()
        if not target.is_file() or not target.is_relative_to(ROOT):
            shown = document.relative_to(ROOT)
            raise FileNotFoundError(f"{shown} links to {match[1] or match[2]}, which is no file of this checkout")
        found.add(target)
    return found


def lay_out(pages: Path) -> None:
    """Copy the documents, and every file that they link to, into `pages` under the names that they have here.

    So a link works on the site as it works in the checkout, also one that leads to source code.
    """
    shutil.rmtree(pages, ignore_errors=True)
    ahead, done = documents(), set[Path]()
    while ahead:
        path = ahead.pop()
        if path in done:
            continue
        done.add(path)
        target = pages / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        ahead += sorted(linked(path))


def main() -> int:
    """Build the site and return 0, or 1 with a sentence that says what is wrong."""
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "build"
    try:
        lay_out(folder / "pages")
    except FileNotFoundError as broken:
        print(broken, file=sys.stderr)
        return 1
    shutil.copyfile(ROOT / "zensical.toml", folder / "zensical.toml")
    program = Path(sys.executable).parent / "zensical"
    built = subprocess.run(
        [str(program), "build", "--clean", "--strict"],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        print(built.stdout + built.stderr, file=sys.stderr)
        return 1
    print(f"The site is in {os.path.relpath(folder / 'site')}; open index.html there.")
    print(
        f"Its search needs a web server: python3 -m http.server --bind 127.0.0.1 --directory {os.path.relpath(folder / 'site')}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
