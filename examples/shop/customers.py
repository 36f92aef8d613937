"""Customers: what the shop keeps of a browser and of a person; all of it in memory, since this is an example."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from examples.shop.catalogue import Cart

LASTS: Final = 12 * 3_600
MOST: Final = 10_000
MOST_PENDING: Final = 8


@dataclass(frozen=True)
class Need:
    """What a page asks of who opens it: a level by its acr, the greatest age of its proof in seconds, an act to approve."""

    acr: str = ""
    max_age: int | None = None
    summary: str = ""
    hash: str = ""


@dataclass(frozen=True)
class Pending:
    """A request that waits until the person comes back from Countersign; `sub` is who made it, empty for a stranger."""

    method: str
    path: str
    fields: dict[str, str]
    verifier: str
    nonce: str
    need: Need
    sub: str


@dataclass(frozen=True)
class Order:
    """An order as it was placed."""

    number: str
    at: float
    cart: Cart
    total: int
    address: str
    approved: bool


@dataclass
class Customer:
    """A person, by the subject that Countersign gives."""

    name: str
    email: str
    address: str = ""
    cards: list[str] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)


@dataclass
class Visit:
    """A browser: its cart, who is signed in (by subject), how strongly and when, and what waits for an answer."""

    ends: float
    cart: Cart = field(default_factory=dict)
    sub: str = ""
    acr: str = ""
    auth_time: int = 0
    id_token: str = ""
    pending: dict[str, Pending] = field(default_factory=dict)
    word: str = ""

    def wait(self, pending: Pending) -> str:
        """Keep a request until the answer comes; return the state that names it."""
        while len(self.pending) >= MOST_PENDING:
            del self.pending[next(iter(self.pending))]
        state = secrets.token_urlsafe(24)
        self.pending[state] = pending
        return state


class Customers:
    """Browsers by the secret in their cookie, and people by their subject."""

    def __init__(self) -> None:
        self._visits: dict[str, Visit] = {}
        self.people: dict[str, Customer] = {}

    def visit(self, secret: str) -> Visit | None:
        """Return the browser of this secret, unless it has been away for too long."""
        found = self._visits.get(secret)
        if found is None or found.ends < time.time():
            return None
        return found

    def begin(self) -> tuple[str, Visit]:
        """Begin with a new browser."""
        if len(self._visits) >= MOST:
            now = time.time()
            self._visits = {secret: visit for secret, visit in self._visits.items() if visit.ends >= now}
            while len(self._visits) >= MOST:
                del self._visits[next(iter(self._visits))]
        secret = secrets.token_urlsafe(32)
        self._visits[secret] = made = Visit(time.time() + LASTS)
        return secret, made

    def renew(self, secret: str) -> str:
        """Give a browser a new secret, once it has signed in: the one before opens nothing."""
        fresh = secrets.token_urlsafe(32)
        self._visits[fresh] = self._visits.pop(secret)
        return fresh
