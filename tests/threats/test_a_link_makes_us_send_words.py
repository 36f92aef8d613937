"""A link on a foreign site carries words that we are to send to a person, in a message that they trust."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.flows.people import Visitor, ada
from tests.flows.signing import OTHER, jwks, request_claims, signed

from countersign.domain.shared.application import Application, ApplicationDraft, ApplicationMode
from countersign.flows.maintenance.applications import add_application, set_application_keys
from countersign.flows.oidc.authorize import RedirectToClient, SignInRequired, authorize

if TYPE_CHECKING:
    from tests.flows.place import Place

BACK = "https://shop.example/signed-in"
WORDS = "Security alert: a transfer of EUR 9,800 is waiting. To stop it call 0044 20 7946 0000 now"
DETAILS = json.dumps([{"type": "urn:countersign:action", "summary": WORDS, "hash": "h"}])


async def client(home: Place) -> Application:
    draft = ApplicationDraft("bank", ApplicationMode.LIVE, redirect_uris=(BACK,))
    added, _ = await add_application(home.database, home.accounts.log, home.keyring, draft, 1, secrets.token_bytes)
    return added


def link(bank: Application, **more: str) -> dict[str, str]:
    return {
        "client_id": bank.id,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": "openid",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        **more,
    }


async def test_a_plain_link_sends_nothing_and_replaces_no_flow(home: Place) -> None:
    """P5: neither to a person who is signed in, nor to one who signs in for it."""
    bank, visitor = await client(home), await ada(home)
    sent = await home.count("challenges")
    flows = await home.count("visits")
    for browser in (visitor.browser, Visitor(home).browser):
        outcome = await authorize(home.accounts, browser, link(bank, authorization_details=DETAILS))
        assert isinstance(outcome, RedirectToClient)
        assert dict(parse_qsl(urlsplit(outcome.location).query))["error"] == "invalid_request"
    assert (await home.count("challenges"), await home.count("visits")) == (sent, flows)


@pytest.mark.parametrize("prompt", ["", "login", "none"])
async def test_words_in_other_places_of_a_link_are_not_sent(home: Place, prompt: str) -> None:
    """P5: no other parameter's words come into a message."""
    bank, visitor = await client(home), await ada(home)
    home.clock.forward(61_000)
    more = {"login_hint": WORDS, "state": WORDS, "nonce": WORDS, "ui_locales": WORDS, "claims": WORDS, "summary": WORDS}
    await authorize(home.accounts, visitor.browser, link(bank, prompt=prompt, **more))
    outcome = await authorize(home.accounts, Visitor(home).browser, link(bank, **more))
    assert isinstance(outcome, SignInRequired)
    while await home.deliver():
        pass
    for carrier in home.carriers.values():
        assert not any("0044" in message.text + message.subject for message in carrier.sent)


async def test_a_link_that_the_client_did_not_sign_sends_nothing(home: Place) -> None:
    """P5: nor one that it signed for another client, nor one that was used."""
    bank, visitor = await client(home), await ada(home)
    await set_application_keys(home.database, home.accounts.log, "bank", 1, jwks=jwks())
    sent = await home.count("challenges")
    params = {**link(bank), "authorization_details": json.loads(DETAILS)}
    claims = request_claims(params, bank.id, home.core.links.issuer, home.clock())
    head, body, signature = signed(claims).split(".")
    altered = signed({**claims, "authorization_details": []}).split(".")[2]
    for request in (signed(claims, OTHER), f"{head}.{body}.{altered}", f"{head}.{body}.", f"{body}.{body}.{signature}"):
        outcome = await authorize(home.accounts, visitor.browser, link(bank, request=request))
        assert isinstance(outcome, RedirectToClient)
        assert dict(parse_qsl(urlsplit(outcome.location).query))["error"] == "invalid_request_object"
    assert await home.count("challenges") == sent
