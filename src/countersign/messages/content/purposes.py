"""The texts for each purpose of a code: a subject, a heading and the first sentence of an SMS."""

from __future__ import annotations

from typing import Final

import msgspec

from countersign.domain.shared.contact import Channel
from countersign.messages.language.catalogue import mark


class PurposeText(msgspec.Struct, frozen=True):
    """The English sentences of one purpose, which are also the keys of their translations.

    `title` may use {purpose}, `subject` {site} and {purpose}, `short` {code}, {site} and {purpose}.
    """

    title: str
    subject: str
    short: str


ACTS: Final = {
    "sign_in": PurposeText(
        mark("Your code to sign in"),
        mark("Your code to sign in to {site}"),
        mark("{code} is your {site} sign-in code."),
    ),
    "step_up": PurposeText(
        mark("Your code to confirm it’s you"),
        mark("Your code to confirm it’s you at {site}"),
        mark("{code} is your {site} code to confirm it is you."),
    ),
    "change_contact": PurposeText(
        mark("Your code to change your contact details"),
        mark("Your code to change your contact details at {site}"),
        mark("{code} is your {site} code to change your contact details."),
    ),
    "recover": PurposeText(
        mark("Your code to recover your account"),
        mark("Your code to recover your account at {site}"),
        mark("{code} is your {site} code to recover your account."),
    ),
    "sign_up": PurposeText(
        mark("Your code to create your account"),
        mark("Your code to create your account at {site}"),
        mark("{code} is your {site} code to create your account."),
    ),
}

BIND_MAIL: Final = PurposeText(
    mark("Your code to confirm this email address"),
    mark("Your code to confirm this email address at {site}"),
    mark("{code} is your {site} code to confirm this email address."),
)
BIND_PHONE: Final = PurposeText(
    mark("Your code to confirm this phone number"),
    mark("Your code to confirm this phone number at {site}"),
    mark("{code} is your {site} code to confirm this phone number."),
)
OTHER: Final = PurposeText(
    mark("Your code for “{purpose}”"),
    mark("Your code for “{purpose}” at {site}"),
    mark("{code} is your {site} code for “{purpose}”."),
)


def purpose_text(purpose: str, channel: Channel) -> PurposeText:
    """Return the texts of a purpose. An operator's own purpose is quoted by its name."""
    if purpose == "bind_contact":
        return BIND_MAIL if channel is Channel.EMAIL else BIND_PHONE
    return ACTS.get(purpose, OTHER)
