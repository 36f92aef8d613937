"""OCSF: each kind of event has its class, and each object what the schema requires of that class (OCSF 1.8.0).

What is required was read from the files of the schema at github.com/ocsf/ocsf-schema, commit 3dcb905d (1.8.0): `events/base_event.json`,
`events/iam/*.json`, `events/system/event_log_activity.json`, `events/findings/*.json`, `events/application/api_activity.json`, and the
objects that they name.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest

from countersign.domain.shared.event import EventKind, StoredEvent
from countersign.flows.maintenance.ocsf import MAPPINGS, SCHEMA_VERSION, to_ocsf

BASE: Final = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
CLASSES: Final[dict[int, tuple[int, set[str], set[str], set[int]]]] = {
    # class_uid: (category_uid, required, at least one of, activity_id)
    0: (0, set(), set(), set()),
    1008: (
        1,
        {"actor", "device"},
        {"log_file", "log_name", "log_provider", "log_type", "log_type_id"},
        set(range(1, 11)),
    ),
    2004: (2, {"finding_info"}, set(), {1, 2, 3}),
    3001: (3, {"user"}, set(), set(range(1, 13))),
    3002: (3, {"user"}, {"service", "dst_endpoint"}, set(range(1, 8))),
    3004: (3, {"entity"}, set(), set(range(1, 14))),
    6003: (6, {"actor", "api", "src_endpoint"}, set(), {1, 2, 3, 4}),
}
OBJECTS: Final[dict[str, tuple[set[str], set[str]]]] = {
    # attribute: (required, at least one of)
    "metadata": ({"product", "version"}, set()),
    "user": (set(), {"account", "name", "uid"}),
    "service": (set(), {"name", "uid"}),
    "actor": (set(), {"process", "user", "invoked_by", "session", "app_name", "app_uid"}),
    "device": ({"type_id"}, {"ip", "uid", "name", "hostname", "instance_uid", "interface_uid", "interface_name"}),
    "entity": (set(), {"name", "uid", "device", "group", "org", "policy", "user"}),
    "api": ({"operation"}, set()),
    "src_endpoint": (
        set(),
        {"ip", "uid", "name", "hostname", "svc_name", "instance_uid", "interface_uid", "interface_name", "domain"},
    ),
    "finding_info": ({"uid"}, set()),
}
FACTS: Final[dict[str, str | int]] = {
    "purpose": "sign_in",
    "channel": "sms",
    "to": "+49 *** 12",
    "provider": "relay",
    "session": "ses_1",
    "device": "dev_1",
    "kind": "password_changed",
    "by": "ada",
    "name": "shop",
    "reason": "rejected",
}


def check(found: dict[str, Any]) -> None:
    """Hold an object against what its class requires."""
    assert msgspec.json.decode(msgspec.json.encode(found)) == found
    assert found.keys() >= BASE
    category, required, one_of, activities = CLASSES[found["class_uid"]]
    assert found["category_uid"] == category
    assert found.keys() >= required
    assert not one_of or found.keys() & one_of
    assert found["activity_id"] in activities | {99}
    assert found["type_uid"] == found["class_uid"] * 100 + found["activity_id"]
    assert found["activity_name"], "an activity of number 99 needs its name"
    assert found["severity_id"] in {1, 2, 3, 4, 5, 6, 99}
    assert found["status_id"] in {0, 1, 2, 3, 4, 5, 6, 99}
    assert found["status"]
    for name, (needs, some) in OBJECTS.items():
        if name in found:
            assert found[name].keys() >= needs, name
            assert not some or found[name].keys() & some, name
    for observable in found.get("observables", ()):
        assert "type_id" in observable
    assert found["metadata"]["version"] == SCHEMA_VERSION


def test_each_kind_of_event_has_its_class() -> None:
    assert set(MAPPINGS) == set(EventKind)
    assert {mapping.of.uid for mapping in MAPPINGS.values()} <= set(CLASSES)


@pytest.mark.parametrize("kind", list(EventKind))
@pytest.mark.parametrize("owner", ["acc_1", "ver_1", ""])
@pytest.mark.parametrize("facts", [FACTS, {}])
def test_each_object_has_what_its_class_requires(kind: EventKind, owner: str, facts: dict[str, str | int]) -> None:
    """O4: also of an event that has no facts, such as one of another release."""
    found = to_ocsf(StoredEvent(1_795_435_200_123, kind, "app_1", owner, facts), "wri_1.2.0", "cursor")
    check(found)
    assert found["time"] == 1_795_435_200_123
    assert found["metadata"]["uid"] == "wri_1.2.0"
    assert found["metadata"]["event_code"] == kind
    assert found["unmapped"] == {"cursor": "cursor", "application": "app_1", "facts": facts}


def test_a_kind_of_a_newer_release_is_a_base_event() -> None:
    """O7."""
    found = to_ocsf(StoredEvent(1, "moon.landed", "", "acc_1", {}), "w.1.0", "c")
    check(found)
    assert (found["class_uid"], found["activity_name"]) == (0, "moon.landed")


def test_what_security_monitoring_looks_for_is_where_it_looks() -> None:
    signed_in = to_ocsf(StoredEvent(1, "sign_in.completed", "app_own", "acc_1", {"session": "ses_1"}), "w.1.0", "c")
    assert (signed_in["type_uid"], signed_in["user"]["uid"], signed_in["session"]["uid"]) == (300201, "acc_1", "ses_1")
    refused = to_ocsf(StoredEvent(1, "challenge.refused", "app_1", "ver_1", {"guesses": 3}), "w.1.0", "c")
    assert (refused["class_uid"], refused["status"], refused["metadata"]["correlation_uid"]) == (
        3002,
        "Failure",
        "ver_1",
    )
    denied = to_ocsf(StoredEvent(1, "sign_in.assessed", "app_own", "acc_1", {"decision": "deny"}), "w.1.0", "c")
    assert denied["status_id"] == 2
    changed = to_ocsf(StoredEvent(1, "change.applied", "app_own", "acc_1", {"kind": "password_changed"}), "w.1.0", "c")
    assert changed["type_uid"] == 300103
    asked = to_ocsf(StoredEvent(1, "change.asked", "app_own", "acc_1", {"kind": "password_changed"}), "w.1.0", "c")
    assert asked["type_uid"] == 300199
