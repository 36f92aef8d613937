"""The event stream of one verification: the JSON of GET whenever it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from countersign.domain.verifications.challenge import ChallengeState
from countersign.flows.verifications.get import ChallengeView, get_challenge
from countersign.web.api.verifications import checked_id
from countersign.web.api.views import in_full
from countersign.web.http.authentication import application_of, bearer
from countersign.web.http.event_stream import PER_APPLICATION, Snapshot
from countersign.web.http.problems import ProblemError

if TYPE_CHECKING:
    from countersign.web.http.context import WebContext
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response


async def events(web: WebContext, req: Request, resp: Response, path_id: str) -> None:
    """GET /v1/verifications/{id}/events."""
    application = await application_of(web, req)
    id_, key = checked_id(path_id), bearer(req)
    seen = await get_challenge(web.core, application, id_)
    if seen is None:
        raise ProblemError("missing")

    async def look() -> Snapshot | None:
        # The key is checked each time: a removed application sees nothing more.
        application = await web.applications.authenticate(key)
        found = await get_challenge(web.core, application, id_) if application is not None else None
        return None if found is None else _snapshot(web, found)

    web.streams.start(req, resp, _snapshot(web, seen), look, {f"application {application.id}": PER_APPLICATION})


def _snapshot(web: WebContext, seen: ChallengeView) -> Snapshot:
    now = web.core.now()
    ended = seen.challenge.state_at(now) is not ChallengeState.PENDING
    return Snapshot(in_full(seen, now), final=ended and all(delivery.ended for delivery in seen.deliveries))
