"""The settings of `[limits]`: how many messages a contact, a requester and an application may ask for."""

from typing import Annotated

import msgspec

from countersign.config.values import read_application_limits, read_destination_limits, read_requester_limits
from countersign.domain.policy import InstallationPolicy
from countersign.domain.verifications.rate_limit import RateLimit
from countersign.setting import Described


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[limits]`."""

    destination: Annotated[
        tuple[RateLimit, ...],
        Described(
            "Messages to one contact of one application: how many in how many s, m, h or d. An empty list: no limit.",
            expects="a list such as 10/10m, 30/1d",
            default="10/10m, 30/1d",
            reads=read_destination_limits,
        ),
    ] = InstallationPolicy().destination
    requester: Annotated[
        tuple[RateLimit, ...],
        Described(
            "Messages that one network address asks for. An empty list: no limit.",
            expects="a list such as 60/10m",
            default="60/10m",
            reads=read_requester_limits,
        ),
    ] = InstallationPolicy().requester
    application: Annotated[
        tuple[RateLimit, ...],
        Described(
            "Messages of one application, by mail and by phone together: how many in how many s, m, h or d. An empty list: no limit.",
            expects="a list such as 600/1m, 50000/1d",
            reads=read_application_limits,
        ),
    ] = InstallationPolicy().application
