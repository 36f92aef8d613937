"""An authority of our own, and certificates of every kind that it may have issued."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


class CertificateAuthority:
    """An authority whose own certificate stands in `ca_file`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of the tests")])
        start = dt.datetime.now(dt.UTC) - dt.timedelta(days=400)
        own = self._begin(self._name, self._key, start, start + dt.timedelta(days=4_000)).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        path = folder / "ca.pem"
        path.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self.ca_file = str(path)
        self._issued = 0

    def server(
        self, *, begins: float = -1, ends: float = 90, names: tuple[str, ...] = ("localhost",)
    ) -> ssl.SSLContext:
        """Return the context of a server. `begins` and `ends` are in days from now; 127.0.0.1 is among its names where localhost is."""
        now = dt.datetime.now(dt.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        listed: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        if "localhost" in names:
            listed.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        leaf = self._begin(
            x509.Name([]), key, now + dt.timedelta(days=begins), now + dt.timedelta(days=ends)
        ).add_extension(x509.SubjectAlternativeName(listed), critical=True)
        self._issued += 1
        chain = self._folder / f"server{self._issued}.pem"
        chain.write_bytes(
            leaf.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chain)
        return context

    def _begin(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, start: dt.datetime, end: dt.datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )
