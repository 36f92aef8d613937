"""How we speak TLS to others: their certificate is always checked."""

from __future__ import annotations

import ssl

from countersign.errors import SettingsError


def context(ca_file: str | None) -> ssl.SSLContext:
    """Return a client's context that trusts the system's authorities, or those in `ca_file` (PEM) alone.

    Raises SettingsError if `ca_file` cannot be used.
    """
    try:
        made = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise SettingsError("ca_file cannot be read, or holds no certificates in PEM form.") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made
