"""The bounds of requests to a provider, as a group of settings that each provider with an HTTP API puts into its own struct."""

from __future__ import annotations

from typing import Annotated

import msgspec

from countersign.providers import ProviderContext
from countersign.providers.fields import AllowHttp, AllowPrivate, CaFile, Timeout
from countersign.providers.http.client import Endpoint
from countersign.setting import Described


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of all requests to one provider."""

    allow_http: AllowHttp = False
    allow_private: AllowPrivate = False
    timeout: Timeout = 10.0
    connections: Annotated[int, Described("The most requests at once.", expects="at least 1")] = 16
    ca_file: CaFile = None

    def endpoint(self, label: str, url: str) -> Endpoint:
        """Return the endpoint at `url` with these bounds.

        `label` is the provider's name as it begins sentences: "Twilio". Raises SettingsError if something cannot be meant.
        """
        endpoint = Endpoint(
            label=label,
            url=url.rstrip("/"),
            timeout=self.timeout,
            connections=self.connections,
            allow_http=self.allow_http,
            allow_private=self.allow_private,
            ca_file=self.ca_file,
        )
        endpoint.check()
        return endpoint

    def callback_of(self, context: ProviderContext) -> str:
        """Return our address for receipts; "" if it is not https, since no provider calls back unencrypted.

        A provider in a network of your own (`allow_http`) may: a test, or a proxy.
        """
        return context.callback if context.callback.startswith("https:") or self.allow_http else ""
