"""Attack: the page that judges a message is handed one of thousands of addresses, again and again, and nobody else is served meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from tests.web.client import Answer, Client
from tests.web.conftest import _made_home, app, open_house, runtime

from countersign.domain.accounts.phishing_check import (
    CHECKS_PER_NETWORK,
    MAX_ADDRESSES,
    MAX_CHARACTERS,
    OwnAddresses,
    PhishingVerdict,
    check_text,
    check_whole_text,
)

if TYPE_CHECKING:
    from countersign.web.http.application import WebApplication

__all__ = ["_made_home", "app", "open_house", "runtime"]

MOST = 0.005
"""Seconds of CPU for one text."""
OURS = OwnAddresses(
    ("verify.example.org", *(f"shop-{number}.example-{number % 7}.org" for number in range(1_000))),
    tuple(f"no-reply@mail-{number}.example.org" for number in range(40)),
)
SEEDS = [
    "a@",
    ".@",
    "a.a@b.cc ",
    "aa.bb ",
    "ab.cd@",
    "\u0430b.cd ",
    "\ufdfa.\ufdfaa ",
    "https://",
    "https://a@b.cc ",
    "https://xn--" + "0" * 59 + ".aa ",
    "https://xn--" + "a" * 490 + " ",
    "\u01c5" * 60 + "a.bb ",
    "e\u0301.",
    "shop-7.example-0.0rg ",
    "a" * 63 + ".",
    "a@" + "b" * 250 + " ",
]


async def paste(app: WebApplication, text: str, peer: str = "192.0.2.1") -> Answer:
    """Send the form, and return the answer."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return await Client(app, peer=peer).post("/is-this-us", raw=urlencode({"text": text}).encode(), headers=headers)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_text_costs_little_however_many_addresses_it_holds(seed: str) -> None:
    """L5: found first, and then only so many are judged, against an installation of a thousand applications."""
    text = (seed * MAX_CHARACTERS)[:MAX_CHARACTERS]
    found = check_text("https://evil.example", OURS)
    best = 1e9
    for _ in range(3):
        began = time.thread_time()
        found = check_text(text, OURS)
        best = min(best, time.thread_time() - began)
    assert len(found) <= MAX_ADDRESSES
    assert best < MOST


def test_what_was_not_judged_is_not_passed_over_in_silence() -> None:
    """A forged link behind twenty honest ones, or behind four thousand letters, is not called ours by saying nothing."""
    many = " ".join(f"https://verify.example.org/{number}" for number in range(MAX_ADDRESSES))
    assert check_whole_text(many, OURS).is_whole
    assert not check_whole_text(f"{many} https://verify.example.org.evil.example", OURS).is_whole
    assert not check_whole_text("x " * MAX_CHARACTERS + "https://evil.example", OURS).is_whole


def test_an_address_is_ours_however_many_are() -> None:
    last = OURS.hosts[-1]
    assert check_text(f"https://{last}/x", OURS)[0].verdict is PhishingVerdict.OURS
    assert check_text(f"https://{last}.evil.example/x", OURS)[0].verdict is not PhishingVerdict.OURS


async def test_the_page_says_that_it_saw_a_part(app: WebApplication) -> None:
    page = (await paste(app, "https://evil.example " + "x" * MAX_CHARACTERS)).body.decode()
    assert "We only checked the first part." in page
    assert "We only checked the first part." not in (await paste(app, "https://evil.example")).body.decode()


async def test_a_network_asks_only_so_often(app: WebApplication) -> None:
    """L5: and another one still does."""
    answers = [await paste(app, f"https://evil-{number}.example") for number in range(CHECKS_PER_NETWORK.burst + 1)]
    assert {answer.status for answer in answers[:-1]} == {200}
    assert answers[-1].status == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert "evil" not in answers[-1].body.decode()
    assert (await paste(app, "https://evil.example", "198.51.100.7")).status == 200
