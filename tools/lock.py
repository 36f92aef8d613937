"""Locks each requirements/*.in into a .txt with hashes, for every platform and Python we support."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = ROOT / ".tools" / "bin" / "uv"
# In this order: each is held to the versions of those before.
NAMES = ("uv", "run", "examples", "dev")
# No address of an index or of a folder may reach the file: whoever installs from it has their own.
SILENT = ("--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate", "--quiet")


def main() -> int:
    """Lock each file, handing the caller's words (`--upgrade`, `--upgrade-package NAME`) on to uv."""
    for name in NAMES:
        command = [str(UV), "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes", *SILENT]
        command += [*sys.argv[1:], f"requirements/{name}.in", "--output-file", f"requirements/{name}.txt"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            print(f"requirements/{name}.in could not be locked; why is said above. Nothing after it was touched.")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
