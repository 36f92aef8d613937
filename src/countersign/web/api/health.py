"""Health, readiness and metrics, for the operator."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.config.agreement import Agreement, agreement_of, differing_sections
from countersign.errors import CountersignError, UnavailableError
from countersign.flows.maintenance.housekeeper import is_missing
from countersign.keys import read_file
from countersign.store.tables import metadata
from countersign.web.http.authentication import bearer
from countersign.web.http.problems import ProblemError
from countersign.web.http.proxies import is_this_machine

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

OK: Final = "ok"
DATABASE_WITHIN: Final = 2.0
"""Seconds that the database has to answer."""

SKEWED: Final = 5_000
"""Milliseconds. From a difference of clocks like this on, leases, limits and the lifetimes of codes are not what was promised."""

KEPT_FOR: Final = 1.0
"""Seconds for which a result is reused. Anybody may ask, and must not cause a database query each time."""

_ALIVE: Final = b'{"alive":true}'


async def live(_: WebContext, __: Request, resp: Response) -> None:
    """GET /health/live."""
    resp.json(_ALIVE)


class Readiness:
    """Readiness of this process: each dependency by name."""

    def __init__(self, web: WebContext) -> None:
        self._web = web
        self._found: bytes | ProblemError | None = None
        self._at = 0.0
        self._turn = asyncio.Lock()
        self._own: Agreement | None = None
        self._differing: list[str] = []
        self._no_worker = False

    async def ready(self, _: Request, resp: Response) -> None:
        """GET /health/ready: 200, or 503 with what is missing."""
        async with self._turn:
            if self._found is None or time.monotonic() - self._at > KEPT_FOR:
                self._found = await self._look(self._web)
                self._at = time.monotonic()
            found = self._found
        if isinstance(found, ProblemError):
            found.write(resp)
        else:
            resp.json(found)

    async def _look(self, web: WebContext) -> bytes | ProblemError:
        checks = await self._stored(web)
        if checks["database"] == OK and not await web.writes.is_writable():
            checks["database"] = (
                "The database takes no writes: it is full, read-only, or waits for a standby or a lock."
            )
        checks["worker"] = (
            OK if web.worker_alive() else "The worker in this program has stopped: messages wait for another one."
        )
        if checks["keys"] == OK:
            checks["keys"] = _keys(web)
        if checks["database"] == OK and await _is_skewed(web):
            checks["clock"] = "The clocks of this machine and of the database differ by 5 seconds or more."
        if all(finding == OK for finding in checks.values()):
            if self._no_worker:
                # Codes can still be checked, and people still sign in by other ways: nobody is to be taken out for it.
                checks["worker"] = "No worker runs: messages wait. Start `countersign work`."
            if self._differing:
                # Whoever was told so and took this one out would take out all of them while settings are rolled out.
                checks["settings"] = f"A program that started later has others: {', '.join(self._differing)}."
            return msgspec.json.encode({"ready": True, "checks": checks})
        return ProblemError("not_ready", retry_after=1, checks=checks)

    async def _stored(self, web: WebContext) -> dict[str, str]:
        """Return the state of the database, its schema, and the fingerprint of its keys."""
        try:
            async with asyncio.timeout(DATABASE_WITHIN):
                can_serve, fingerprint, settings, lease = await web.database.read(_facts)
        except (TimeoutError, UnavailableError):
            unknown = "Not known: the database tells it."
            return {
                "database": "The database does not answer, or was never migrated.",
                "migrations": unknown,
                "keys": unknown,
            }
        self._no_worker = web.settings.no_worker and is_missing(lease, web.core.now())
        self._own = self._own or agreement_of(web.settings)
        self._differing = differing_sections(self._own, settings)
        behind = (
            "This program cannot live with the database's revision: run `countersign migrate`, or the newer release."
        )
        foreign = "The database was made with other keys: `countersign doctor` says more."
        return {
            "database": OK,
            "migrations": OK if can_serve else behind,
            "keys": OK if fingerprint is not None and web.keyring.belongs_to(fingerprint) else foreign,
        }


async def metrics(web: WebContext, req: Request, resp: Response) -> None:
    """GET /metrics: with the token if one is set. Without one it is open to this machine, in development alone.

    In production a proxy on the same machine may forward for anybody without a header that says so.
    """
    token = web.settings.metrics.token
    if token:
        if not hmac.compare_digest(bearer(req).encode(), token.encode()):
            raise ProblemError(
                "unauthorized", remedy="Send `Authorization: Bearer ...` with the value of metrics.token."
            )
    elif not web.settings.development or not is_this_machine(req.scope):
        raise ProblemError("forbidden")
    resp.write(await web.metrics_page(), web.metrics.content_type)


async def _is_skewed(web: WebContext) -> bool:
    if web.clock_watch is None:
        return False
    try:
        async with asyncio.timeout(DATABASE_WITHIN):
            skew = await web.clock_watch.look()
    except (TimeoutError, UnavailableError):
        return False  # what the database did not say is told as its own fault, at the next look
    return abs(skew) >= SKEWED


async def _facts() -> tuple[bool, bytes | None, bytes | None, bytes | None]:
    return (
        await metadata.can_serve(),
        await metadata.find(metadata.KEYS),
        await metadata.find(metadata.SETTINGS),
        await metadata.find(metadata.HOUSEKEEPER),
    )


def _keys(web: WebContext) -> str:
    if web.settings.secret_command:
        return OK  # running the command at each request could be used to keep it busy
    try:
        stored = {key.kid for key in read_file(web.settings.secret_file).keys}
        missing = web.keyring.primary.kid not in stored
    except CountersignError:
        return "The key file cannot be read, or is not sound: `countersign doctor` says more."
    return "The key in use is not in the key file any more: bring the file back." if missing else OK
