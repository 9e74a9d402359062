"""The endpoint of a node, made of what the person set and what is kept."""

from __future__ import annotations

from collections.abc import Callable

from p2pchat.identity.proof import make_certificate
from p2pchat.peer.profile import Profile
from p2pchat.peer.settings import NodeSettings
from p2pchat.peer.signaling import SignalingGroup
from p2pchat.runtime import Runtime
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.privacy import Privacy
from p2pchat.session.qh3_connection import KEY_EXCHANGES, QUANTUM_SAFE
from p2pchat.session.stages import SessionContext
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.relays import Relays
from p2pchat.wire.messages import Mailbox, Registries


def new_endpoint(
    runtime: Runtime,
    settings: NodeSettings,
    profile: Profile,
    signaling: SignalingGroup,
    *,
    is_lasting: bool,
    registries_for: Callable[[str], Registries | None],
    mailbox_for: Callable[[str], Mailbox | None] | None,
) -> Endpoint:
    """
    Make the endpoint of a node.

    :param is_lasting: whether what is said outlives the program.
    :param registries_for: what a peer is to know of our registries.
    :param mailbox_for: what a peer is to know of our mailbox; ``None``: there is none.
    """
    random_bytes, clock, rtt = runtime.random_bytes, runtime.clock, signaling.rtt
    gathering = DualGathering((), random_bytes, signaling.is_local, registry_rtt=rtt)
    relays = Relays(random_bytes, registry_rtt=rtt)
    agent = Agent(gathering, relays, settings.relay_only, random_bytes)
    agent.is_hidden_from = lambda peer_id: profile.contacts[peer_id].is_relayed
    context = SessionContext(
        profile.identity,
        make_certificate(random_bytes(32), runtime.wall_time()),
        settings.username,
        settings.retries,
        agent,
        lambda now: now + (signaling.now() - clock.seconds()),
        random_bytes,
        QUANTUM_SAFE if settings.requires_pq else KEY_EXCHANGES,
        rtt,
        is_lasting,
        mailbox_for=mailbox_for,
        registries_for=registries_for,
        privacy=Privacy(settings.receipts, settings.typing, settings.invisible),
    )
    return Endpoint(context, settings.accept, settings.heartbeat, profile.contacts.__getitem__)
