"""Programs of Twisted reach services of contacts, through NATs."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import LinkLost, NotGranted
from tests.peer.stream_programs import Program
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, SYMMETRIC
from tests.simulation.link import Link
from tests.simulation.world import World

MEGABYTE = 1024 * 1024


def echo() -> Program:
    """Return a program that says what it hears."""
    program = Program()
    program.echoes = True
    return program


class ServicesTests(SynchronousTestCase):
    """Bob offers his contact Alice an echo."""

    def meet(self, *, relay: bool = False, **settings: Any) -> None:
        """Let both be there, known to each other, behind NATs."""
        self.world = World(1, Link(latency=(0.02, 0.03)), relay=relay)
        kind = SYMMETRIC if relay else PORT_RESTRICTED_CONE
        nats = self.world.nat(kind), self.world.nat(kind)
        self.alice, self.bob = self.world.couple(*nats, **settings)
        self.alice.profile.contacts.keep(self.bob.node.peer_id, "Bob")
        self.bob.profile.contacts.keep(self.alice.node.peer_id, "Alice")
        endpoint = self.bob.node.services.listener_for("echo", ["Alice"])
        self.world.result(endpoint.listen(Factory.forProtocol(echo)))

    def reach(self, service: str = "echo") -> Program:
        """Let Alice reach a service of Bob's."""
        endpoint = self.alice.node.services.connector_for("Bob", service)
        ear: Program = self.world.result(connectProtocol(endpoint, Program()))
        return ear

    def assert_echo(self, ear: Program, data: bytes) -> None:
        """What is said comes back, before long."""
        ear.data.clear()
        assert ear.transport is not None
        ear.transport.write(data)
        self.world.wait(lambda: len(ear.data) >= len(data), 60, "an echo")
        self.assertTrue(ear.data == data)

    def test_reached(self) -> None:
        """The connector brings up a link that nobody has to accept, and it is no chat."""
        self.meet(accept="ask")
        ear = self.reach()
        self.assert_echo(ear, bytes(range(256)) * 4096)
        self.assertEqual(self.bob.events(events.Connected), [])

    def test_relayed(self) -> None:
        """Where only a relay leads there, bytes pass over it."""
        self.meet(relay=True)
        self.assert_echo(self.reach(), bytes(MEGABYTE // 4))

    def test_refused(self) -> None:
        """What isn't there, and what isn't granted, is refused in the same words."""
        self.meet()
        self.bob.node.services.listener_for("other").listen(Factory.forProtocol(echo))
        for service in ("nothing", "other"):
            self.assertRaises(NotGranted, self.reach, service)

    def test_nat_reboots(self) -> None:
        """A stream lives through the reboot of a NAT."""
        self.meet()
        ear = self.reach()
        self.assert_echo(ear, b"before")
        self.world.internet.nats[0].reboot()
        self.world.internet.run(60)
        self.assert_echo(ear, b"after")
        self.assertIsNone(ear.reason)

    def test_lost(self) -> None:
        """When the other program is gone for good, the stream is lost with that reason."""
        self.meet()
        ear = self.reach()
        self.bob.host.kill()
        self.world.wait(lambda: ear.reason is not None, 1000, "the loss")
        assert ear.reason is not None
        self.assertIsNotNone(ear.reason.check(LinkLost))

    def test_leaves(self) -> None:
        """A program that closes ends the stream in order, and chat goes on."""
        self.meet()
        ear = self.reach()
        assert ear.transport is not None
        ear.transport.loseConnection()
        self.world.wait(lambda: ear.reason is not None, 5, "the end")
        assert ear.reason is not None
        self.assertIsNotNone(ear.reason.check(ConnectionDone))
