"""Texts of four kilobytes that parsers dislike."""

from __future__ import annotations

from typing import Final

SIZE: Final = 4_096
SEEDS: Final = {
    "at signs": "a@",
    "dots": "a.",
    "at signs and dots": ".@",
    "digits": "9",
    "a plus and digits": "+49 171 ",
    "full-width digits": "\uff11",
    "signs of a number": "+-.()/ ",
    "letters": "a",
    "mail addresses": "a.a@b.cc ",
    "hosts": "aa.bb ",
    "links": "https://a@b.cc ",
    "punycode": "https://xn--" + "0" * 59 + ".aa ",
    "combining marks": "e\u0301\u0323",
    "expanding letters": "\ufdfa.\ufdfaa ",
    "title case": "\u01c5",
    "Cyrillic": "\u0430b.cd ",
    "Hangul": "\uac01\u11a8",
    "turned text": "\u202e\u2066a",
    "emoji": "\U0001f468\u200d\U0001f469\u200d",
    "quotes": "\"'",
    "nested arrays": "[",
    "nested objects": '{"a":',
    "escapes": "\\u00e9%c3%a9&amp;",
    "tags": "<b x='",
    "templates": "{{a}}{a}%s",
    "tags of languages": "de-DE;q=0.1,",
    "one tag of a language": "de-",
    "a user agent": "Mozilla/5.0 (X; Windows NT 10.0) AppleWebKit/537.36 Chrome/1.1 ",
    "a long version": "Mozilla/5.0 (Linux; Android 1" + ".1" * 60 + ") ",
    "addresses": "1.2.3.4,[::1]:80,::ffff:1.2.3.4,",
    "cookies": "__Host-session=a; ",
    "spaces": " ",
    "lines": "\n",
    "underscores": "1_0",
    "base64": "/+A=",
    "numbers of JSON": "1e999,",
    "words": "openid profile ",
}


def text_of(seed: str) -> str:
    """Return four kilobytes of a text, or what is left of them where a letter takes more than one byte."""
    return (seed * SIZE).encode()[:SIZE].decode(errors="ignore")


TEXTS: Final = {name: text_of(seed) for name, seed in SEEDS.items()} | {
    "a number and a break": "9" * (SIZE - 1) + "x",
    "an address whose end is wrong": "a" * 60 + "@" + "b." * 2_000 + "!",
    "a number with an extension": "+4917112345678" + " ext" * 1_000,
    "many numbers": "+49" + "1" * 15 + ",+49" * 1_000,
    "an array of arrays": "[" * 2_000 + "]" * 2_000,
    "an agent of one kind": "Mozilla/5.0 " + "(" * 2_000 + ")" * 2_000,
}
