"""AccessToken: a relying party redeems its code, asks who the person is, and lets go again."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

import msgspec

from countersign.domain.oidc.authorization_request import ID_TOKEN_LASTS, TOKEN_LASTS
from countersign.domain.shared.contact import ContactKind
from countersign.flows.oidc.authorize import Grant, details_of
from countersign.store.tables import accounts, applications, grants, sessions
from countersign.store.tables.grants import AccessToken

if TYPE_CHECKING:
    from countersign.domain.accounts.account import OwnedContact
    from countersign.domain.shared.application import Application
    from countersign.flows.accounts.context import AccountContext

PREFIX: Final = "cst_"

_decode: Final = msgspec.json.Decoder(Grant).decode


class TokenResponse(msgspec.Struct, frozen=True):
    """What a code was worth."""

    access_token: str
    id_token: str
    scope: str
    expires_in: int

    def __repr__(self) -> str:
        """Hide the tokens."""
        return "Redeemed(hidden)"


async def exchange_code(
    context: AccountContext, client: Application, code: str, redirect_uri: str, verifier: str
) -> TokenResponse | None:
    """Return tokens for a code, once; None for one that is unknown, used, late, another's, or whose session has ended."""
    access = PREFIX + context.secret()
    shown = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()).rstrip(b"=")
    asked = CodeExchange(
        client.id, context.mark(code), redirect_uri, shown.decode(), context.mark(access), context.now()
    )
    grant = await context.database.run(_redeem, context, asked)
    if grant is None:
        return None
    id_token = _id_token(context, grant, access, asked.now // 1_000)
    return TokenResponse(access, id_token, " ".join(grant.scope), TOKEN_LASTS // 1_000)


class CodeExchange(msgspec.Struct, frozen=True):
    """All that redeeming a code is judged by: keys are keyed hashes, `shown` what the verifier makes the challenge to be."""

    client: str
    code: bytes
    redirect_uri: str
    shown: str
    access: bytes
    now: int


async def _redeem(context: AccountContext, asked: CodeExchange) -> Grant | None:
    """Use the grant and add its token at once: whoever comes second with the same code finds the token, and ends it."""
    sealed = await grants.use(asked.code, asked.now)
    if sealed is None:
        return None
    grant = _decode(context.keyring.unseal(sealed, asked.code.hex()))
    session = await sessions.find_by_id(grant.account, grant.session, asked.now)
    if (
        session is None
        or grant.client != asked.client
        or grant.redirect_uri != asked.redirect_uri
        or not hmac.compare_digest(asked.shown, grant.challenge)
    ):
        return None
    await grants.add_token(
        AccessToken(
            key=asked.access,
            grant=asked.code,
            application=asked.client,
            account=grant.account,
            session=grant.session,
            scope=" ".join(grant.scope),
            created_at=asked.now,
            expires_at=asked.now + TOKEN_LASTS,
        )
    )
    return grant


def _id_token(context: AccountContext, grant: Grant, access: str, now: int) -> str:
    half = hashlib.sha256(access.encode()).digest()[:16]  # OpenID Connect Core, 3.1.3.6
    claims: dict[str, Any] = {
        "iss": context.links.issuer,
        "sub": grant.account,
        "aud": grant.client,
        "iat": now,
        "exp": now + ID_TOKEN_LASTS,
        "auth_time": grant.auth_time,
        "acr": grant.acr,
        "amr": list(grant.amr),
        "sid": grant.session,
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
    }
    if grant.nonce:
        claims["nonce"] = grant.nonce
    if details := details_of(grant):
        claims["authorization_details"] = details
    return context.keyring.primary.sign_identity(claims)


async def find_token(context: AccountContext, access: str) -> AccessToken | None:
    """Return a token that is alive, whose session is, too (semantics S8)."""
    if not access.startswith(PREFIX):
        return None
    return await context.database.read(_alive, context.mark(access), context.now())


async def _alive(key: bytes, now: int) -> AccessToken | None:
    token = await grants.find_token(key, now)
    if token is None or (await sessions.find_by_id(token.account, token.session, now)) is None:
        return None
    client = await applications.find(token.application)
    if client is None or client.removed_at is not None:
        return None
    account = await accounts.find(token.account)
    return token if account is not None and account.disabled_at is None else None


async def userinfo(context: AccountContext, access: str) -> dict[str, Any] | None:
    """Return what a token may know of its person (OpenID Connect Core, 5.3); None for a token that is not alive."""
    token = await find_token(context, access)
    if token is None:
        return None
    account, contacts = await context.database.read(accounts.person, token.account)
    if account is None:
        return None
    scope, told = token.scope.split(), {"sub": account.id}
    proved = [contact for contact in contacts if contact.proved_at is not None]
    claims: dict[str, Any] = dict(told)
    if "profile" in scope:
        claims["name"] = context.keyring.unseal(account.name, account.id)
        if account.locale:
            claims["locale"] = account.locale
    if "email" in scope and (mail := _first(context, proved, ContactKind.MAIL)):
        claims |= {"email": mail, "email_verified": True}
    if "phone" in scope and (phone := _first(context, proved, ContactKind.PHONE)):
        claims |= {"phone_number": phone, "phone_number_verified": True}
    return claims


async def introspect(context: AccountContext, client: Application, access: str) -> dict[str, Any]:
    """Return what is known of one of the client's own tokens (RFC 7662)."""
    token = await find_token(context, access)
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


async def revoke(context: AccountContext, client: Application, access: str) -> None:
    """End one of the client's own tokens; anything else is no fault (RFC 7009)."""
    await context.database.run(grants.end_token, context.mark(access), client.id, context.now())


def _first(context: AccountContext, contacts: list[OwnedContact], kind: ContactKind) -> str:
    return next((context.keyring.unseal(one.address, one.id) for one in contacts if one.kind is kind), "")
