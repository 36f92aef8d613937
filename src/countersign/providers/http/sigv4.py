"""Sign POST requests with AWS Signature Version 4.

Source: the public documentation of AWS, "Create a signed AWS API request".
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from typing import Final
from urllib.parse import quote, urlsplit

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


def sign_request(
    url: str,
    headers: dict[str, str],
    body: bytes,
    *,
    service: str,
    region: str,
    key_id: str,
    secret: str,
    now: int,
    method: str = "POST",
) -> dict[str, str]:
    """Return `headers` with the host, the time and the authorization.

    Arguments:
        url: the address, without a query.
        headers: the headers to send and sign, names in lower case.
        body: the body to send.
        service: the service as AWS abbreviates it: "ses", "sns".
        region: the region, such as eu-central-1.
        key_id: the id of the access key.
        secret: the secret of the access key.
        now: milliseconds since the epoch.
        method: the method of the request.

    """
    parts = urlsplit(url)
    moment = dt.datetime.fromtimestamp(now / 1000, dt.UTC)
    stamp, day = moment.strftime("%Y%m%dT%H%M%SZ"), moment.strftime("%Y%m%d")
    given = {**headers, "host": parts.netloc, "x-amz-date": stamp}
    names = ";".join(sorted(given))
    canonical = "\n".join(
        (
            method,
            quote(parts.path or "/", safe="/-_.~%"),
            "",
            *(f"{name}:{' '.join(given[name].split())}" for name in sorted(given)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    given["authorization"] = f"{_ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return given
