"""Takes the time zone of a browser from a script of ours, and keeps it in a cookie that no script reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon

from countersign.messages.language.timezones import known_timezone
from countersign.web.http.cookies import DEVICE_KEPT, ZONE, keep
from countersign.web.http.forms import fields_of

if TYPE_CHECKING:
    from countersign.web.http.request import Request
    from countersign.web.http.response import Response

PATH = "/zone"


async def keep_zone(req: Request, resp: Response) -> None:
    """Keep the zone if there is such a one. It needs no session: it is believed only to show times."""
    if zone := known_timezone((await fields_of(req)).get("zone", "")):
        keep(resp, ZONE, zone, DEVICE_KEPT)
    resp.status = falcon.HTTP_204
