"""Sets up the virtual environment of this checkout from the hashed locks, and does nothing when it already stands.

Usage: bootstrap.py [run|dev]. `run` is what serving needs; `dev` adds what the tests and the checks need.
Needs Python 3.11 or later with either pip or ensurepip, and nothing else: the rest is installed below the checkout,
in .tools/ (uv, pinned by hash) and .venv/. The PIP_ and UV_ settings of the environment are honoured.
"""

from __future__ import annotations  # an older Python must get as far as being told that it is too old

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
LOCKS = ROOT / "requirements"
STAMP = VENV / "countersign-stamp.json"
UV_STAMP = TOOLS / "uv-stamp.txt"
# `make run` serves the example shop too, which needs a client for OpenID Connect; the product itself needs run.txt alone.
LEVELS = {"run": "examples.txt", "dev": "dev.txt"}
# uv reads none of pip's settings by itself. [uv documentation, "Compatibility with pip"]
SAME_MEANING = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_CERT": "SSL_CERT_FILE",
}


class SetupError(Exception):
    """Setting up went wrong in a way the person at the terminal can mend; the text says how."""


def new_enough_python() -> str:
    """Return the path of the Python that runs this; refuse one that is too old for us."""
    if sys.version_info[:2] < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(
            f"Countersign needs Python 3.11 or later, but {sys.executable} is Python {found}.\n"
            "Name a newer one, such as: make PYTHON=/path/to/python3.12 run"
        )
    return sys.executable


def fingerprint(*parts: bytes) -> str:
    """Return what identifies an installation: these parts, this Python, this place and this script."""
    seen = hashlib.sha256()
    here = f"{sys.version}|{sys.base_prefix}|{ROOT}"
    for part in (here.encode(), Path(__file__).read_bytes(), *parts):
        seen.update(hashlib.sha256(part).digest())
    return seen.hexdigest()


def last_stamp() -> dict[str, str]:
    """Return what the last installation that was finished wrote of itself: its level, mark and place."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def install(level: str, python: str) -> None:
    """Bring .venv to `level` ("run" or "dev") and stamp it; a dev installation already there stays one."""
    import tomllib  # an older Python has none, and must get as far as being told so

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    ours = json.dumps([project["build-system"], project["project"]], sort_keys=True).encode()
    pin = (LOCKS / "uv.txt").read_bytes()
    mark = {name: fingerprint(ours, pin, (LOCKS / file).read_bytes()) for name, file in LEVELS.items()}
    before = last_stamp()
    if before.get("level") == "dev":
        level = "dev"
    if before.get("mark") == mark[level] and (VENV / "bin" / "python").exists():
        return
    began = time.monotonic()
    print(f"Setting up .venv ({level}) ...", file=sys.stderr, flush=True)
    uv = str(ready_uv(python, pin))
    STAMP.unlink(missing_ok=True)
    # A checkout that was moved begins anew too: the programs in .venv/bin name the place they were installed in.
    if before.get("place") != str(ROOT) or not same_python(python):
        ask([uv, "venv", "--quiet", "--clear", "--no-project", "--python", python, str(VENV)])
    into = ["--python", str(VENV / "bin" / "python")]
    # Compiled now, since a machine whose environment forbids Python to write bytecode would compile at each start.
    lock = str(LOCKS / LEVELS[level])
    ask([uv, "pip", "sync", "--quiet", "--compile-bytecode", "--require-hashes", *into, lock])
    ask([uv, "pip", "install", "--quiet", "--no-deps", "--offline", *into, "--editable", str(ROOT)])
    STAMP.write_text(json.dumps({"level": level, "mark": mark[level], "place": str(ROOT)}) + "\n")
    print(f"Set up in {time.monotonic() - began:.1f} s.", file=sys.stderr, flush=True)


def same_python(python: str) -> bool:
    """Say whether .venv works and was made from the same Python as `python`."""
    ours = VENV / "bin" / "python"
    if not ours.exists():
        return False
    which = "import sys; print(sys.version, sys.base_prefix)"
    answers = [
        subprocess.run([path, "-c", which], capture_output=True, text=True, check=False).stdout
        for path in (str(ours), python)
    ]
    return bool(answers[0]) and answers[0] == answers[1]


def ready_uv(python: str, pin: bytes) -> Path:
    """Return the path of the pinned uv, installing it into .tools/ if it is not there yet."""
    uv = TOOLS / "bin" / "uv"
    mark = fingerprint(pin)
    if uv.exists() and UV_STAMP.exists() and UV_STAMP.read_text() == mark:
        return uv
    shutil.rmtree(TOOLS, ignore_errors=True)
    words = [
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--no-warn-script-location",
        "--no-deps",
    ]
    words += ["--no-compile", "--only-binary", ":all:", "--require-hashes", "--target", str(TOOLS)]
    words += ["--requirement", str(LOCKS / "uv.txt")]
    if subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        ask([python, "-m", "pip", *words])
    else:
        install_with_ensurepip(python, words)
    UV_STAMP.write_text(mark)
    return uv


def install_with_ensurepip(python: str, words: list[str]) -> None:
    """Run pip with `words` from a throw-away environment that ensurepip fills."""
    with tempfile.TemporaryDirectory(prefix="countersign-pip-") as place:
        made = subprocess.run([python, "-m", "venv", place], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise SetupError(
                f"{python} has neither pip nor ensurepip, so nothing can be installed with it.\n"
                "Add one of them (Debian, Ubuntu: apt-get install python3-venv; Alpine: apk add py3-pip) and try again."
            )
        ask([str(Path(place) / "bin" / "python"), "-m", "pip", *words])


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other terminal is setting up this checkout, and keep others waiting meanwhile."""
    with (ROOT / "requirements" / "run.txt").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ask(command: list[str]) -> None:
    """Run `command`; where it fails, say which one it was after its own words."""
    if subprocess.run(command, cwd=ROOT, env=surroundings(), check=False, stdin=subprocess.DEVNULL).returncode != 0:
        raise SetupError(
            "Setting up stopped at: " + " ".join(command) + "\n"
            "What went wrong is said above. Behind a mirror, set PIP_INDEX_URL; behind a proxy with a certificate of its\n"
            "own, PIP_CERT. Then run the same command again; what is done already is kept."
        )


def surroundings() -> dict[str, str]:
    """Return the environment for pip and uv: the caller's own, with pip's settings said to uv where uv has none."""
    theirs = os.environ
    ours = {
        "PIP_ROOT_USER_ACTION": "ignore"
    }  # nothing goes into the system, so pip's warning to root would only frighten
    for pip, uv in SAME_MEANING.items():
        if pip in theirs:
            ours[uv] = ",".join(theirs[pip].split()) if uv == "UV_FIND_LINKS" else theirs[pip]
    system = ssl.get_default_verify_paths()
    if system.cafile or (system.capath and any(Path(system.capath).iterdir())):
        ours["UV_SYSTEM_CERTS"] = "true"  # a company's own authority is known there, and not to uv's built-in list
    return {**ours, **theirs}


def main() -> int:
    """Set up the level named on the command line and return the exit code."""
    level = sys.argv[1] if len(sys.argv) > 1 else "run"
    if level not in LEVELS:
        print(f"bootstrap.py: the level is run or dev, not {level!r}", file=sys.stderr)
        return 2
    try:
        python = new_enough_python()
        with alone():
            install(level, python)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped before the end; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
