"""Write docs/settings.md from where the settings are declared."""

from pathlib import Path

from countersign.config.reference import write_reference

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"

if __name__ == "__main__":
    PAGE.write_text(write_reference(), encoding="utf-8")
    print(f"Wrote {PAGE.name}.")
