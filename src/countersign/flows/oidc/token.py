"""Tokens of clients: exchange an authorization code for them, read userinfo, introspect and revoke an access token.

Sources: OpenID Connect Core 1.0, 3.1.3 and 5.3; RFC 6749, 4.1.3; RFC 7009 (revocation); RFC 7662 (introspection).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.domain.oidc.authorization_request import ACCESS_TOKEN_LIFETIME, ID_TOKEN_LIFETIME_SECONDS
from countersign.domain.shared.contact import ContactKind
from countersign.flows.oidc.authorize import Grant, authorization_details
from countersign.store.tables import accounts, applications, grants, sessions
from countersign.store.tables.grants import AccessToken

if TYPE_CHECKING:
    from countersign.domain.accounts.account import OwnedContact
    from countersign.domain.shared.application import Application
    from countersign.flows.accounts.context import AccountContext

ACCESS_TOKEN_PREFIX: Final = "cst_"  # noqa: S105 - the beginning of every access token, for secret scanners
_decode_grant: Final = msgspec.json.Decoder(Grant).decode


class TokenResponse(msgspec.Struct, frozen=True):
    """The token response (RFC 6749, 5.1). `scope` is separated by spaces, `expires_in` is in seconds."""

    access_token: str
    id_token: str
    scope: str
    expires_in: int

    def __repr__(self) -> str:
        """Hide the tokens."""
        return "TokenResponse(hidden)"


async def exchange_code(
    context: AccountContext, client: Application, code: str, redirect_uri: str, code_verifier: str
) -> TokenResponse | None:
    """Exchange an authorization code for tokens, once.

    `client` is the authenticated client; the other arguments are the parameters of its token request. None means `invalid_grant`: the code
    is unknown, used, expired or another client's, the redirect URI or the PKCE verifier does not match, or the session has ended. A code
    that is used twice was stolen: the tokens that it gave are revoked (RFC 6749, 4.1.2).
    """
    access_token = ACCESS_TOKEN_PREFIX + context.secret()
    request = TokenRequest(
        client_id=client.id,
        code_hash=context.token_hash(code),
        redirect_uri=redirect_uri,
        code_challenge=_code_challenge(code_verifier),
        access_token_hash=context.token_hash(access_token),
        now=context.now(),
    )
    grant = await context.database.run(_redeem_code, context, request)
    if grant is None:
        return None
    id_token = _id_token(context, grant, access_token, request.now // 1_000)
    return TokenResponse(access_token, id_token, " ".join(grant.scope), ACCESS_TOKEN_LIFETIME // 1_000)


class TokenRequest(msgspec.Struct, frozen=True):
    """A token request. Codes and tokens are present as keyed hashes; `code_challenge` is made from the verifier (RFC 7636, 4.6)."""

    client_id: str
    code_hash: bytes
    redirect_uri: str
    code_challenge: str
    access_token_hash: bytes
    now: int


def _code_challenge(code_verifier: str) -> str:
    digest = hashlib.sha256(code_verifier.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def _redeem_code(context: AccountContext, request: TokenRequest) -> Grant | None:
    """Use the code up and add its access token in one transaction, so that a second use of the code finds the token and revokes it."""
    sealed = await grants.use(request.code_hash, request.now)
    if sealed is None:
        return None
    grant = _decode_grant(context.keyring.unseal(sealed, request.code_hash.hex()))
    session = await sessions.find_by_id(grant.account, grant.session, request.now)
    account = await accounts.find(grant.account)
    if session is None or account is None or not account.open or account.epoch != grant.epoch:
        return None
    if not _matches(grant, request):
        return None
    token = AccessToken(
        key=request.access_token_hash,
        grant=request.code_hash,
        application=request.client_id,
        account=grant.account,
        session=grant.session,
        scope=" ".join(grant.scope),
        created_at=request.now,
        expires_at=request.now + ACCESS_TOKEN_LIFETIME,
    )
    await grants.add_token(token)
    return grant


def _matches(grant: Grant, request: TokenRequest) -> bool:
    return (
        grant.client_id == request.client_id
        and grant.redirect_uri == request.redirect_uri
        and hmac.compare_digest(request.code_challenge, grant.code_challenge)
    )


def _id_token(context: AccountContext, grant: Grant, access_token: str, now: int) -> str:
    """Return a signed ID token (OpenID Connect Core, 2); `now` is in seconds."""
    left_half = hashlib.sha256(access_token.encode()).digest()[:16]  # of at_hash: OpenID Connect Core, 3.1.3.6
    claims: dict[str, Any] = {
        "iss": context.links.issuer,
        "sub": grant.account,
        "aud": grant.client_id,
        "iat": now,
        "exp": now + ID_TOKEN_LIFETIME_SECONDS,
        "auth_time": grant.auth_time,
        "acr": grant.acr,
        "amr": list(grant.amr),
        "sid": grant.session,
        "at_hash": base64.urlsafe_b64encode(left_half).rstrip(b"=").decode(),
    }
    if grant.nonce:
        claims["nonce"] = grant.nonce
    if details := authorization_details(grant):
        claims["authorization_details"] = details
    return context.keyring.primary.sign_identity(claims)


async def find_access_token(context: AccountContext, access_token: str) -> AccessToken | None:
    """Return a valid access token; None if it is unknown, expired or revoked, or if its session has ended (semantics S8)."""
    if not access_token.startswith(ACCESS_TOKEN_PREFIX):
        return None
    return await context.database.read(_find_valid_token, context.token_hash(access_token), context.now())


async def _find_valid_token(token_hash: bytes, now: int) -> AccessToken | None:
    token = await grants.find_token(token_hash, now)
    if token is None or await sessions.find_by_id(token.account, token.session, now) is None:
        return None
    client = await applications.find(token.application)
    if client is None or client.removed_at is not None:
        return None
    account = await accounts.find(token.account)
    return token if account is not None and account.disabled_at is None else None


async def userinfo(context: AccountContext, access_token: str) -> dict[str, Any] | None:
    """Return the claims on the user that the scope of the token allows (OpenID Connect Core, 5.3); None if the token is not valid."""
    token = await find_access_token(context, access_token)
    if token is None:
        return None
    account, contacts = await context.database.read(accounts.find_with_contacts, token.account)
    if account is None:
        return None
    scope = token.scope.split()
    claims: dict[str, Any] = {"sub": account.id}
    if "profile" in scope:
        claims["name"] = context.keyring.unseal(account.name, account.id)
        if account.locale:
            claims["locale"] = account.locale
    if "email" in scope and (email := _first_proved(context, contacts, ContactKind.MAIL)):
        claims |= {"email": email, "email_verified": True}
    if "phone" in scope and (phone := _first_proved(context, contacts, ContactKind.PHONE)):
        claims |= {"phone_number": phone, "phone_number_verified": True}
    return claims


def _first_proved(context: AccountContext, contacts: list[OwnedContact], kind: ContactKind) -> str:
    proved = (contact for contact in contacts if contact.kind is kind and contact.proved_at is not None)
    return next((context.keyring.unseal(contact.address, contact.id) for contact in proved), "")


async def introspect(context: AccountContext, client: Application, access_token: str) -> dict[str, Any]:
    """Return the introspection response on one of the client's own tokens (RFC 7662, 2.2). Any other token is not active."""
    token = await find_access_token(context, access_token)
    if token is None or token.application != client.id:
        return {"active": False}
    return {
        "active": True,
        "client_id": token.application,
        "sub": token.account,
        "scope": token.scope,
        "token_type": "Bearer",
        "iat": token.created_at // 1_000,
        "exp": token.expires_at // 1_000,
        "iss": context.links.issuer,
    }


async def revoke(context: AccountContext, client: Application, access_token: str) -> None:
    """Revoke one of the client's own tokens. A token that is unknown or another client's is ignored (RFC 7009, 2.2)."""
    await context.database.run(grants.end_token, context.token_hash(access_token), client.id, context.now())
