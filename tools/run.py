"""Serves Countersign and beside it the example shop, as two processes; `run.py PORT` puts the shop on the next port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PATIENCE = 30.0


def main() -> int:
    """Serve until told to stop, and end with Countersign's own exit status; the shop's failure is said, and stops nothing."""
    port = int(sys.argv[1])
    issuer, url = f"http://localhost:{port}", f"http://localhost:{port + 1}"
    home = Path(os.environ.get("COUNTERSIGN_HOME", ".countersign"))
    settings = None
    if port and not os.environ.get("COUNTERSIGN_PUBLIC_URL"):
        settings = registered(home / "shop.json", issuer, url)
    serving = subprocess.Popen([str(BIN / "countersign"), "serve", "--port", str(port)])
    shop: subprocess.Popen[bytes] | None = None

    def stop(number: int, _: object) -> None:
        for each in (shop, serving):
            if each is not None and each.poll() is None:
                each.send_signal(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal tells all three
    if settings is not None and answers(f"{issuer}/health/live", serving):
        shop = subprocess.Popen(
            [
                str(BIN / "uvicorn"),
                "--factory",
                "--host",
                "127.0.0.1",
                "--port",
                str(port + 1),
                "--log-level",
                "error",
                "--no-access-log",
                "examples.shop.app:make_app",
            ],
            cwd=ROOT,
            env={**os.environ, "SHOP_SETTINGS": str(settings.resolve())},
        )
        print(f"A shop that uses it: {url}/", flush=True)
    status = serving.wait()
    if shop is not None:
        if shop.poll() is None:
            shop.terminate()
        shop.wait()
    return status


def registered(path: Path, issuer: str, url: str) -> Path | None:
    """Return the file with the shop's key, made anew where there is none for these addresses; None where that cannot be done."""
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    known = {one["name"]: one for one in apps("list", "--json") or []}
    callback, home = f"{url}/signed-in", f"{url}/"
    there = known.get("shop")
    if there and kept.get("client_id") == there["id"] and (kept.get("issuer"), kept.get("url")) == (issuer, url):
        return path
    if there and there["redirects"] and not kept:
        print("There is an application named shop already, which is not the example's; the example shop is left out.")
        return None
    if there:
        apps("remove", "shop")
    added = apps(
        "add", "shop", "--site", "Leaf & Kettle", "--redirect", callback, "--sign-out", home, "--json"
    )  # fmt: skip
    if not added:
        return None
    told = {"issuer": issuer, "client_id": added["id"], "client_secret": added["key"], "url": url}
    path.touch(mode=0o600)
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return path


def apps(*words: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a command on applications answers, if it is JSON; None if it failed, which it has said."""
    done = subprocess.run([str(BIN / "countersign"), "apps", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr.strip(), file=sys.stderr)
        return None
    return json.loads(done.stdout) if "--json" in words else None


def answers(address: str, serving: subprocess.Popen[bytes]) -> bool:
    """Wait until the program answers; False if it ended or takes too long."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and serving.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):  # noqa: S310 - an address of this machine
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


if __name__ == "__main__":
    sys.exit(main())
