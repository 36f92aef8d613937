"""What is compressed: files for everybody, pages for whoever was led to them by nobody else."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from tests.web.client import Client

from countersign.web.pages.shared.assets import address, contents

if TYPE_CHECKING:
    from tests.web.client import Answer

TAKES = {"accept-encoding": "gzip, deflate"}


def whole(answer: Answer) -> bytes:
    """Return the body as the browser reads it."""
    return gzip.decompress(answer.body) if answer.headers.get("content-encoding") == "gzip" else answer.body


@pytest.mark.parametrize("name", ["design.css", "sign_in.js", "verify.js"])
async def test_a_file_is_compressed_for_whoever_takes_it(client: Client, name: str) -> None:
    plain = await client.get(address(name))
    packed = await client.get(address(name), headers=TAKES)
    assert plain.body == whole(packed) == contents()[name]
    assert "content-encoding" not in plain.headers
    assert len(packed.body) < len(plain.body) / 2 + 200
    for answer in (plain, packed):
        assert answer.headers["vary"] == "Accept-Encoding"
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("gzip", True),
        ("GZIP;q=0.5", True),
        ("br, *", True),
        ("gzip;q=1.0, *;q=0", True),
        ("", False),
        ("br", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzipped", False),
        (";;,,q=", False),
    ],
)
async def test_what_a_browser_takes_is_read_as_it_says(client: Client, said: str, *, taken: bool) -> None:
    """RFC 9110, 12.5.3."""
    answer = await client.get(address("design.css"), headers={"accept-encoding": said})
    assert answer.headers.get("content-encoding") == ("gzip" if taken else None)
    assert whole(answer) == contents()["design.css"]


@pytest.mark.parametrize("site", ["none", "same-origin"])
async def test_a_page_is_compressed_for_whoever_comes_by_themselves(client: Client, site: str) -> None:
    for path in ("/sign-in", "/sign-up", "/recover"):
        plain = await client.get(path)
        packed = await client.get(path, headers={**TAKES, "sec-fetch-site": site})
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) == len(packed.body) < len(plain.body)
        assert whole(packed).startswith(b"\n<!doctype html>") == plain.body.startswith(b"\n<!doctype html>")
        assert packed.headers["content-type"] == plain.headers["content-type"]


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", None])
async def test_no_other_site_reads_a_secret_from_the_length_of_a_page(client: Client, site: str | None) -> None:
    """H4: what stands in an address that another site made is never compressed with our page (BREACH)."""
    told = TAKES if site is None else {**TAKES, "sec-fetch-site": site}
    for path in ("/sign-in?return_to=/account", "/recover", "/verify", "/nowhere"):
        assert "content-encoding" not in (await client.get(path, headers=told)).headers
