"""The addresses that flows hand out: the paths under which `web` serves them, and the public address in front.

Neither the domain nor a flow writes a path. `wiring` makes the `Links` of an installation and puts them into the core context.
"""

from __future__ import annotations

from typing import Final

import msgspec

ACCOUNT: Final = "/account"
CHECK_UP: Final = "/account/check-up"
CONTACTS: Final = "/account/contacts"
SIGN_IN: Final = "/sign-in"
RECOVER: Final = "/recover"
NOT_ME: Final = "/not-me"
AUTHORIZE: Final = "/oauth/authorize"
TOKEN: Final = "/oauth/token"  # noqa: S105 - an address


class Links(msgspec.Struct, frozen=True):
    """The addresses of one installation.

    `issuer` is its public address without a slash at the end: the `iss` of proofs and ID tokens. `sign_in`, `recover` and
    `not_me` are complete, because they stand in messages, and so is `token`, which clients address. `account`, `contacts` and
    `authorize` are paths, because a browser that is already here is redirected to them.
    """

    issuer: str
    account: str
    contacts: str
    authorize: str
    token: str
    sign_in: str
    recover: str
    not_me: str

    def report(self, reference: str) -> str:
        """Return the link under which the holder of a contact says "this wasn't me".

        `reference` names the message, and proves that it was read.
        """
        return f"{self.not_me}?ref={reference}"


def links_of(public_url: str) -> Links:
    """Return the links of an installation that is reached at `public_url`, for example "https://verify.example"."""
    return Links(
        issuer=public_url,
        account=ACCOUNT,
        contacts=CONTACTS,
        authorize=AUTHORIZE,
        token=public_url + TOKEN,
        sign_in=public_url + SIGN_IN,
        recover=public_url + RECOVER,
        not_me=public_url + NOT_ME,
    )
