"""Signing in with Countersign: Authlib sends the person there with what a page needs, and judges the answer when they come back."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from examples.shop.customers import Need, Pending, Visit
from joserfc import jwk, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySetSerialization

SCOPE: Final = "openid profile email"
LEVELS: Final = [
    f"urn:countersign:acr:{name}"
    for name in ("password", "trusted-device", "mail-code", "phone-code", "app-code", "passkey")
]
"""Weakest first."""
SLACK: Final = 30
"""Seconds that two clocks may differ by."""


class RefusedError(Exception):
    """The person came back without what was asked for; the text says why, in words for them. `path` is what they had opened."""

    path = ""


class AwayError(Exception):
    """Countersign does not answer, or not as it should."""


class Countersign:
    """The provider, as its discovery document describes it."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, callback: str) -> None:
        self._issuer = issuer
        self._id = client_id
        self._secret = client_secret
        self._callback = callback
        self._known: dict[str, Any] = {}

    async def leave_for(self, visit: Visit, need: Need, method: str, path: str, fields: dict[str, str]) -> str:
        """Return where to send the person; the request they made waits in their visit. Raises AwayError."""
        pending = Pending(method, path, fields, secrets.token_urlsafe(48), secrets.token_urlsafe(16), need, visit.sub)
        more: dict[str, Any] = {"nonce": pending.nonce}
        if need.acr:
            more["acr_values"] = need.acr
        if need.max_age is not None:
            more["max_age"] = need.max_age
        if need.summary:
            more["authorization_details"] = json.dumps(
                [{"type": "urn:countersign:action", "summary": need.summary, "hash": need.hash}]
            )
        async with self._client() as client:
            known = await self._configuration(client)
            where, _ = client.create_authorization_url(
                known["authorization_endpoint"],
                state=visit.wait(pending),
                code_verifier=pending.verifier,
                **more,
            )
            return await self._pushed(client, known, str(where)) if need.summary else str(where)

    async def _pushed(self, client: AsyncOAuth2Client, known: dict[str, Any], where: str) -> str:
        """Push a request (RFC 9126), and return where to send the person with its reference. Raises AwayError.

        Countersign takes an act from nobody else: otherwise any link could have it send words to people.
        """
        try:
            answer = await client.request(
                "POST",
                known["pushed_authorization_request_endpoint"],
                data=dict(parse_qsl(urlsplit(where).query)),
                auth=(self._id, self._secret),
                withhold_token=True,
            )
            answer.raise_for_status()
            reference = str(answer.json()["request_uri"])
        except (httpx2.HTTPError, ValueError, KeyError) as error:
            raise AwayError from error
        query = urlencode({"client_id": self._id, "request_uri": reference})
        return f"{known['authorization_endpoint']}?{query}"

    async def come_back(self, visit: Visit, query: dict[str, str]) -> tuple[Pending, dict[str, Any]]:
        """Judge the answer; return the request that waited and the claims about the person. Raises RefusedError and AwayError."""
        pending = visit.pending.pop(query.get("state", ""), None)
        if pending is None:
            raise RefusedError("This answer belongs to no question of yours. Please start again.")
        if query.get("iss") != self._issuer:
            raise RefusedError("This answer came from somewhere else. Please start again.")
        if "code" not in query:
            raise RefusedError(_REASONS.get(query.get("error", ""), "You came back without being confirmed."))
        try:
            return pending, await self._person(query["code"], pending)
        except RefusedError as error:
            error.path = pending.path
            raise

    async def _person(self, code: str, pending: Pending) -> dict[str, Any]:
        async with self._client() as client:
            known = await self._configuration(client)
            try:
                told = await client.fetch_token(known["token_endpoint"], code=code, code_verifier=pending.verifier)
                keys = (await client.request("GET", known["jwks_uri"], withhold_token=True)).json()
                person = (await client.get(known["userinfo_endpoint"])).json()
            except OAuthError as error:  # as the code was used before, or is more than a minute old
                raise RefusedError("You took too long, or came by the same way twice. Please start again.") from error
            except (httpx2.HTTPError, ValueError) as error:
                raise AwayError from error
        claims = self._claims(told["id_token"], keys, pending)
        if person.get("sub") != claims["sub"]:
            raise RefusedError("The answers about you do not agree. Please start again.")
        if pending.method == "POST" and pending.sub not in {"", claims["sub"]}:
            raise RefusedError("You came back as somebody else, so what you had sent was not carried out.")
        return {**person, **claims, "id_token": told["id_token"]}

    def _claims(self, id_token: str, keys: KeySetSerialization, pending: Pending) -> dict[str, Any]:
        try:
            found = jwt.decode(id_token, jwk.KeySet.import_key_set(keys), algorithms=["ES256"])
            _check_clocks(found.claims)
            jwt.JWTClaimsRegistry(
                leeway=SLACK,
                iss={"essential": True, "value": self._issuer},
                aud={"essential": True, "value": self._id},
                exp={"essential": True},
                sub={"essential": True},
            ).validate(found.claims)
        except (JoseError, ValueError) as error:
            raise RefusedError("The answer about you is not signed as it should be.") from error
        claims = dict(found.claims)
        if not hmac.compare_digest(str(claims.get("nonce", "")), pending.nonce):
            raise RefusedError("This answer is an old one. Please start again.")
        if not strong_enough(pending.need, str(claims.get("acr", "")), int(claims.get("auth_time", 0))):
            raise RefusedError("You were confirmed, but not as strongly as this page needs.")
        details = claims.get("authorization_details", [{}])[0]
        if pending.need.summary and (details.get("summary"), details.get("hash")) != (
            pending.need.summary,
            pending.need.hash,
        ):
            raise RefusedError("What was approved is not what was asked.")
        return claims

    async def sign_out_at(self, id_token: str, back_to: str) -> str:
        """Return where to send a person who signs out."""
        async with self._client() as client:
            end = (await self._configuration(client))["end_session_endpoint"]
            asked = client.build_request(
                "GET", end, params={"id_token_hint": id_token, "post_logout_redirect_uri": back_to}
            )
        return str(asked.url)

    def _client(self) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._id,
            self._secret,
            scope=SCOPE,
            redirect_uri=self._callback,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic",  # noqa: S106 - the name of a method
            timeout=10,
            trust_env=False,
        )

    async def _configuration(self, client: AsyncOAuth2Client) -> dict[str, Any]:
        if not self._known:
            try:
                answer = await client.request(
                    "GET", f"{self._issuer}/.well-known/openid-configuration", withhold_token=True
                )
                answer.raise_for_status()
                known: dict[str, Any] = answer.json()
            except (httpx2.HTTPError, ValueError) as error:
                raise AwayError from error
            if known.get("issuer") != self._issuer:
                raise RefusedError("The sign-in service is set up for another address.")
            self._known = known
        return self._known


def _check_clocks(claims: dict[str, Any]) -> None:
    """Raise RefusedError if an answer that was just given says another time than the shop's clock.

    Every check of a time would fail or pass wrongly then, and the person can do nothing about it but know that it is not their fault.
    """
    made = claims.get("iat")
    if not isinstance(made, int | float):
        return
    apart = abs(time.time() - made)
    if apart > SLACK:
        minutes = max(1, round(apart / 60))
        raise RefusedError(
            f"Our clock and that of the service that signs you in differ by about {minutes} minute{'s' * (minutes > 1)}."
            " That is our fault, not yours, and nothing has happened. We have to set our clock right: please try again in a while."
        )


_REASONS: Final = {
    "access_denied": "You decided not to go on. Nothing has happened.",
    "login_required": "You need to sign in for this.",
    "unmet_authentication_requirements": "Your account has no way to confirm you as strongly as this page needs.",
}


def strong_enough(need: Need, acr: str, auth_time: int) -> bool:
    """Say whether a proof meets a need: its level, and its age now."""
    if need.acr and (acr not in LEVELS or LEVELS.index(acr) < LEVELS.index(need.acr)):
        return False
    return need.max_age is None or time.time() - auth_time <= need.max_age + SLACK
