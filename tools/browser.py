"""Sees to it that the browser tests find a Chromium and axe: installs them where we may, else says which tests will skip."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Not every release of every distribution has the shell. Without a font of its own a bare machine draws boxes.
CHOICES = ("chromium-headless-shell", "chromium")
FONTS = ("fonts-liberation", "fonts-dejavu-core")


def main() -> int:
    """Install Chromium if it is missing and can be had; never fail, since the tests that need it skip and say why."""
    _install_axe()
    if any(shutil.which(name) for name in NAMES):
        return 0
    if not shutil.which("apt-get") or os.geteuid() != 0:
        print(
            "No Chromium found: the browser tests will skip. To run them, install chromium and try again.", flush=True
        )
        return 0
    print("Installing Chromium for the browser tests ...", flush=True)
    _apt("update")
    said = ""
    for choice in CHOICES:
        said = _apt("install", "--yes", "--no-install-recommends", choice, *FONTS)
        if not said:
            return 0
    print(f"apt-get failed, so the browser tests will skip:\n{said}", flush=True)
    return 0


def _apt(*words: str) -> str:
    """Run apt-get; return what it said if it failed."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", "-qq", *words], env=quiet, capture_output=True, text=True, check=False)
    return (done.stderr.strip() or "It did not say why.") if done.returncode else ""


def _install_axe() -> None:
    """Install what package-lock.json names: the rules of accessibility, and peers of the tests."""
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    if all((ROOT / "node_modules" / name).exists() for name in wanted):
        return
    if not shutil.which("npm"):
        print(
            "No npm found: the tests by axe and those with peers from npm will skip. To run them, install Node.js and try again.",
            flush=True,
        )
        return
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(
            f"npm ci failed, so the tests by axe and those with peers from npm will skip:\n{done.stderr.strip()}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
