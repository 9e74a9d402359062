"""Transfers of files of a new node, and the service that they come by."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from platformdirs import user_downloads_dir
from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import Factory

from p2pchat import events
from p2pchat.peer.outbox import Outbox
from p2pchat.peer.people import People
from p2pchat.peer.profile import Profile
from p2pchat.peer.services import Services
from p2pchat.peer.settings import FileSettings
from p2pchat.peer.transfers.node_transfers import NodeTransfers
from p2pchat.runtime import Runtime
from p2pchat.wire.transfers import SERVICE


class FilesFactory(Factory):
    """
    The factory of streams that contacts open.

    :param incoming: returns the protocol for a peer.
    """

    noisy = False

    def __init__(self, incoming: Callable[[str], IProtocol | None]) -> None:
        self._incoming = incoming

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:  # type: ignore[override]
        """Return the protocol for a peer."""
        return self._incoming(addr.peer_id)  # type: ignore[attr-defined]


def new_transfers(
    runtime: Runtime,
    profile: Profile,
    services: Services,
    people: People,
    *,
    settings: FileSettings,
    tell: Callable[[events.NodeEvent], None],
    outbox: Outbox,
) -> NodeTransfers:
    """
    Return the transfers of a node, and let contacts open streams for them.

    :param tell: takes their events.
    :param outbox: calls those for whom files wait.
    """
    downloads = settings.downloads or user_downloads_dir()
    settings = attrs.evolve(settings, downloads=downloads)
    made = NodeTransfers(
        *(runtime, settings, profile.contacts, profile.transfers),
        *(services.open_own, people.whom, tell, outbox.said),
    )
    outbox.files_for = made.waiting
    services.serve_own(SERVICE, FilesFactory(made.incoming), made.may)
    return made
