"""Suggests the mail address that was probably meant, for slips such as `gmial.com`. A suggestion only: the address is taken as it is."""

from __future__ import annotations

from typing import Final

_PROVIDERS: Final = {
    "gmail": ("com",),
    "googlemail": ("com", "de"),
    "hotmail": ("com", "co.uk", "de", "es", "fr", "it", "nl"),
    "outlook": ("com", "de", "es", "fr", "it", "jp", "pt", "sa", "co.il", "com.br", "com.tr"),
    "yahoo": ("com", "co.uk", "co.jp", "com.br", "com.ar", "com.mx", "de", "es", "fr", "it", "pl"),
    "icloud": ("com",),
    "protonmail": ("com", "ch"),
    "t-online": ("de",),
    "freenet": ("de",),
    "yandex": ("ru", "com", "com.tr"),
    "laposte": ("net",),
    "wanadoo": ("fr",),
    "libero": ("it",),
    "seznam": ("cz",),
    "onet": ("pl",),
    "docomo": ("ne.jp",),
    "walla": ("co.il",),
}
"""Providers of mailboxes whose names are long enough to tell a slip from another name, each with the endings that it uses."""
_OTHERS: Final = frozenset({"mail", "email", "ymail", "qmail", "jmail", "zmail", "hmail", "inet", "donet", "outlock"})
"""Names of mail domains that are there, one letter away from a provider's."""
_ENDINGS: Final = {
    **dict.fromkeys(("con", "cmo", "ocm", "comm", "coom", "vom", "xom", "cpm", "clm", "vcom", "comn", "coml"), "com"),
    **dict.fromkeys(("ogr", "rog", "orgg", "prg"), "org"),
    **dict.fromkeys(("nte", "ent", "nett"), "net"),
}
"""Endings that are no top-level domain, and what they are a slip of."""
_SHORTENED: Final = frozenset({"co", "cm", "om", "cim"})
"""Endings that are slips of `com` behind the name of a provider alone."""
_MIN_NAME: Final = 5


def suggest_address(address: str) -> str:
    """Return the mail address that was probably meant, or an empty text if nothing looks like a slip.

    >>> suggest_address("ada@gmial.com")
    'ada@gmail.com'

    """
    local, _, domain = address.rpartition("@")
    name, _, ending = domain.partition(".")
    if not local or not ending or name in _OTHERS:
        return ""
    meant_name = _provider_of(name)
    meant_ending = _ENDINGS.get(ending, ending)
    if meant_name:
        endings = _PROVIDERS[meant_name]
        if meant_ending not in endings:
            if ending not in _SHORTENED or "com" not in endings:
                return ""
            meant_ending = "com"
    elif meant_ending == ending:
        return ""
    meant = f"{meant_name or name}.{meant_ending}"
    return "" if meant == domain else f"{local}@{meant}"


def _provider_of(name: str) -> str:
    """Return the provider whose name this is, or one slip away from."""
    if name in _PROVIDERS:
        return name
    close = [one for one in _PROVIDERS if len(one) >= _MIN_NAME and _is_one_slip(one, name)]
    return close[0] if len(close) == 1 else ""


def _is_one_slip(right: str, typed: str) -> bool:
    """Return True if one letter is missing, too many, another, or changes places with its neighbour (Damerau)."""
    if right == typed or abs(len(right) - len(typed)) > 1:
        return False
    start = 0
    while start < min(len(right), len(typed)) and right[start] == typed[start]:
        start += 1
    rest, other = right[start:], typed[start:]
    if len(right) == len(typed):
        swapped = len(rest) > 1 and rest[:2] == other[1::-1] and rest[2:] == other[2:]
        return swapped or rest[1:] == other[1:]
    return rest[1:] == other if len(right) > len(typed) else rest == other[1:]
