"""Fair shares: how many due messages of each application a worker takes, so that one that floods delays only itself."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import msgspec


class DueQueue(msgspec.Struct, frozen=True):
    """What is due of one provider, channel and application: how many messages (up to a bound), and since when (ms) the oldest.

    `name` is that of the queue. All three are empty for messages that an older release wrote.
    """

    name: str
    provider: str
    channel: str
    application: str
    due: int
    oldest: int


def fair_shares(
    queues: Sequence[DueQueue], room: int, in_flight: Mapping[str, int], most: int, places: Mapping[str, int]
) -> dict[str, int]:
    """Return how many messages to take from each queue, by its name.

    Each place goes to the application that then has the fewest messages in flight; of two, to the one whose message has waited longer.
    Within an application it goes to the queue with the fewest taken.

    Arguments:
        queues: what is due.
        room: the most messages that may be taken.
        in_flight: how many messages each application has in flight, by its id.
        most: the most messages in flight of one application.
        places: how many more messages a provider takes at once, by its name; no bound for one that is left out.

    """
    free = dict(places)
    by_application: dict[str, list[DueQueue]] = {}
    for queue in queues:
        by_application.setdefault(queue.application, []).append(queue)
    taken: dict[str, int] = {}
    applications = [
        (in_flight.get(application, 0), min(queue.oldest for queue in own), application)
        for application, own in by_application.items()
    ]
    heapq.heapify(applications)
    while room and applications:
        busy, oldest, application = applications[0]
        left = [
            queue
            for queue in by_application[application]
            if queue.due > taken.get(queue.name, 0) and free.get(queue.provider, room) > 0
        ]
        if not left or busy >= most:
            heapq.heappop(applications)
            continue
        next_ = min(left, key=lambda queue: (taken.get(queue.name, 0), queue.oldest))
        taken[next_.name] = taken.get(next_.name, 0) + 1
        if next_.provider in free:
            free[next_.provider] -= 1
        room -= 1
        heapq.heapreplace(applications, (busy + 1, oldest, application))
    return taken
