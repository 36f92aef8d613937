"""The language of an account, in which the acts that its user approves are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.messages.language.catalogue import Language, negotiate
from countersign.store.tables import accounts

if TYPE_CHECKING:
    from countersign.domain.accounts.session import Session
    from countersign.flows.accounts.context import AccountContext


async def account_language(context: AccountContext, session: Session, otherwise: Language) -> Language:
    """Return the language of the account of a session; `otherwise` if the account has none.

    The language of the browser does not decide: a thief in a session must not choose one that the owner cannot read (semantics P4).
    """
    account = await context.database.read(accounts.find, session.account)
    return negotiate(account.locale) if account is not None and account.locale else otherwise
