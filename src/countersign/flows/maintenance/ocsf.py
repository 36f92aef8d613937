"""Events as the Open Cybersecurity Schema Framework has them (OCSF 1.8.0, github.com/ocsf/ocsf-schema), for security monitoring.

Each kind of event has a class and an activity in one table. What the schema has no place for stands below `unmapped`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from countersign import __version__
from countersign.domain.accounts.change import ChangeKind
from countersign.domain.shared.contact import Channel
from countersign.domain.shared.event import EventKind, StoredEvent

SCHEMA_VERSION: Final = "1.8.0"
PRODUCT: Final = "Countersign"

OTHER: Final = 99
INFORMATIONAL: Final = 1
LOW: Final = 2
MEDIUM: Final = 3
HIGH: Final = 4
SEVERITIES: Final = {INFORMATIONAL: "Informational", LOW: "Low", MEDIUM: "Medium", HIGH: "High"}


class OcsfClass(msgspec.Struct, frozen=True):
    """A class of events: its number, its name, its category, and the activities that we use, by number."""

    uid: int
    name: str
    category_uid: int
    category: str
    activities: dict[int, str]


_IAM: Final = (3, "Identity & Access Management")
BASE: Final = OcsfClass(0, "Base Event", 0, "Uncategorized", {})
EVENT_LOG: Final = OcsfClass(1008, "Event Log Activity", 1, "System Activity", {2: "Delete", 3: "Export", 5: "Rotate"})
DETECTION: Final = OcsfClass(2004, "Detection Finding", 2, "Findings", {1: "Create", 3: "Close"})
ACCOUNT: Final = OcsfClass(
    3001,
    "Account Change",
    *_IAM,
    {
        1: "Create",
        3: "Password Change",
        4: "Password Reset",
        6: "Delete",
        9: "Lock",
        10: "MFA Factor Enable",
        11: "MFA Factor Disable",
    },
)
AUTHENTICATION: Final = OcsfClass(3002, "Authentication", *_IAM, {1: "Logon", 2: "Logoff", 6: "Preauth"})
ENTITY: Final = OcsfClass(
    3004,
    "Entity Management",
    *_IAM,
    {
        1: "Create",
        3: "Update",
        4: "Delete",
        8: "Enable",
        9: "Disable",
        10: "Activate",
        11: "Deactivate",
        12: "Suspend",
        13: "Resume",
    },
)
API: Final = OcsfClass(6003, "API Activity", 6, "Application Activity", {1: "Create", 4: "Delete"})

UNKNOWN: Final = (0, "Unknown")
SUCCESS: Final = (1, "Success")
FAILURE: Final = (2, "Failure")
NEW: Final = (1, "New")
RESOLVED: Final = (4, "Resolved")


class OcsfMapping(msgspec.Struct, frozen=True):
    """What a kind of event is in OCSF. `named` names an activity of number 99; `entity` is the type of an entity."""

    of: OcsfClass
    activity: int
    status: tuple[int, str] = SUCCESS
    severity: int = INFORMATIONAL
    named: str = ""
    entity: str = ""


def _other(name: str, of: OcsfClass = ACCOUNT, severity: int = INFORMATIONAL) -> OcsfMapping:
    return OcsfMapping(of, OTHER, severity=severity, named=name)


def _status(name: str) -> tuple[int, str]:
    return OTHER, name


_KEY: Final = "Key"
_DATABASE: Final = "Database"
_DEVICE: Final = "Device"
_EMAIL: Final = "Email"
_APPLICATION: Final = "Application"
_PROVIDER: Final = "Provider"
ENTITY_TYPES: Final = {_DEVICE: 1, _EMAIL: 6}
"""The types of entities that the schema has; every other one is 99."""

MAPPINGS: Final[dict[EventKind, OcsfMapping]] = {
    EventKind.CHALLENGE_BEGUN: OcsfMapping(AUTHENTICATION, 6, UNKNOWN),
    EventKind.CHALLENGE_RESENT: OcsfMapping(AUTHENTICATION, 6, UNKNOWN),
    EventKind.CHALLENGE_REFUSED: OcsfMapping(AUTHENTICATION, 6, FAILURE, LOW),
    EventKind.CHALLENGE_APPROVED: OcsfMapping(AUTHENTICATION, 6),
    EventKind.CHALLENGE_EXHAUSTED: OcsfMapping(AUTHENTICATION, 6, FAILURE, MEDIUM),
    EventKind.CHALLENGE_CANCELED: OcsfMapping(AUTHENTICATION, 6, _status("Canceled")),
    EventKind.CHALLENGE_DISOWNED: OcsfMapping(AUTHENTICATION, 6, FAILURE, HIGH),
    EventKind.CHALLENGE_EXPIRED: OcsfMapping(AUTHENTICATION, 6, _status("Expired")),
    EventKind.DELIVERY_ACCEPTED: OcsfMapping(API, 1),
    EventKind.DELIVERY_RETRIED: OcsfMapping(API, 1, _status("Retried"), LOW),
    EventKind.DELIVERY_FAILED: OcsfMapping(API, 1, FAILURE, LOW),
    EventKind.DELIVERY_DROPPED: OcsfMapping(API, 1, _status("Dropped")),
    EventKind.DELIVERY_DELIVERED: OcsfMapping(API, 1),
    EventKind.DELIVERY_UNDELIVERED: OcsfMapping(API, 1, FAILURE, LOW),
    EventKind.MESSAGE_SENT: OcsfMapping(API, 1),
    EventKind.QUEUE_CANCELED: OcsfMapping(API, 4, severity=LOW),
    EventKind.PROVIDER_TRIPPED: OcsfMapping(ENTITY, 11, severity=MEDIUM, entity=_PROVIDER),
    EventKind.PROVIDER_BACK: OcsfMapping(ENTITY, 10, entity=_PROVIDER),
    EventKind.PREFIX_HELD: OcsfMapping(DETECTION, 1, NEW, MEDIUM),
    EventKind.PREFIX_LIFTED: OcsfMapping(DETECTION, 3, RESOLVED),
    EventKind.APPLICATION_ADDED: OcsfMapping(ENTITY, 1, entity=_APPLICATION),
    EventKind.APPLICATION_ROTATED: OcsfMapping(ENTITY, 3, entity=_APPLICATION),
    EventKind.APPLICATION_REMOVED: OcsfMapping(ENTITY, 4, severity=MEDIUM, entity=_APPLICATION),
    EventKind.APPLICATION_SUSPENDED: OcsfMapping(ENTITY, 12, severity=MEDIUM, entity=_APPLICATION),
    EventKind.APPLICATION_RESUMED: OcsfMapping(ENTITY, 13, entity=_APPLICATION),
    EventKind.KEYS_ROTATED: OcsfMapping(ENTITY, 1, entity=_KEY),
    EventKind.KEYS_RETIRED: OcsfMapping(ENTITY, 11, entity=_KEY),
    EventKind.KEYS_RESEALED: OcsfMapping(ENTITY, 3, entity=_KEY),
    EventKind.ACCOUNT_CREATED: OcsfMapping(ACCOUNT, 1),
    EventKind.SIGN_IN_ASSESSED: OcsfMapping(AUTHENTICATION, 6),
    EventKind.SIGN_IN_COMPLETED: OcsfMapping(AUTHENTICATION, 1),
    EventKind.SESSION_RAISED: _other("Step-up", AUTHENTICATION),
    EventKind.SESSION_ENDED: OcsfMapping(AUTHENTICATION, 2),
    EventKind.DEVICE_ADDED: OcsfMapping(ENTITY, 1, entity=_DEVICE),
    EventKind.DEVICE_TRUSTED: OcsfMapping(ENTITY, 3, entity=_DEVICE),
    EventKind.DEVICE_ENDED: OcsfMapping(ENTITY, 4, entity=_DEVICE),
    EventKind.CHANGE_ASKED: _other("Change requested"),
    EventKind.CHANGE_APPLIED: _other("Change applied"),
    EventKind.CHANGE_CANCELED: _other("Change canceled"),
    EventKind.CHANGE_UNDONE: _other("Change undone", severity=MEDIUM),
    EventKind.FACTOR_USED: OcsfMapping(AUTHENTICATION, 6),
    EventKind.PASSKEY_REFUSED: OcsfMapping(AUTHENTICATION, 6, FAILURE, HIGH),
    EventKind.ACCOUNT_LOCKED: OcsfMapping(ACCOUNT, 9, severity=HIGH),
    EventKind.RECOVERY_ALLOWED: _other("Recovery allowed"),
    EventKind.ACCOUNT_UPDATED: _other("Update"),
    EventKind.ACCOUNT_EXPORTED: _other("Export"),
    EventKind.ACCOUNT_ERASED: OcsfMapping(ACCOUNT, 6),
    EventKind.DELETION_ASKED: _other("Deletion requested", severity=LOW),
    EventKind.DELETION_CANCELED: _other("Deletion canceled"),
    EventKind.ADDRESS_SUPPRESSED: OcsfMapping(ENTITY, 9, severity=LOW, entity=_EMAIL),
    EventKind.ADDRESS_LIFTED: OcsfMapping(ENTITY, 8, entity=_EMAIL),
    EventKind.BACKUP_MADE: OcsfMapping(ENTITY, OTHER, named="Backup", entity=_DATABASE),
    EventKind.DATABASE_RESTORED: OcsfMapping(ENTITY, OTHER, severity=HIGH, named="Restore", entity=_DATABASE),
    EventKind.MONTH_SEALED: OcsfMapping(EVENT_LOG, 5),
    EventKind.MONTH_DROPPED: OcsfMapping(EVENT_LOG, 2, severity=LOW),
    EventKind.EXPORT_CONFIRMED: OcsfMapping(EVENT_LOG, 3),
}

CHANGES: Final[dict[str, int]] = {
    ChangeKind.PASSWORD_CHANGED: 3,
    ChangeKind.PASSWORD_RECOVERED: 4,
    ChangeKind.METHOD_ADDED: 10,
    ChangeKind.METHOD_REMOVED: 11,
}
"""The activities of changes that took effect and that the schema has a number for."""

_FACTORS: Final[dict[str, tuple[int, str]]] = {
    Channel.EMAIL: (8, "Email"),
    Channel.SMS: (1, "SMS"),
    Channel.VOICE: (3, "Phone Call"),
    Channel.WHATSAPP: (OTHER, "WhatsApp"),
}
_USER: Final = 1
_USER_UID: Final = 31
"""The types of a user, and of an observable that is a user's id."""


def to_ocsf(event: StoredEvent, id_: str, cursor: str) -> dict[str, Any]:
    """Return an event as an object of its OCSF class; of a kind that is not known here, as a base event."""
    try:
        mapping = MAPPINGS[EventKind(event.kind)]
    except (ValueError, KeyError):
        mapping = OcsfMapping(BASE, OTHER, UNKNOWN, named=event.kind)
    activity, activity_name = _activity(event, mapping)
    status_id, status = _status_of(event, mapping)
    found: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": mapping.of.category_uid,
        "category_name": mapping.of.category,
        "class_uid": mapping.of.uid,
        "class_name": mapping.of.name,
        "type_uid": mapping.of.uid * 100 + activity,
        "type_name": f"{mapping.of.name}: {activity_name}",
        "time": event.at,
        "severity_id": mapping.severity,
        "severity": SEVERITIES[mapping.severity],
        "status_id": status_id,
        "status": status,
        "metadata": {
            "version": SCHEMA_VERSION,
            "product": {"name": PRODUCT, "vendor_name": PRODUCT, "version": __version__},
            "log_name": "events",
            "event_code": event.kind,
            "uid": id_,
            **({"correlation_uid": event.owner} if event.owner else {}),
        },
        "message": f"{event.kind} {event.owner}".strip(),
        **_class_attributes(event, mapping),
        "unmapped": {"cursor": cursor, "application": event.application, "facts": event.facts},
    }
    if "reason" in event.facts:
        found["status_detail"] = str(event.facts["reason"])
    if event.owner.startswith("acc_"):
        found["observables"] = [{"name": "user.uid", "type_id": _USER_UID, "type": "User", "value": event.owner}]
    return found


def _activity(event: StoredEvent, mapping: OcsfMapping) -> tuple[int, str]:
    number = mapping.activity
    if event.kind == EventKind.CHANGE_APPLIED:
        number = CHANGES.get(str(event.facts.get("kind")), number)
    return number, mapping.of.activities.get(number, mapping.named)


def _status_of(event: StoredEvent, mapping: OcsfMapping) -> tuple[int, str]:
    if event.kind == EventKind.SIGN_IN_ASSESSED and event.facts.get("decision") == "deny":
        return FAILURE
    return mapping.status


def _class_attributes(event: StoredEvent, mapping: OcsfMapping) -> dict[str, Any]:
    """Return what the class of an event requires beside what all classes do, and what more there is of it."""
    if mapping.of is AUTHENTICATION:
        return {"user": _user(event), "service": _service(event), **_session(event), **_factor(event)}
    if mapping.of is ACCOUNT:
        return {"user": _user(event), **_operator(event)}
    if mapping.of is ENTITY:
        return {"entity": _entity(event, mapping.entity), **_operator(event)}
    if mapping.of is DETECTION:
        title = f"Phone messages to {event.owner} are held back"
        return {"finding_info": {"uid": f"{event.application}:{event.owner}", "title": title}}
    if mapping.of is EVENT_LOG:
        return {
            "actor": _actor(event),
            "device": {"type_id": 1, "type": "Server", "name": PRODUCT},
            "log_name": "events",
        }
    if mapping.of is API:
        service = {"service": {"name": str(event.facts["provider"])}} if "provider" in event.facts else {}
        return {
            "actor": _actor(event),
            "api": {"operation": event.kind, **service},
            "src_endpoint": {"svc_name": PRODUCT},
        }
    return {}


def _user(event: StoredEvent) -> dict[str, Any]:
    """Return the account; of a verification, which has none, the masked contact or else the id."""
    if event.owner.startswith("acc_"):
        return {"uid": event.owner, "type_id": _USER}
    return {"name": str(event.facts.get("to") or event.owner or "unknown"), "type_id": _USER}


def _service(event: StoredEvent) -> dict[str, Any]:
    return {"name": PRODUCT, **({"uid": event.application} if event.application else {})}


def _session(event: StoredEvent) -> dict[str, Any]:
    return {"session": {"uid": str(event.facts["session"])}} if "session" in event.facts else {}


def _factor(event: StoredEvent) -> dict[str, Any]:
    known = _FACTORS.get(str(event.facts.get("channel")))
    return {"auth_factors": [{"factor_type_id": known[0], "factor_type": known[1]}]} if known else {}


def _operator(event: StoredEvent) -> dict[str, Any]:
    return {"actor": _actor(event)} if "by" in event.facts else {}


def _actor(event: StoredEvent) -> dict[str, Any]:
    actor: dict[str, Any] = {"app_name": PRODUCT, **({"app_uid": event.application} if event.application else {})}
    if "by" in event.facts:
        actor["user"] = {"name": str(event.facts["by"])}
    return actor


def _entity(event: StoredEvent, type_: str) -> dict[str, Any]:
    number = ENTITY_TYPES.get(type_, OTHER)
    named: dict[str, Any] = {"type": type_, "type_id": number}
    if type_ == _EMAIL:
        return {**named, "name": str(event.facts.get("to") or "unknown")}
    if type_ == _DEVICE:
        return {**named, "uid": str(event.facts.get("device") or "unknown"), "user": _user(event)}
    name = {"name": str(event.facts["name"])} if "name" in event.facts else {}
    return {**named, "uid": event.owner or "unknown", **name}
