"""The catalogue: what the shop sells, and what an order of it is."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Final, NamedTuple


class Tea(NamedTuple):
    """One tea; the price is in cents of a euro for a tin of 100 g, `leaf` is the colour of its picture."""

    id: str
    name: str
    place: str
    taste: str
    price: int
    leaf: str


TEAS: Final = {
    tea.id: tea
    for tea in (
        Tea(
            "sencha",
            "Sencha Asatsuyu",
            "Kagoshima, Japan",
            "Grass, sea air, a long sweet end.",
            1_890,
            "#5b8c51",
        ),
        Tea(
            "oolong",
            "High Mountain Oolong",
            "Nantou, Taiwan",
            "Orchid and warm butter; good for six infusions.",
            2_450,
            "#7d8f3c",
        ),
        Tea(
            "darjeeling",
            "Darjeeling First Flush",
            "Kurseong, India",
            "Muscat, green almond, bright as a window.",
            2_190,
            "#b0803a",
        ),
        Tea(
            "assam",
            "Assam Orange Tips",
            "Dibrugarh, India",
            "Malt and honey. Takes milk, asks for toast.",
            1_490,
            "#9a4f2e",
        ),
        Tea(
            "puerh",
            "Aged Pu-erh, a whole cake",
            "Yunnan, China",
            "Forest floor, plums, a cellar worth visiting.",
            12_900,
            "#5a3b32",
        ),
        Tea(
            "rooibos",
            "Rooibos, nothing added",
            "Cederberg, South Africa",
            "Red, round and without caffeine.",
            990,
            "#b4432c",
        ),
    )
}

LARGE: Final = 10_000
"""Cents from which an order asks for a code that approves this very order."""
MOST: Final = 20
"""Tins of one tea in one order."""

Cart = dict[str, int]


def total(cart: Cart) -> int:
    """Return what a cart costs, in cents."""
    return sum(TEAS[tea].price * count for tea, count in cart.items())


def euros(cents: int) -> str:
    """Return `€18.90`."""
    return f"€{cents // 100}.{cents % 100:02}"


def digest(cart: Cart, address: str) -> str:
    """Return what tells this very order from every other: the base64url SHA-256 of its canonical JSON."""
    told = json.dumps({"cart": sorted(cart.items()), "total": total(cart), "address": address}, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(told.encode()).digest()).rstrip(b"=").decode()
