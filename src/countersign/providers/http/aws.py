"""Access to one AWS service: the account's settings, signed requests, and what AWS errors mean."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

from countersign.domain.delivery.delivery import Reason
from countersign.errors import DeliveryFailedError, SettingsError
from countersign.providers.fields import require_filled
from countersign.providers.http.account import LIMITED_KEY, AccountFinding, judge_status
from countersign.providers.http.client import ApiResponse, HttpClient, failure_of_response
from countersign.providers.http.sigv4 import sign_request
from countersign.setting import Described

_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d", re.ASCII)
_MISCONFIGURED: Final = frozenset(
    {
        "AuthorizationError",
        "AccessDenied",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "UserError",
        "IncompleteSignature",
        "ExpiredToken",
    }
)
_NO_RIGHT: Final = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError"})
_BAD_SIGNATURES: Final = frozenset(
    {"InvalidSignatureException", "ExpiredTokenException", "MissingAuthenticationToken", "RequestExpired"}
)
_THROTTLED: Final = frozenset({"Throttled", "Throttling", "ThrottledException", "ThrottlingException"})


class AwsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An account in one region, and an access key that needs no other right than to send. Raises SettingsError."""

    region: Annotated[str, Described("The region of the service.", expects="a region such as eu-central-1")]
    access_key_id: Annotated[str, Described("The id of the access key.")]
    secret_access_key: Annotated[str, Described("The secret of the access key.", secret=True)]

    def __post_init__(self) -> None:
        require_filled(access_key_id=self.access_key_id, secret_access_key=self.secret_access_key)
        if not _REGION.fullmatch(self.region):
            raise SettingsError("region is no region; write it like eu-central-1.")

    def __repr__(self) -> str:
        """Hide the key."""
        return f"AwsSettings({self.region})"


async def post_signed(
    client: HttpClient, url: str, account: AwsSettings, body: bytes, *, service: str, content_type: str, now: int
) -> ApiResponse:
    """Post `body` to a service of AWS and return the response.

    Arguments:
        client: the connections to the service.
        url: the address, without a query.
        account: whose key signs the request.
        body: what to post.
        service: the service as AWS abbreviates it: "ses", "sns".
        content_type: the type of `body`.
        now: milliseconds since the epoch.

    """
    headers = sign_request(
        url,
        {"content-type": content_type},
        body,
        service=service,
        region=account.region,
        key_id=account.access_key_id,
        secret=account.secret_access_key,
        now=now,
    )
    return await client.post(url, headers, body)


async def get_signed(client: HttpClient, url: str, account: AwsSettings, *, service: str, now: int) -> ApiResponse:
    """Make a GET request to a service of AWS and return the response.

    Arguments:
        client: the connections to the service.
        url: the address, without a query.
        account: whose key signs the request.
        service: the service as AWS abbreviates it: "ses", "sns".
        now: milliseconds since the epoch.

    """
    headers = sign_request(
        url,
        {},
        b"",
        service=service,
        region=account.region,
        key_id=account.access_key_id,
        secret=account.secret_access_key,
        now=now,
        method="GET",
    )
    return await client.request("GET", url, headers)


def judge_aws_answer(response: ApiResponse, code: str) -> AccountFinding:
    """Return what an answer says of the access key; `code` is the error in it, such as "AccessDenied", or ""."""
    if code in _NO_RIGHT:
        return LIMITED_KEY
    if code in _MISCONFIGURED or code in _BAD_SIGNATURES:
        return AccountFinding(
            f"refuses our key ({code})",
            "Check access_key_id, secret_access_key and region, and that the clock of this machine is right.",
        )
    return judge_status(response, "Check access_key_id and secret_access_key.")


def failure_of_aws_error(label: str, response: ApiResponse, code: str, now: int) -> DeliveryFailedError:
    """Return the failure that an AWS error stands for.

    Throttling is temporary, a refused key is a fault of the settings, and for all else the status decides.

    Arguments:
        label: the service as it begins sentences: "AWS SNS".
        response: the unsuccessful response.
        code: the error in it, such as "AccessDenied"; "" if there is none.
        now: milliseconds since the epoch.

    """
    if code in _THROTTLED:
        return DeliveryFailedError(Reason.THROTTLED, f"{label}: {code}.", permanent=False)
    if code in _MISCONFIGURED:
        return DeliveryFailedError(Reason.MISCONFIGURED, f"{label}: {code}. Check the access key.", permanent=True)
    return failure_of_response(label, response, now, code)
