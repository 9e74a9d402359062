"""
What the programs write to their logs: at the default level no peer's address, id, name or word.

One world sees much of what can happen, with registry and peers in one log; every event at level
info and above is read whole, traceback and fields included.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import RegistryError, WhoError
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.wire.documents import Ringing
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, SYMMETRIC
from tests.simulation.world import REGISTRY, RELAY, STUN_PORT, Person, World, runtime_on

SERVERS = {*REGISTRY, RELAY}
PUBLIC = "198.18."  # what the addresses of NATs begin with
LINE = "the password is swordfish"


class LogTests(SynchronousTestCase):
    """A registry, a relay and three peers write into one log."""

    def setUp(self) -> None:
        self.logged: list[LogEvent] = []
        observer = cast(ILogObserver, self.logged.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.world = World(11, relay=True)
        self.people = [
            self.world.person(name, self.world.nat(kind))
            for name, kind in (
                ("zora", PORT_RESTRICTED_CONE),
                ("yannis", SYMMETRIC),
                ("xaver", SYMMETRIC),
            )
        ]
        self.world.wait(lambda: all(one.events(events.Registered) for one in self.people))
        self.world.internet.run(1)

    def secrets(self) -> set[str]:
        """Return what must not be logged: addresses, ids and names of peers, and their words."""
        hosts = {address for host in self.world.internet.hosts for address in host.addresses}
        nats = {PUBLIC}
        ids = {one.node.peer_id for one in self.people}
        return (hosts | nats | ids | {one.name for one in self.people} | {LINE}) - SERVERS

    def leaks(self, level: Any = LogLevel.info) -> list[str]:
        """Return the events of this level and above that tell a secret."""
        secrets = self.secrets()
        texts = [
            eventAsText(event) + repr(event) for event in self.logged if event["log_level"] >= level
        ]
        return [text for text in texts if any(secret in text for secret in secrets)]

    def failed(self, request: Deferred[Any], kind: type[Exception]) -> None:
        """Expect a request to fail."""
        self.assertRaises(kind, self.world.result, request)

    def converse(self, one: Person, other: Person) -> None:
        """Let one call the other, and say a line each way."""
        self.world.connect(one, other)
        one.say(LINE, other)
        other.say(LINE, one)
        self.world.wait(lambda: LINE in one.texts() and LINE in other.texts())

    def misuse(self) -> None:
        """Do what is refused, to the registry and its STUN service."""
        zora, yannis, _ = self.people
        runtime = runtime_on(zora.host, Random(0))
        client = RegistryClient(self.world.url, zora.profile.identity, runtime)
        key = yannis.profile.sealing_key.record_key
        nobody = "00000000-0000-8000-8000-000000000000"
        self.failed(client.deliver(nobody, Ringing("s"), key), RegistryError)
        self.failed(client.peer(yannis.name), RegistryError)
        self.failed(zora.node.connect("nobody"), WhoError)
        socket: Any = zora.host.reactor.listenUDP(0, DatagramProtocol())
        for data in (b"hello", bytes(20), bytes.fromhex("000100002112a442") + bytes(12)) * 300:
            socket.write(data, (REGISTRY[0], STUN_PORT))
        self.world.internet.run(1)

    def test_story(self) -> None:
        """Calls, lines, a relay, refusals, a registry that dies and returns, and a goodbye."""
        zora, yannis, xaver = self.people
        self.converse(zora, yannis)
        self.converse(yannis, xaver)
        self.misuse()
        self.world.host.kill()
        self.world.internet.run(30)
        self.world.host.boot()
        self.world.boot_registry()
        self.world.wait(lambda: self.world.registered == 3)
        xaver.host.kill()
        self.world.internet.run(90)
        for one in (zora, yannis):
            self.world.result(one.node.stop())
        self.assertEqual(self.leaks(), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_control(self) -> None:
        """A secret in the text, in a field or in a traceback would be found."""
        zora = self.people[0]
        log = Logger()
        tell: list[Callable[[], None]] = [
            lambda: log.info("{host} came", host=zora.host.addresses[0]),
            lambda: log.info("somebody came", who=zora.node.peer_id),
            lambda: log.warn(f"{zora.name} came"),
        ]
        for number, say in enumerate(tell, 1):
            say()
            self.assertEqual(len(self.leaks()), number)
        log.debug("{who} came", who=zora.name)
        self.assertEqual(len(self.leaks()), len(tell))
        self.assertEqual(len(self.leaks(LogLevel.debug)), len(tell) + 1)
