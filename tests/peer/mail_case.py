"""Whole nodes without any link between them, and a registry that has nothing but mailboxes."""

from __future__ import annotations

from random import Random
from typing import TypeVar

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.identity.keys import Identity, peer_id_octets
from p2pchat.identity.sealing import SealingKey
from p2pchat.peer.ephemeral_store import EphemeralSecrets
from p2pchat.peer.mail_tokens import GIVEN, LEARNED
from p2pchat.peer.node import Node
from p2pchat.peer.profile import Profile
from p2pchat.peer.settings import NodeSettings
from p2pchat.peer.signaling import MailWaiting, SignalingAvailable
from p2pchat.wire.messages import Mailbox
from p2pchat.wire.strict_json import dumps
from tests.identity.people import ALICE, BOB
from tests.peer.fake_mailbox import Box, FakeMailboxes
from tests.peer.fake_signaling import FakeSignaling
from tests.peer.lasting_store import LastingStore
from tests.simulation.internet import Internet
from tests.simulation.world import EPOCH, runtime_on

SERVER = "https://registry.test"
TOKENS = {ALICE.peer_id: b"a" * 32, BOB.peer_id: b"b" * 32}  # those that each gave the other

_Event = TypeVar("_Event")


@attrs.define(eq=False)
class Owner:
    """
    Somebody with a node, whose disk outlives it.

    :ivar told: in all runs.
    """

    identity: Identity
    name: str
    internet: Internet
    mailboxes: FakeMailboxes
    store: LastingStore = attrs.field(init=False)
    profile: Profile = attrs.field(init=False)
    signaling: FakeSignaling = attrs.field(init=False)
    node: Node = attrs.field(init=False)
    told: list[events.NodeEvent] = attrs.Factory(list)
    clock_error: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.store = LastingStore(self.internet.clock, peer_id_octets(self.identity.peer_id))
        self.profile = Profile(self.identity, SealingKey.from_seed(bytes(32)))
        self.profile.secrets = EphemeralSecrets()

    @property
    def peer_id(self) -> str:
        """The id."""
        return self.identity.peer_id

    @property
    def box(self) -> Box:
        """The mailbox."""
        return self.mailboxes.box(self.peer_id)

    def knows(self, other: Owner) -> None:
        """Make a contact of somebody, and have what a link would have brought."""
        self.profile.contacts.keep(other.peer_id, other.name)
        place = Mailbox(TOKENS[other.peer_id], (SERVER,))
        self.profile.secrets.put(GIVEN, other.peer_id, TOKENS[self.peer_id])
        self.profile.secrets.put(LEARNED, other.peer_id, dumps(place.to_json()))

    def start(self, *, mails: bool = True) -> None:
        """Start the program."""
        host = self.internet.host()
        host.clock_error = self.clock_error
        runtime = runtime_on(host, Random(f"{self.name} {self.internet.clock.seconds()}"))
        self.signaling = FakeSignaling(SERVER, mailbox=self.mailboxes.of(self.peer_id))
        self.signaling.time = lambda: EPOCH + self.internet.clock.seconds()
        self.node = Node(
            *(runtime, NodeSettings(self.name, mails=mails), self.profile, [self.signaling]),
            self.store,
        )
        self.node.listen(self.told.append)
        self.node.start()
        self.internet.run(0.1)
        self.signaling.context.receive(SignalingAvailable(SERVER))
        self.mail()

    def mail(self) -> None:
        """Hear from the registry that something waits."""
        self.signaling.context.receive(MailWaiting(SERVER))

    def stop(self) -> None:
        """Leave."""
        self.node.stop()
        self.internet.run(3)

    def events(self, kind: type[_Event]) -> list[_Event]:
        """Return what was told of this kind."""
        return [one for one in self.told if isinstance(one, kind)]

    def texts(self) -> list[str]:
        """Return the lines that were shown."""
        return [one.text for one in self.events(events.MessageReceived)]

    def history(self, other: Owner) -> list[tuple[str, str]]:
        """Return what is on the disk."""
        return self.store.of(other.peer_id).history()


class MailCase(SynchronousTestCase):
    """Alice and Bob, who are contacts, and whose programs never see each other."""

    def setUp(self) -> None:
        self.internet = Internet(7)
        self.mailboxes = FakeMailboxes(SERVER, lambda: EPOCH + self.internet.clock.seconds())
        self.alice = Owner(ALICE, "alice", self.internet, self.mailboxes)
        self.bob = Owner(BOB, "bob", self.internet, self.mailboxes)
        self.alice.knows(self.bob)
        self.bob.knows(self.alice)

    def was_there(self, *owners: Owner) -> None:
        """Let them run for a moment, and leave: their keys are shown."""
        for one in owners:
            one.start()
            self.internet.run(3)
            one.stop()

    def say(self, author: Owner, reader: Owner, *lines: str) -> None:
        """Say lines."""
        for text in lines:
            author.node.send(reader.peer_id, text)
