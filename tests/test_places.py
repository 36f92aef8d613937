"""Places: a real MMDB is read, lists are searched, and a bad file is named at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from countersign.domain.accounts.risk import Location
from countersign.errors import SettingsError
from countersign.geolocation import GeoDatabase

if TYPE_CHECKING:
    from pathlib import Path

ZURICH = {
    "country": {"iso_code": "CH"},
    "city": {"names": {"en": "Zurich", "de": "Zürich"}},
    "location": {"latitude": 47.37, "longitude": 8.54},
}


def written(path: Path) -> Path:
    writer = MMDBWriter(ip_version=6, database_type="GeoLite2-City", ipv4_compatible=True)
    writer.insert_network(IPSet(["1.2.3.0/24"]), ZURICH)
    writer.insert_network(IPSet(["2001:4860::/32"]), {"country": {"iso_code": "US"}})
    writer.insert_network(IPSet(["5.6.7.8/32"]), {})
    writer.to_db_file(str(path))
    return path


def test_an_address_is_found_as_far_as_the_file_tells(tmp_path: Path) -> None:
    """S3: for people and for risk alone."""
    places = GeoDatabase(written(tmp_path / "places.mmdb"))
    found = places.find("1.2.3.4")
    assert found is not None
    assert found.label == "Zurich, CH"
    assert (found.latitude, found.longitude) == (47.37, 8.54)
    assert places.find("::ffff:1.2.3.4") == found
    country = places.find("2001:4860:4860::8888")
    assert country is not None
    assert country.label == "US"
    empty = places.find("5.6.7.8")
    assert empty is None or empty.label == ""
    for nowhere in ("9.9.9.9", "127.0.0.1", "10.0.0.1", "no address", ""):
        assert places.find(nowhere) is None
    places.close()


@pytest.mark.parametrize(
    ("version", "network", "record", "ip"),
    [
        (4, "1.2.3.0/24", ZURICH, "2001:4860::1"),
        (6, "2001:4860::/32", {"country": "CH", "city": "Zurich", "location": "47.37,8.54"}, "2001:4860::1"),
        (6, "2001:4860::/32", {"city": {"names": "Zurich"}, "location": {"latitude": "47"}}, "2001:4860::1"),
        (6, "2001:4860::/32", "Zurich", "2001:4860::1"),
    ],
    ids=["ipv6-in-a-file-of-ipv4", "flat-layout", "wrong-types", "no-record"],
)
def test_what_a_file_cannot_tell_is_not_known_and_stops_nobody(
    tmp_path: Path, version: int, network: str, record: Any, ip: str
) -> None:
    writer = MMDBWriter(ip_version=version, database_type="Other")
    writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(tmp_path / "other.mmdb"))
    places = GeoDatabase(tmp_path / "other.mmdb")
    assert places.find(ip) in {None, Location()}
    places.close()


def test_a_list_may_come_from_any_editor_and_hold_mapped_addresses(tmp_path: Path) -> None:
    path = tmp_path / "tor.txt"
    path.write_bytes("\ufeff192.0.2.7\r\n::ffff:198.51.100.0/120\r\n::ffff:203.0.113.9\r\n".encode())
    places = GeoDatabase(None, {"tor": path})
    on = ["192.0.2.7", "198.51.100.1", "::ffff:198.51.100.255", "203.0.113.9"]
    off = ["192.0.2.8", "198.51.101.0", "203.0.113.10", "::c633:6401"]
    assert [ip for ip in (*on, *off) if places.listed(ip)] == on


def test_without_a_file_nothing_is_known() -> None:
    assert GeoDatabase().find("1.2.3.4") is None
    assert GeoDatabase().listed("1.2.3.4") == ()


def test_an_address_is_on_the_lists_that_hold_it(tmp_path: Path) -> None:
    tor, hosting = tmp_path / "tor.txt", tmp_path / "hosting.txt"
    tor.write_text("# exits\n192.0.2.7\n192.0.2.8 # another\n\n2001:db8::/32\n")
    hosting.write_text("192.0.2.0/24\n192.0.2.128/25\n")
    places = GeoDatabase(None, {"tor": tor, "hosting": hosting})
    assert places.listed("192.0.2.7") == ("tor", "hosting")
    assert places.listed("192.0.2.9") == ("hosting",)
    assert places.listed("192.0.2.255") == ("hosting",)
    assert places.listed("192.0.3.0") == ()
    assert places.listed("192.0.1.255") == ()
    assert places.listed("2001:db8::1") == ("tor",)
    assert places.listed("2001:db9::1") == ()
    assert places.listed("nonsense") == ()


def test_a_bad_line_is_named_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "tor.txt"
    path.write_text("192.0.2.7\nlocalhost\n")
    with pytest.raises(SettingsError, match=r"line 2 of the list tor"):
        GeoDatabase(None, {"tor": path})
    with pytest.raises(SettingsError, match=r"risk\.lists"):
        GeoDatabase(None, {"tor": tmp_path / "missing.txt"})
    with pytest.raises(SettingsError, match=r"risk\.places_file"):
        GeoDatabase(path)
