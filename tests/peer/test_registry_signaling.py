"""Signaling by a registry, whole, in a simulated internet."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.components import proxyForInterface
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface.verify import verifyObject

from p2pchat.errors import RegistryError
from p2pchat.identity.signed_documents import Acceptance
from p2pchat.interfaces import IRegistryStore, ISignaling
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.event_stream import Event
from p2pchat.peer.registry_signaling import MAX_EACH, RegistrySignaling, find_stun
from p2pchat.peer.resolver import RESOLVE_TIMEOUT
from p2pchat.peer.sealing_keys import SealingKeys
from p2pchat.peer.signaling import (
    DocumentReceived,
    PeerRecord,
    SignalingAvailable,
    SignalingContext,
    SignalingEvent,
    SignalingLost,
)
from p2pchat.registry.http.resource import RegistryResource
from p2pchat.registry.store import directory
from p2pchat.wire.addresses import Scope
from p2pchat.wire.documents import Registration, Removal, Ringing
from p2pchat.wire.strict_json import dumps
from tests.identity.people import ALICE, BOB, CAROL, sealing_key
from tests.peer.registry_case import RegistryCase, registration
from tests.peer.test_registry_client import Page
from tests.simulation.link import SEVERED, Link
from tests.simulation.resolver import HostnameResolver
from tests.simulation.world import REGISTRY, STUN_PORT, World

BODY = Ringing("session")


class LyingStore(proxyForInterface(IRegistryStore)):  # type: ignore[misc]
    """
    The store of a world's registry whose operator lies about what peers signed.

    :ivar shown: as everybody's registration.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world.registry.store)
        world.registry.store = self
        self.shown = ""

    def _changed(self, found: directory.PublicRecord) -> directory.PublicRecord:
        return attrs.evolve(found, record=attrs.evolve(found.record, registration=self.shown))

    def find(self, peer_id: str) -> Deferred[directory.PublicRecord]:
        """Find a peer."""
        found: Deferred[directory.PublicRecord] = self.original.find(peer_id)
        return found.addCallback(self._changed)

    def page(self, after: str, limit: int, username: str | None) -> Deferred[directory.Page]:
        """Return a page."""
        page: Deferred[directory.Page] = self.original.page(after, limit, username)
        return page.addCallback(
            lambda found: attrs.evolve(found, records=list(map(self._changed, found.records)))
        )


class OlderRegistry(Resource):
    """
    A registry of before questions about many.

    :param there: the only one who is online.
    """

    isLeaf = True

    def __init__(self, there: str) -> None:
        super().__init__()
        self._there = there

    def render(self, request: Request) -> bytes:
        """See `IResource`."""
        _, word, *ids = request.path.decode("ascii").split("/")
        if ids == [self._there]:
            request.setHeader(b"content-type", b"application/json")
            return dumps({"peer_id": self._there, "username": "x"})
        reason = "unknown-peer" if word == "peer" else "no-such-route"
        request.setResponseCode(404)
        request.setHeader(b"content-type", b"application/problem+json")
        return dumps({"type": f"/problems/{reason}", "status": 404, "title": "", "detail": "x"})


class SignalingCase(RegistryCase):
    """Alice's signaling, and Bob who is registered and listens."""

    def setUp(self) -> None:
        super().setUp()
        self.world.internet.link = Link(latency=0.01)
        self.told: list[SignalingEvent] = []
        self.names = ["alice"]
        self.signaling = RegistrySignaling(self.world.url, ALICE, self.runtime(self.host))
        self.bob = self.make_client(BOB)
        self.received: list[Event] = []
        self.result(self.bob.register(registration(BOB, "bob")))
        self.result(self.bob.subscribe(self.received.append, lambda _reason: None))
        self.keys = SealingKeys(sealing_key(ALICE), Contacts())
        self.signaling.start(
            SignalingContext(
                Acceptance(frozenset({ALICE.peer_id}), self.world.internet.clock.seconds),
                self.keys,
                lambda: Registration(self.names[-1]),
                lambda _peer_id: False,
                lambda _peer_id: True,
                self.told.append,
            )
        )
        self.world.wait(lambda: self.of(SignalingAvailable), 5, "the registration")

    @property
    def documents(self) -> int:
        """How many documents reached Bob."""
        return sum(event.name == "document" for event in self.received)

    @property
    def lookups(self) -> int:
        """How often the registry was asked for a single record."""
        return self.world.registry.metrics.answers["GET", "/peer/{peer_id}", 200]

    def of(self, kind: type[SignalingEvent]) -> list[SignalingEvent]:
        """Return what was told of this kind."""
        return [one for one in self.told if isinstance(one, kind)]


class RegistrySignalingTests(SignalingCase):
    """What is promised of a way of signaling."""

    def test_interface(self) -> None:
        """It is one."""
        self.assertTrue(verifyObject(ISignaling, self.signaling))
        for url, is_local in (
            *(("http://localhost:8000", True), ("http://127.0.0.1", True), ("http://[::1]", True)),
            *((self.world.url, False), ("https://registry.example", False)),
        ):
            one = RegistrySignaling(url, ALICE, self.runtime(self.host))
            self.assertEqual((one.name, one.is_local), (url, is_local))

    def test_presence(self) -> None:
        """Who of many is online is one question, which one that isn't started may ask, too."""
        asked = RegistrySignaling(self.world.url, CAROL, self.runtime(self.world.internet.host()))
        for one in (self.signaling, asked):
            found = self.result(one.presence([BOB.peer_id, CAROL.peer_id]))
            self.assertEqual(found, {BOB.peer_id: True, CAROL.peer_id: False})
        self.assertEqual(self.world.registry.metrics.answers["POST", "/presence", 200], 2)
        self.result(asked.stop())

    def test_older(self) -> None:
        """A registry that has no such route is asked for a few, each by itself."""
        ids = [
            BOB.peer_id,
            *(f"{number}0000000-0000-8000-8000-000000000000" for number in range(9)),
        ]
        host, page = self.world.internet.host(), OlderRegistry(BOB.peer_id)
        host.reactor.listenTCP(8000, Site(page, reactor=host.reactor))
        one = RegistrySignaling(f"http://{host.address}:8000", CAROL, self.runtime(host))
        found = self.result(one.presence(ids))
        self.assertEqual(found, dict.fromkeys(ids[:MAX_EACH], False) | {BOB.peer_id: True})

    def test_asked(self) -> None:
        """One that isn't started is asked without a registration, and closed."""
        runtime = self.runtime(self.world.internet.host())
        asked = RegistrySignaling(self.world.url, CAROL, runtime)
        self.assertIs(asked.scope, Scope.GLOBAL)
        self.assertEqual(self.result(asked.find(BOB.peer_id)).username, "bob")
        self.result(asked.stop())
        self.assertEqual(self.world.registered, 2)

    def test_too_near(self) -> None:
        """Where it may not be so near, nothing is sent there."""
        url = f"http://{self.world.host.addresses[0]}:8000"
        near = self.world.internet.host("192.168.7.1")
        near.reactor.listenTCP(8000, RegistryResource(self.world.registry).site())
        for server, nearest, fits in (
            (url, Scope.GLOBAL, True),
            ("http://192.168.7.1:8000", Scope.PRIVATE, True),
            ("http://192.168.7.1:8000", Scope.GLOBAL, False),
        ):
            asked = RegistrySignaling(server, CAROL, self.runtime(self.host), nearest)
            if fits:
                self.result(asked.find(BOB.peer_id))
            else:
                error = self.refused(asked.find(BOB.peer_id), RegistryError)
                self.assertIn("192.168.7.1, which is nearer", str(error))

    def test_available(self) -> None:
        """Where STUN is, and our address, is told with the registration."""
        (event,) = self.of(SignalingAvailable)
        assert isinstance(event, SignalingAvailable)
        self.assertIn((REGISTRY[0], STUN_PORT), event.stun)
        self.assertEqual((event.name, event.address), (self.world.url, self.host.address))

    def test_lost_while_names_are_looked_up(self) -> None:
        """A registry that is gone by the time that STUN's name has an address isn't available."""
        resolver = HostnameResolver(lambda _name: None, self.host.reactor)
        self.host.reactor.installNameResolver(resolver)
        registry = self.world.registry
        registry.settings = attrs.evolve(registry.settings, stun_host="stun.test")
        self.told.clear()
        self.signaling.refresh()
        self.run_for(1)
        self.assertEqual(len(resolver.waiting), 1)
        self.world.host.kill()
        self.run_for(RESOLVE_TIMEOUT + 1)
        self.assertEqual(len(self.of(SignalingAvailable)), 0)
        self.assertGreater(len(self.of(SignalingLost)), 0)

    def test_documents(self) -> None:
        """Documents go both ways."""
        key = sealing_key(ALICE).record_key
        self.result(self.bob.deliver(ALICE.peer_id, BODY, key))
        self.result(self.signaling.send(BOB.peer_id, BODY))
        self.run_for(1)
        self.assertEqual(self.of(DocumentReceived), [DocumentReceived(BOB.peer_id, BODY)])
        self.assertEqual(self.documents, 1)
        self.refused(self.signaling.send(CAROL.peer_id, BODY), RegistryError)

    def test_forgotten(self) -> None:
        """A registry that has forgotten us gets our registration, and then the document."""
        self.host.link = SEVERED
        self.world.host.kill()
        self.run_for(0.1)
        self.world.host.boot()
        self.world.boot_registry()
        self.host.link = None
        self.result(self.bob.register(registration(BOB, "bob")))
        self.result(self.bob.subscribe(self.received.append, lambda _reason: None))
        self.result(self.signaling.send(BOB.peer_id, BODY))
        self.assertEqual(self.documents, 1)

    def test_found(self) -> None:
        """Peers are found by id, by name, and by the beginning of an id."""
        bob = self.result(self.signaling.find(BOB.peer_id))
        self.assertEqual((bob.username, bob.online), ("bob", True))
        self.assertIsNone(self.result(self.signaling.find(CAROL.peer_id)))
        for query in ({"username": "bob"}, {"prefix": BOB.peer_id[:16]}):
            found: list[PeerRecord] = self.result(self.signaling.peers(**query))
            self.assertEqual(found[0].peer_id, BOB.peer_id)
        self.assertEqual(len(self.result(self.signaling.peers())), 2)
        for query in ({"username": "dave"}, {"prefix": "zz"}):
            self.assertEqual(self.result(self.signaling.peers(**query)), [])

    def test_key_by_name(self) -> None:
        """Whoever is found by name can be written to without another look-up."""
        self.assertIsNone(self.keys.key_of(BOB.peer_id))
        self.result(self.signaling.peers())
        self.assertIsNone(self.keys.key_of(BOB.peer_id), "a list shows none")
        self.result(self.signaling.peers(username="bob"))
        self.assertEqual(self.keys.key_of(BOB.peer_id), sealing_key(BOB).record_key)
        before = self.lookups
        self.result(self.signaling.send(BOB.peer_id, BODY))
        self.assertEqual(self.lookups, before)

    def test_key_by_id(self) -> None:
        """Of others it is looked up."""
        self.result(self.signaling.send(BOB.peer_id, BODY))
        self.assertEqual((self.lookups, self.documents), (1, 1))

    def test_record_without_key(self) -> None:
        """Who shows none is told to be of another kind."""
        self.result(self.make_client(CAROL).register(Registration("carol")))
        error = self.refused(self.signaling.send(CAROL.peer_id, BODY), RegistryError)
        self.assertEqual(error.reason, "no-sealing-key")
        self.assertIn("older or newer", str(error))

    def test_lying_registry(self) -> None:
        """What isn't the peer's own registration makes no key theirs."""
        genuine = self.bob.sign(registration(BOB, "bob"))
        other = self.make_client(CAROL).sign(registration(CAROL, "bob"))
        store = LyingStore(self.world)
        head, payload, signature = genuine.split(".")
        for shown in (
            *("", "x", "a.b.c", other, self.bob.sign(Removal())),
            *(f"{head}.{payload}.{other.split('.')[2]}", f"{head}.{payload}.{signature[:-4]}"),
        ):
            store.shown = shown
            error = self.refused(self.signaling.send(BOB.peer_id, BODY), RegistryError)
            self.assertEqual(error.reason, "no-sealing-key", shown)
            self.assertIn("can't be relied on", str(error))
            (found,) = self.result(self.signaling.peers(username="bob"))
            self.assertEqual(found.peer_id, BOB.peer_id)
            self.assertIsNone(self.keys.key_of(BOB.peer_id))
        store.shown = genuine
        self.result(self.signaling.send(BOB.peer_id, BODY))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_update(self) -> None:
        """What we say of ourselves is shown at once."""
        self.names.append("alicia")
        self.signaling.update()
        self.run_for(1)
        record = self.result(self.signaling.find(ALICE.peer_id))
        self.assertEqual(record.username, "alicia")

    def test_refresh(self) -> None:
        """What is sent while the stream is renewed goes when it is; that is done once."""
        self.assertTrue(self.signaling.refresh())
        self.assertFalse(self.signaling.refresh())
        sent = self.signaling.send(BOB.peer_id, BODY)
        self.run_for(0.03)
        self.assertNoResult(sent)
        self.result(sent)
        self.assertEqual(len(self.of(SignalingAvailable)), 2)
        self.assertTrue(self.signaling.refresh())

    def test_refresh_in_vain(self) -> None:
        """Where the registry is away nothing waits any longer, and fails as it must."""
        self.world.host.kill()
        self.signaling.refresh()
        self.refused(self.signaling.send(BOB.peer_id, BODY), RegistryError)
        self.assertGreaterEqual(len(self.of(SignalingLost)), 1)

    def test_displaced(self) -> None:
        """Another program with our identity is told as that."""
        other = self.make_client(ALICE)
        self.result(other.register(Registration("alice")))
        self.result(other.subscribe(lambda _event: None, lambda _reason: None))
        self.world.wait(lambda: self.of(SignalingLost), 5, "the loss")
        (lost,) = self.of(SignalingLost)
        assert isinstance(lost, SignalingLost)
        self.assertTrue(lost.is_displaced)

    def test_stop(self) -> None:
        """What was sent is delivered, and nothing of us stays."""
        self.signaling.send(BOB.peer_id, BODY)
        self.result(self.signaling.stop())
        self.run_for(1)
        self.assertEqual((self.documents, self.world.registered), (1, 1))
        self.assertFalse(self.signaling.refresh())
        self.assertEqual(self.host.reactor.getDelayedCalls(), [])

    def test_stop_cancelled(self) -> None:
        """A registry that doesn't answer holds up nobody who doesn't want to wait."""
        self.world.host.online = False
        stopped = self.signaling.stop()
        self.run_for(1)
        stopped.cancel()
        self.run_for(2)
        self.failureResultOf(stopped)
        self.assertEqual(self.host.reactor.getDelayedCalls(), [])


class FindTests(RegistryCase):
    """Where STUN is, as the registry tells whoever asks."""

    def find(self, url: str) -> Any:
        """Return where it is, or the error that the person reads."""
        try:
            return self.result(find_stun(url, self.runtime(self.host)))
        except RegistryError as error:
            return error

    def test_found(self) -> None:
        """On whatever port it is."""
        self.assertEqual(self.find(self.world.url), (REGISTRY[0], STUN_PORT))
        registry = self.world.registry
        registry.settings = attrs.evolve(registry.settings, stun_port=3540)
        self.assertEqual(self.find(self.world.url), (REGISTRY[0], 3540))

    def test_none(self) -> None:
        """A registry without STUN is said to be one, and what to do."""
        registry = self.world.registry
        registry.settings = attrs.evolve(registry.settings, stun_port=0)
        self.assertIn("--stun-port", str(self.find(self.world.url)))

    def test_dead_address(self) -> None:
        """Of a name with several addresses it is one that answers."""
        addresses = ["192.0.2.9", "192.0.2.10", REGISTRY[0]]
        resolver = HostnameResolver(lambda _name: addresses, self.host.reactor)
        self.host.reactor.installNameResolver(resolver)
        registry = self.world.registry
        registry.settings = attrs.evolve(
            registry.settings, stun_host="stun.test", second_address=""
        )
        self.assertEqual(self.find(self.world.url)[0], REGISTRY[0])

    def test_away(self) -> None:
        """A registry that isn't there is said not to be."""
        self.world.host.kill()
        self.assertIn("nothing listens there", str(self.find(self.world.url)))

    def test_other_registry(self) -> None:
        """One that doesn't say has it on the usual port; one that lies has none."""
        other = self.world.internet.host("203.0.113.80")
        for body, expected in (
            (b"{}", ("203.0.113.80", 3478)),
            (b'{"stun_servers": ["stun:127.0.0.1:3478", 5, "stun:10.0.0.1", {}]}', None),
            (b'{"stun_servers": {"a": 1}}', None),
        ):
            port = other.reactor.listenTCP(80, Site(Page(200, body), reactor=other.reactor))
            found = self.find("http://203.0.113.80")
            self.assertEqual(found if expected else type(found), expected or RegistryError)
            port.stopListening()
            self.run_for(0.1)
