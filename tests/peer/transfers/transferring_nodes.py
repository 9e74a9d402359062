"""Transfers of two nodes that are joined in memory, with real files in folders of their own."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import TransferRefused
from p2pchat.interfaces import ITransferStore
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.settings import FileSettings
from p2pchat.peer.storage.transfer_table import EphemeralTransfers
from p2pchat.peer.transfers.node_transfers import NodeTransfers
from p2pchat.runtime import Runtime
from p2pchat.wire.transfers import PIECE_SIZE, SERVICE
from tests.peer.fake_streams import FakeStreams, link

ALICE = "0a11ce00-0000-8000-8000-000000000001"
BOB = "b0b00000-0000-8000-8000-000000000002"
DISK = 0.001  # seconds that it takes, whatever it does
NAMES = {ALICE: "alice", BOB: "bob"}

_E = TypeVar("_E")


def digest(path: Path) -> str:
    """Return what tells a file from others."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@attrs.define(eq=False)
class TransferringNode:
    """
    What has transfers of a node, and what it said.

    :ivar folder: has ``files``, to be sent, and ``downloads``.
    :ivar may_open: streams that it opens wait for this.
    """

    peer_id: str
    other: str
    folder: Path
    clock: Clock
    store: ITransferStore = attrs.Factory(EphemeralTransfers)
    accepted: bool = False
    most: int = 10**9
    seen: list[Any] = attrs.Factory(list)
    wanted: list[str] = attrs.Factory(list)
    contacts: Contacts = attrs.Factory(Contacts)
    may_open: Deferred[None] = attrs.Factory(lambda: succeed(None))
    streams: FakeStreams = attrs.field(init=False)
    transfers: NodeTransfers = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        (self.folder / "files").mkdir(parents=True, exist_ok=True)
        self.contacts.keep(self.other, NAMES[self.other])
        self.start()

    @property
    def downloads(self) -> Path:
        """Where files come into."""
        return self.folder / "downloads"

    def start(self) -> None:
        """Begin, as a program that finds what an earlier one left."""
        count = iter(range(10**6))

        def random_bytes(length: int) -> bytes:
            seed = f"{self.peer_id} {len(self.seen)} {next(count)}".encode()
            return hashlib.shake_256(seed).digest(length)

        runtime = Runtime(
            *(None, self.clock, self.clock.seconds, random_bytes),
            interface_addresses=list,
            in_thread=lambda work: deferLater(self.clock, DISK, work),
        )
        accepted = str(self.downloads) if self.accepted else ""
        settings = FileSettings(str(self.downloads), accepted, self.most)
        self.streams = FakeStreams(self.peer_id, self.clock)
        self.transfers = NodeTransfers(
            *(runtime, settings, self.contacts, self.store),
            *(self._open, self._whom, self.seen.append, self.wanted.append),
        )
        self.streams.accept(self._decide)
        self.transfers.load()

    def _open(self, peer_id: str, service: str, protocol: Any) -> Deferred[None]:
        opened: Deferred[None] = Deferred()
        self.may_open.addCallback(
            lambda _: self.streams.open(peer_id, service, protocol).chainDeferred(opened)
        )
        return opened

    def _decide(self, peer_id: str, service: str) -> Any:
        return self.transfers.incoming(peer_id) if service == SERVICE else None

    def _whom(self, who: str) -> str:
        return {name: peer_id for peer_id, name in NAMES.items()}[who]

    def file(self, name: str, size: int, seed: int = 1) -> Path:
        """Make a file of this size that is to be sent."""
        path = self.folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(hashlib.shake_256(f"{name} {seed}".encode()).digest(size))
        return path

    def said(self, kind: type[_E]) -> list[_E]:
        """Return the events of a kind, oldest first."""
        return [one for one in self.seen if isinstance(one, kind)]

    @property
    def states(self) -> list[str]:
        """The states that were said of transfers, oldest first."""
        return [one.state for one in self.said(events.TransferChanged)]

    def there(self) -> dict[str, int]:
        """Return the files in downloads, and their sizes."""
        found = (
            Path(folder) / name for folder, _, names in os.walk(self.downloads) for name in names
        )
        return {str(one.relative_to(self.downloads)): one.lstat().st_size for one in found}


class TransferCase(SynchronousTestCase):
    """Alice sends to bob."""

    def setUp(self) -> None:
        self.clock = Clock()
        folder = Path(self.mktemp())
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.alice = TransferringNode(ALICE, BOB, folder / "alice", self.clock)
        self.bob = TransferringNode(BOB, ALICE, folder / "bob", self.clock)

    def link(self) -> None:
        """Let there be a link between the two."""
        link(self.alice.streams, self.bob.streams)
        for one, other in ((self.alice, BOB), (self.bob, ALICE)):
            one.transfers.linked(other)
        self.run_on()

    def lose_link(self) -> None:
        """Lose it."""
        self.alice.streams.lose_link(BOB)
        self.run_on()

    def run_on(self, seconds: float = 1.0) -> None:
        """Let everything happen that happens within some time."""
        for _ in range(round(seconds / DISK)):
            self.clock.advance(DISK)

    def send(self, path: Path, who: str = "bob") -> Any:
        """Let alice offer a file or folder."""
        sent = self.alice.transfers.send(f'"{path}" {who}', "")
        self.run_on()
        return self.successResultOf(sent)

    def refused(self, argument: str, current: str = "") -> str:
        """Return why something that alice wants to send can't be."""
        sent = self.alice.transfers.send(argument, current)
        self.run_on()
        return str(self.failureResultOf(sent, TransferRefused).value)

    def accept(self, seconds: float = 1.0) -> None:
        """Let bob accept what is offered, and some time go by."""
        found = self.bob.transfers.find("")
        assert found is not None
        self.bob.transfers.accept(found.number)
        self.run_on(seconds)

    def begin(self) -> Path:
        """Let a long file be sent, a part of which is there by now; returns its path."""
        path = self.alice.file("a", 40 * PIECE_SIZE)
        self.send(path)
        self.accept(0.02)
        there = sum(self.bob.there().values())
        self.assertTrue(0 < there < 40 * PIECE_SIZE, there)
        return path
