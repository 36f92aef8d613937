"""TLS for connections to others: certificates are always verified, and what is wrong with one is told apart."""

from __future__ import annotations

import ssl
from typing import Final, TypeVar

import msgspec

from countersign.errors import SettingsError

E = TypeVar("E", bound=BaseException)


class CertificateFault(msgspec.Struct, frozen=True):
    """What is wrong with a certificate: the end of a sentence that begins with "its certificate", and the remedy.

    `passes` is True if it ends without any change of ours: what has expired is renewed over there, and what is not valid yet will be. A
    message that lives until then need not be lost.
    """

    what: str
    remedy: str
    passes: bool = False


# Codes of OpenSSL's verification (X509_V_ERR_*).
_EXPIRED: Final = CertificateFault("has expired", "Renew it, with those that it comes with.", passes=True)
_NOT_YET: Final = CertificateFault(
    "is not valid yet",
    "Compare the clocks of both machines, or put the certificate there that is valid now.",
    passes=True,
)
_OTHER_NAME: Final = CertificateFault(
    "is for another name", "Use the name that it is for, or have one made for this name."
)
_UNTRUSTED: Final = CertificateFault("is of an authority that is not trusted here", "Name its authority in ca_file.")
_FAULTS: Final = {
    **dict.fromkeys((10, 12), _EXPIRED),
    **dict.fromkeys((9, 11), _NOT_YET),
    **dict.fromkeys((62, 63, 64), _OTHER_NAME),
    **dict.fromkeys((2, 18, 19, 20, 21, 27), _UNTRUSTED),
}
_OTHER: Final = CertificateFault("is not sound", "Look at it with: openssl s_client -connect")


def certificate_fault(error: BaseException) -> CertificateFault | None:
    """Return what is wrong with the certificate that caused an error; None if none did."""
    cause = _cause(error, ssl.SSLCertVerificationError)
    return None if cause is None else _FAULTS.get(cause.verify_code, _OTHER)


def is_tls_failure(error: BaseException) -> bool:
    """Return True if TLS itself failed, on either side, whatever the certificate is."""
    return _cause(error, ssl.SSLError) is not None


def _cause(error: BaseException | None, kind: type[E]) -> E | None:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, kind):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


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
