"""
A node made of a profile: its store in threads of its own, and its ways to registries.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from p2pchat.identity.keys import peer_id_octets
from p2pchat.interfaces import IMessageStore
from p2pchat.peer.node import Node
from p2pchat.peer.profile import Profile
from p2pchat.peer.registry_signaling import RegistrySignaling
from p2pchat.peer.settings import NodeSettings
from p2pchat.peer.storage.message_store import SqliteStore
from p2pchat.peer.storage.open_database import OpenDatabase
from p2pchat.peer.transfers.file_threads import FileThreads
from p2pchat.runtime import Runtime
from p2pchat.wire.addresses import Scope


def open_store(runtime: Runtime, profile: Profile) -> IMessageStore | None:
    """
    Open the database of a profile, where there is one, and let what changes be written there.

    :raises ConfigurationError: it can't be used.
    """
    if profile.file is None:
        return None
    database = OpenDatabase.in_threads(profile.file, runtime.reactor)
    profile.keep_in(database, runtime.random_bytes)
    return SqliteStore(database, peer_id_octets(profile.identity.peer_id))


def node_of(
    runtime: Runtime,
    settings: NodeSettings,
    profile: Profile,
    store: IMessageStore | None,
    further_servers: Sequence[str] = (),
) -> Node:
    """
    Make the node of a profile.

    :param further_servers: URLs of registries beside the usual one.
    """

    runtime = attrs.evolve(runtime, in_thread=FileThreads(runtime.reactor).run)

    def registry(url: str, nearest: Scope = Scope.LOOPBACK) -> RegistrySignaling:
        return RegistrySignaling(url, profile.identity, runtime, nearest)

    ways = [registry(url) for url in (settings.server, *further_servers)]
    return Node(runtime, settings, profile, ways, store, another=registry)
