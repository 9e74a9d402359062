"""The services of a node, made of its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import inlineCallbacks

from p2pchat import events
from p2pchat.peer.endpoint_adapter import EndpointAdapter
from p2pchat.peer.grant_clock import GrantClock
from p2pchat.peer.peer_streams import PeerStreams
from p2pchat.peer.profile import Profile
from p2pchat.peer.service_access import ServiceAccess
from p2pchat.peer.service_links import ServiceLinks
from p2pchat.peer.services import Services
from p2pchat.peer.signaling import SignalingGroup
from p2pchat.runtime import Runtime
from p2pchat.session.approval import By


def new_services(
    runtime: Runtime,
    profile: Profile,
    signaling: SignalingGroup,
    adapter: EndpointAdapter,
    *,
    tell: Callable[[events.NodeEvent], None],
) -> tuple[Services, PeerStreams]:
    """Make the services of a node; its endpoint lets in whoever may open one of them."""
    clock, endpoint, own_id = runtime.clock, adapter.endpoint, profile.identity.peer_id
    time = GrantClock(runtime.wall_time, clock.seconds, profile.grants.latest)
    access = ServiceAccess(own_id, profile.contacts, profile.grants, time, clock)

    @inlineCallbacks
    def call(peer_id: str) -> Any:
        yield signaling.available(peer_id)
        adapter.look_for_translation()
        with adapter.driver as now:
            endpoint.call(peer_id, profile.contacts[peer_id].name, now, By.SERVICE)

    links = ServiceLinks(endpoint, adapter.driver, clock, call)
    endpoint.serves = access.may_call
    is_hidden = endpoint.agent.is_hidden_from
    endpoint.agent.is_hidden_from = lambda one: is_hidden(one) or one in links.relayed
    streams = PeerStreams(own_id, endpoint, adapter.driver, clock)
    return Services(own_id, access, links, streams, clock, tell), streams
