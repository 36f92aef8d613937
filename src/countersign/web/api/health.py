"""Health, readiness and figures: for whoever keeps the program running."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import TYPE_CHECKING, Final

import msgspec

from countersign.errors import CountersignError, UnavailableError
from countersign.keys import read_file
from countersign.store.tables import metadata
from countersign.web.http.authentication import bearer
from countersign.web.http.problems import ProblemError, problem
from countersign.web.http.proxies import is_this_machine
from countersign.web.http.request import Reply

if TYPE_CHECKING:
    from countersign.web.http.context import Desk
    from countersign.web.http.request import Call

OK: Final = "ok"
PATIENCE: Final = 2.0
"""Seconds that the database has to answer."""

KEPT_FOR: Final = 1.0
"""Seconds for which a finding is given again: anyone may ask, and must not be able to ask the database."""

_ALIVE: Final = Reply(200, b'{"alive":true}')


async def live(_: Desk, __: Call) -> Reply:
    """GET /health/live."""
    return _ALIVE


class Readiness:
    """GET /health/ready: each thing that serving needs, by name."""

    def __init__(self) -> None:
        self._found: Reply | None = None
        self._at = 0.0
        self._turn = asyncio.Lock()

    async def __call__(self, desk: Desk, _: Call) -> Reply:
        """Answer 200, or 503 with what is missing."""
        async with self._turn:
            if self._found is None or time.monotonic() - self._at > KEPT_FOR:
                self._found = await self._look(desk)
                self._at = time.monotonic()
            return self._found

    async def _look(self, desk: Desk) -> Reply:
        checks = await self._stored(desk)
        checks["worker"] = (
            OK if desk.worker_alive() else "The worker in this program has stopped: messages wait for another one."
        )
        if checks["keys"] == OK:
            checks["keys"] = _keys(desk)
        if all(finding == OK for finding in checks.values()):
            return Reply(200, msgspec.json.encode({"ready": True, "checks": checks}))
        return problem("not_ready", retry_after=1, more={"checks": checks})

    async def _stored(self, desk: Desk) -> dict[str, str]:
        """Return what the database says of itself, of its schema, and of the keys it was made with."""
        try:
            async with asyncio.timeout(PATIENCE):
                revision, fingerprint = await desk.core.database.read(_facts)
        except (TimeoutError, UnavailableError):
            unknown = "Not known: the database tells it."
            return {
                "database": "The database does not answer, or was never migrated.",
                "migrations": unknown,
                "keys": unknown,
            }
        behind = "The database has another revision than this program: run `countersign migrate`."
        foreign = "The database was made with other keys: `countersign doctor` says more."
        return {
            "database": OK,
            "migrations": OK if revision == metadata.newest_revision() else behind,
            "keys": OK if fingerprint == desk.core.keyring.fingerprint() else foreign,
        }


async def metrics(desk: Desk, call: Call) -> Reply:
    """GET /metrics: with the token where one is set, else from this very machine only."""
    token = desk.runtime.settings.metrics_token
    if token:
        if not hmac.compare_digest(bearer(call).encode(), token.encode()):
            raise ProblemError(
                "unauthorized", remedy="Send `Authorization: Bearer ...` with the value of metrics.token."
            )
    elif not is_this_machine(call.scope):
        raise ProblemError("forbidden")
    return Reply(200, await desk.runtime.metrics(), desk.stats.content_type.encode())


async def _facts() -> tuple[str | None, bytes | None]:
    revision = await metadata.find_revision()
    fingerprint = await metadata.find(metadata.KEYS)
    return revision, fingerprint


def _keys(desk: Desk) -> str:
    try:
        stored = {key.kid for key in read_file(desk.runtime.settings.secret_file).keys}
        missing = desk.core.keyring.primary.kid not in stored
    except CountersignError:
        return "The key file cannot be read, or is not sound: `countersign doctor` says more."
    return "The key in use is not in the key file any more: bring the file back." if missing else OK
