"""Compiles the mail templates from MJML to the HTML that is committed; `--check` only says whether that is still the same."""

import sys
from pathlib import Path

from mjml import mjml2html

MESSAGES = Path(__file__).resolve().parent.parent / "src" / "countersign" / "messages"


def compiled(source: Path) -> str:
    """Return the HTML of one MJML file; no font is fetched from anywhere."""
    return mjml2html(source.read_text(encoding="utf-8"), fonts={}) + "\n"


def main() -> int:
    """Compile every source, or check each; return 1 if one differs."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for source in sorted((MESSAGES / "templates").glob("*.mjml")):
        target = MESSAGES / "templates" / f"{source.stem}.html"
        fresh = compiled(source)
        if check:
            if not target.exists() or target.read_text(encoding="utf-8") != fresh:
                stale += 1
                print(
                    f"{target.name} is not what {source.name} compiles to; run tools/mail_templates.py and commit both."
                )
        else:
            target.write_text(fresh, encoding="utf-8")
            print(f"{source.name} -> {target.name}, {len(fresh.encode())} bytes")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
