"""TLS for connections to others: certificates are always verified."""

from __future__ import annotations

import ssl

from countersign.errors import SettingsError


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a client context, TLS 1.2 or later, that trusts the system's authorities, or only those in `ca_file` (PEM).

    Raises SettingsError if `ca_file` cannot be used.
    """
    try:
        made = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise SettingsError("ca_file cannot be read, or holds no certificates in PEM form.") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made
