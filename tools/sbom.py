"""Writes what the program is made of as a CycloneDX document: every package of the lock, with its version and its hashes."""

import hashlib
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "run.txt"
PLACE = ROOT / "build" / "sbom.cdx.json"
PACKAGE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(lock: str) -> list[dict[str, Any]]:
    """Return a component for each package of a lock, in the order of their names."""
    starts = list(PACKAGE.finditer(lock))
    ends = [one.start() for one in starts[1:]] + [len(lock)]
    found = []
    for start, end in zip(starts, ends, strict=True):
        name, version = re.sub(r"[-_.]+", "-", start[1]).lower(), start[2]
        purl = f"pkg:pypi/{name}@{version}"
        found.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "purl": purl,
                # One of them is what was installed: a wheel for this machine, or the source.
                "hashes": [{"alg": "SHA-256", "content": one} for one in sorted(HASH.findall(lock[start.end() : end]))],
            }
        )
    return sorted(found, key=lambda one: str(one["name"]))


def document(lock: str, project: dict[str, Any]) -> dict[str, Any]:
    """Return the document (CycloneDX 1.6). The same lock gives the same document, so that anybody can make it again."""
    name, version = project["name"], project["version"]
    own = f"pkg:pypi/{name}@{version}"
    parts = components(lock)
    digest = hashlib.sha256(lock.encode()).hexdigest()
    serial = f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": own, "name": name, "version": version, "purl": own}
        },
        "components": parts,
        "dependencies": [{"ref": own, "dependsOn": [one["bom-ref"] for one in parts]}],
    }


def main() -> int:
    """Write the document."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    PLACE.parent.mkdir(exist_ok=True)
    found = document(LOCK.read_text(encoding="utf-8"), project)
    PLACE.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"Wrote {PLACE.relative_to(ROOT)}: {len(found['components'])} packages.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
