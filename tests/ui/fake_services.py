"""Services of a node without a network: what is asked is noted."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.web.iweb import IAgent
from zope.interface import implementer

from p2pchat.errors import WhoError
from p2pchat.interfaces import INodeServices
from p2pchat.peer.service_infos import GrantInfo, OfferedInfo, OpenStreamInfo


@implementer(INodeServices)
@attrs.define
class FakeServices:
    """
    Services that are only remembered.

    :ivar asked: takes what is asked.
    :ivar known: the id of whom each name means.
    :ivar open: the streams that there are.
    """

    asked: list[tuple[Any, ...]]
    known: dict[str, str]
    infos: dict[tuple[str, str], GrantInfo] = attrs.Factory(dict)
    served: list[OfferedInfo] = attrs.Factory(list)
    theirs: list[str] = attrs.Factory(list)
    open: list[OpenStreamInfo] = attrs.Factory(list)

    def grant(self, service: str, who: str, lifetime: float | None = None) -> GrantInfo:
        self.asked.append(("grant", service, who, lifetime))
        info = GrantInfo(service, self._find(who), who, lifetime)
        self.infos[service, who] = info
        return info

    def _find(self, who: str) -> str:
        if who not in self.known:
            raise WhoError(f"no contact of yours is called {who!r}")
        return self.known[who]

    def revoke(self, service: str, who: str) -> GrantInfo:
        self.asked.append(("revoke", service, who))
        return self.infos.pop((service, who))

    def grants(self) -> list[GrantInfo]:
        return list(self.infos.values())

    def offered(self) -> list[OfferedInfo]:
        return self.served

    def services_of(self, who: str) -> Deferred[list[str]]:
        self.asked.append(("services_of", who))
        return succeed(self.theirs)

    def streams(self) -> list[OpenStreamInfo]:
        return self.open

    def serve_own(
        self, service: str, factory: IProtocolFactory, may: Callable[[str], bool]
    ) -> None:
        self.asked.append(("serve_own", service))

    def listener_for(self, service: str, allow: Collection[str] = ()) -> IStreamServerEndpoint:
        raise NotImplementedError

    def connector_for(
        self, peer: str, service: str, path: str = "any", timeout: float = 30.0
    ) -> IStreamClientEndpoint:
        raise NotImplementedError

    def web_agent(self) -> IAgent:
        raise NotImplementedError
