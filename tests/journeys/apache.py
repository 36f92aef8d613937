"""Apache with mod_auth_openidc, as Debian has it: a relying party that asks for a level by path."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = Path("/usr/lib/apache2/modules")
NEEDED = ("mpm_event", "authn_core", "authz_core", "authz_user", "dir", "auth_openidc")
SETTINGS = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Mutex file:{folder}
ErrorLog {folder}/log
Listen 127.0.0.1:{port}
DocumentRoot {folder}/www
DirectoryIndex index.html
{modules}
{user}
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client}
OIDCClientSecret {secret}
OIDCRedirectURI http://localhost:{port}/back
OIDCCryptoPassphrase a-passphrase-of-this-test-alone
OIDCScope "openid profile email"
OIDCPKCEMethod S256
OIDCCacheShmEntrySizeMax 65536
<Location />
  AuthType openid-connect
  Require valid-user
</Location>
<Location /orders>
  OIDCPathAuthRequestParams acr_values=urn:countersign:acr:mail-code
  OIDCUnAutzAction auth
  Require claim acr:urn:countersign:acr:mail-code
</Location>
"""


def is_here() -> bool:
    """Say whether Apache and its modules are installed."""
    return shutil.which("apache2") is not None and all((MODULES / f"mod_{name}.so").exists() for name in NEEDED)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@contextlib.contextmanager
def apache(folder: Path, port: int, issuer: str, client: str, secret: str) -> Iterator[str]:
    """Run it until the block ends; give its address."""
    for name in ("", "orders"):
        (folder / "www" / name).mkdir(parents=True, exist_ok=True)
        (folder / "www" / name / "index.html").write_text(f"<title>apache {name or 'start'}</title>")
    user = ""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        for path in (folder, *list(folder.parents)[:-2]):
            path.chmod(path.stat().st_mode | 0o111)
        user = "User nobody\nGroup nogroup"
    modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in NEEDED)
    text = SETTINGS.format(
        folder=folder, port=port, modules=modules, user=user, issuer=issuer, client=client, secret=secret
    )
    (folder / "apache.conf").write_text(text)
    with (folder / "said").open("wb") as said:
        started = subprocess.Popen(
            ["apache2", "-f", str(folder / "apache.conf"), "-DFOREGROUND"], stdout=subprocess.DEVNULL, stderr=said
        )
    try:
        _wait_for(f"http://localhost:{port}/missing", started, folder)
        yield f"http://localhost:{port}"
    finally:
        started.terminate()
        started.wait(20)


def _wait_for(address: str, started: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 15
    opener = urllib.request.build_opener(_Stay)
    while time.monotonic() < until and started.poll() is None:
        try:
            opener.open(address, timeout=2)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    log = folder / "log"
    raise AssertionError((folder / "said").read_text() + (log.read_text() if log.exists() else ""))


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow nothing."""
