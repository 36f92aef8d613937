"""Sees to it that the browser tests find a Chromium: installs Debian's where we may, else says that they will skip."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Without a font of its own a bare machine draws boxes.
PACKAGES = ("chromium", "fonts-liberation", "fonts-dejavu-core")


def main() -> int:
    """Install Chromium if it is missing and can be had; never fail, since the tests that need it skip and say why."""
    if any(shutil.which(name) for name in NAMES):
        return 0
    if not shutil.which("apt-get") or os.geteuid() != 0:
        print(
            "No Chromium found: the browser tests will skip. To run them, install chromium and try again.", flush=True
        )
        return 0
    print("Installing Chromium for the browser tests ...", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", "-qq", *words], env=quiet, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(f"apt-get {words[0]} failed, so the browser tests will skip:\n{done.stderr.strip()}", flush=True)
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
