"""Services of a node: what programs offer and reach, who is let in, and what a person sees."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import CannotListenError, ConnectionLost, NoProtocol
from twisted.internet.interfaces import (
    IListeningPort,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import AccumulatingProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.errors import (
    NoPath,
    NoSuchContact,
    NotGranted,
    PeerOffline,
    ServiceNameRefused,
    WhoError,
)
from p2pchat.interfaces import INodeServices, IServices
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.peer.service_infos import GrantInfo, OfferedInfo, OpenStreamInfo
from p2pchat.peer.services import QUIET
from tests.cases import each
from tests.identity.people import ALICE, BOB, CAROL
from tests.peer.fake_streams import FakeStreams, FakeTransport, link
from tests.peer.service_case import Side


def transport_of(protocol: AccumulatingProtocol) -> FakeTransport:
    """Return the end of a stream that a protocol has."""
    return cast(FakeTransport, protocol.transport)


class Served(Factory):
    """A factory as AccumulatingProtocol wants one."""

    noisy = False
    protocolConnectionMade = None


class ServicesCase(SynchronousTestCase):
    """Bob offers web; Alice, his contact, would like to open it, and Carol, a stranger."""

    def setUp(self) -> None:
        self.clock = Clock()
        others: dict[str, FakeStreams] = {}
        self.alice, self.bob, self.carol = (
            Side(one, self.clock, others) for one in (ALICE, BOB, CAROL)
        )
        self.alice.contacts.keep(BOB.peer_id, "bob")
        self.bob.contacts.keep(ALICE.peer_id, "alice")
        self.served: list[AccumulatingProtocol] = []

    def factory(self) -> Factory:
        """Return a factory whose protocols are remembered."""

        def build() -> AccumulatingProtocol:
            self.served.append(AccumulatingProtocol())
            return self.served[-1]

        made = Served.forProtocol(cast(Any, build))
        assert isinstance(made, Served)
        return made

    def listen(self, service: str = "web", *allow: str) -> IListeningPort:
        """Let Bob offer a service."""
        listener = self.bob.services.listener_for(service, allow)
        return self.successResultOf(listener.listen(self.factory()))

    def dial(
        self, who: Side | None = None, service: str = "web", **options: Any
    ) -> Deferred[AccumulatingProtocol]:
        """Let somebody connect to Bob."""
        side = self.alice if who is None else who
        endpoint = side.services.connector_for(BOB.peer_id, service, **options)
        connected: Deferred[AccumulatingProtocol] = connectProtocol(
            endpoint, AccumulatingProtocol()
        )
        return connected

    def opened(self, **options: Any) -> AccumulatingProtocol:
        """Return Alice's protocol, connected to Bob's web."""
        return self.successResultOf(self.dial(**options))

    def settle(self) -> None:
        """Let what was written arrive."""
        self.clock.pump([0.0] * 6)


class EndpointTests(ServicesCase):
    """Twisted's endpoints."""

    def test_interfaces(self) -> None:
        """They provide what is promised."""
        services = self.bob.services
        self.assertTrue(verifyObject(IServices, services))
        self.assertTrue(verifyObject(INodeServices, services))
        connector, listener = services.connector_for("alice", "web"), services.listener_for("web")
        self.assertTrue(verifyObject(IStreamClientEndpoint, connector))
        self.assertTrue(verifyObject(IStreamServerEndpoint, listener))
        self.assertTrue(verifyObject(IListeningPort, self.listen()))

    def test_both_ways(self) -> None:
        """Who is granted a service speaks with its protocol; each knows who the other is."""
        port = self.listen()
        self.bob.services.grant("web", "alice")
        ours = self.opened()
        (theirs,) = self.served
        transport_of(ours).write(b"GET")
        transport_of(theirs).write(b"200")
        self.settle()
        self.assertEqual((ours.data, theirs.data), (b"200", b"GET"))
        address = port.getHost()
        assert isinstance(address, PeerAddress)
        self.assertEqual(address.client_string(), f"p2p:{BOB.peer_id}:web")
        self.assertEqual(transport_of(ours).getPeer(), address)
        self.assertEqual(transport_of(theirs).peer.host, ALICE.peer_id)

    def test_nothing_before(self) -> None:
        """Nothing begins before ``listen`` or ``connect``."""
        self.alice.services.connector_for("bob", "web")
        self.bob.services.listener_for("web", ["nobody whom he knows"])
        self.assertEqual((self.alice.links.asked, self.bob.services.offered()), ([], []))

    @each("Web", "", "a:b", "p2pchat.files", "x" * 64, "-", "../x")
    def test_no_service(self, name: str) -> None:
        """What can't be a service is refused at once, with what is wrong."""
        for make in (self.alice.services.listener_for, self._connector):
            error = self.assertRaises(ServiceNameRefused, make, name)
            self.assertIn(repr(name), str(error))

    def _connector(self, service: str) -> object:
        return self.alice.services.connector_for("bob", service)

    def test_no_path(self) -> None:
        """There are three paths."""
        connector = self.alice.services.connector_for
        self.assertRaises(ServiceNameRefused, connector, "bob", "web", "fast")
        self.failureResultOf(connectProtocol(connector("dave", "web"), Protocol()), NoSuchContact)

    def test_taken(self) -> None:
        """One name is offered once; it is free when that has stopped; what is open goes on."""
        port = self.listen("web", "contacts")
        again = self.bob.services.listener_for("web").listen(self.factory())
        self.assertIn("web", str(self.failureResultOf(again, CannotListenError).value))
        ours = self.opened()
        for _ in range(2):
            self.successResultOf(cast("Deferred[None]", port.stopListening()))
        self.assertFalse(ours.closed)
        self.failureResultOf(self.dial(), NotGranted)
        self.listen("web", "contacts")
        self.opened()

    def test_allow_nobody(self) -> None:
        """A service isn't offered to somebody who means nobody."""
        listening = self.bob.services.listener_for("web", ["dave"]).listen(self.factory())
        self.failureResultOf(listening, NoSuchContact)
        self.assertEqual(self.bob.services.offered(), [])

    def test_no_protocol(self) -> None:
        """A factory that makes none is told, at either end."""
        self.listen("web", "anyone")

        class Nothing(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> None:
                return None

        self.bob.services.listener_for("nothing", ["anyone"]).listen(Nothing())
        self.failureResultOf(self.dial(service="nothing"), NotGranted)
        connecting = self.alice.services.connector_for("bob", "web").connect(Nothing())
        self.failureResultOf(connecting, NoProtocol)

    def test_broken_program(self) -> None:
        """A program that fails is refused as if it weren't there, and logged; the node goes on."""

        class Broken(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> None:
                raise ValueError(addr)

        self.bob.services.listener_for("broken", ["anyone"]).listen(Broken())
        self.failureResultOf(self.dial(service="broken"), NotGranted)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_no_link(self) -> None:
        """Why there is no link is the reason why there is no service."""
        for error in (PeerOffline("gone"), NoPath("none", ("because",))):
            self.alice.links.refusal = error
            failure = self.failureResultOf(self.dial(), type(error))
            self.assertIs(failure.value, error)

    def test_timeout(self) -> None:
        """A connection takes as long as it may, and no longer; it can be given up."""
        self.alice.links.later = True
        late, given_up = self.dial(timeout=5.0), self.dial()
        given_up.cancel()
        self.failureResultOf(given_up)
        self.clock.advance(4.9)
        self.assertNoResult(late)
        self.clock.advance(0.1)
        self.failureResultOf(late, PeerOffline)

    def test_direct(self) -> None:
        """The path that is wanted is asked for; a direct one is watched."""
        self.listen("web", "anyone")
        for path in ("any", "direct", "relay"):
            self.opened(path=path)
        self.assertEqual([path for _, path in self.alice.links.asked], ["any", "direct", "relay"])
        self.assertEqual(len(self.alice.links.direct), 1)


class GrantTests(ServicesCase):
    """Who is let in, and what the others see."""

    def refused(self, who: Side, service: str) -> tuple[object, ...]:
        """Return all that somebody learns who is refused."""
        before = self.clock.seconds()
        if who.peer_id not in self.bob.streams.linked:
            link(who.streams, self.bob.streams)
        refusal = self.failureResultOf(who.streams.open(BOB.peer_id, service, Protocol()))
        return type(refusal.value), str(refusal.value), self.clock.seconds() - before

    def test_alike(self) -> None:
        """A stranger, a contact, a revoked and a blocked one: each sees what isn't there."""
        self.listen("web")
        granted = self.alice
        seen = [self.refused(self.carol, "web"), self.refused(granted, "web")]
        seen += [self.refused(self.carol, "other"), self.refused(granted, "other")]
        self.bob.services.grant("web", "alice")
        self.bob.services.revoke("web", "alice")
        seen.append(self.refused(granted, "web"))
        self.bob.services.grant("web", "alice", 60)
        self.clock.advance(60)
        seen.append(self.refused(granted, "web"))
        self.bob.services.grant("web", CAROL.peer_id)
        self.bob.block(CAROL.peer_id)
        seen.append(self.refused(self.carol, "web"))
        self.assertEqual(set(seen), {(NotGranted, NotGranted.sentence(), 0.0)})
        self.assertEqual(self.served, [])

    def test_revoked(self) -> None:
        """What is open ends at once: revoked, run out, blocked, forgotten."""
        self.listen("web")
        for end in (
            lambda: self.bob.services.revoke("web", "alice"),
            lambda: self.clock.advance(60),
            lambda: self.bob.block(ALICE.peer_id, "forgotten"),
            lambda: self.bob.block(ALICE.peer_id),
        ):
            self.bob.services.grant("web", ALICE.peer_id, 60)
            ours = self.opened()
            end()
            self.assertTrue(ours.closed)
            self.assertTrue(cast(Failure, ours.closedReason).check(ConnectionLost))
            self.assertEqual(self.bob.services.streams(), [])
            self.failureResultOf(self.dial(), NotGranted)

    def test_others_go_on(self) -> None:
        """Nobody else's stream ends with one's."""
        self.listen("web")
        self.bob.services.grant("web", "alice")
        self.bob.services.grant("web", CAROL.peer_id)
        ours, carols = self.opened(), self.successResultOf(self.dial(self.carol))
        self.bob.services.revoke("web", "alice")
        self.assertEqual((ours.closed, carols.closed), (1, 0))

    def test_allowed_anyway(self) -> None:
        """One whom the program lets in stays, whatever becomes of a grant."""
        self.listen("web", "alice")
        self.bob.services.grant("web", "alice", 60)
        ours = self.opened()
        self.clock.advance(60)
        self.assertFalse(ours.closed)

    def test_block_both_ways(self) -> None:
        """Who is blocked is served by nobody here, and nobody here uses what they serve."""
        self.listen("web", "anyone")
        ours = self.opened()
        self.alice.block(BOB.peer_id)
        self.assertTrue(ours.closed)
        self.failureResultOf(self.dial(), WhoError)

    def test_set_back(self) -> None:
        """Whoever sets Bob's clock back opens nothing for longer."""
        self.listen("web")
        self.bob.services.grant("web", "alice", 60)
        ours = self.opened()
        self.clock.advance(59)
        self.bob.ahead = -1e6
        self.assertFalse(ours.closed)
        self.clock.advance(1)
        self.assertTrue(ours.closed)
        self.failureResultOf(self.dial(), NotGranted)

    def test_lists(self) -> None:
        """A person sees what is granted, and for how long."""
        self.bob.services.grant("web", "alice", 3600)
        self.bob.services.grant("ssh", CAROL.peer_id)
        self.clock.advance(600)
        expected = [
            GrantInfo("ssh", CAROL.peer_id),
            GrantInfo("web", ALICE.peer_id, "alice", 3000.0),
        ]
        self.assertEqual(self.bob.services.grants(), expected)
        told = [one.change for one in self.bob.told if isinstance(one, events.GrantChanged)]
        self.assertEqual(told, ["granted", "granted"])
        self.clock.advance(3000)
        last = self.bob.told[-1]
        self.assertEqual((last.service, last.change, last.name), ("web", "expired", "alice"))

    def test_in_vain(self) -> None:
        """What can't be granted or revoked is refused with a reason."""
        services = self.bob.services
        self.assertRaises(NoSuchContact, services.grant, "web", "dave")
        self.assertRaises(ServiceNameRefused, services.grant, "p2pchat.files", "alice")
        self.assertIn("/grants", str(self.assertRaises(WhoError, services.revoke, "web", "alice")))
        self.bob.block(ALICE.peer_id)
        self.assertRaises(WhoError, services.grant, "web", ALICE.peer_id)
        self.assertEqual(services.grants(), [])


class ShownTests(ServicesCase):
    """What a person sees."""

    def test_streams(self) -> None:
        """What is open, who opened it, how much went over which path."""
        self.listen("web", "contacts")
        ours = self.opened()
        transport_of(ours).write(b"12345")
        self.settle()
        self.clock.advance(5)
        path = "direct"
        self.assertEqual(
            [*self.bob.services.streams(), *self.alice.services.streams()],
            [
                OpenStreamInfo(ALICE.peer_id, "alice", "web", False, path, 5.0, 5, 0),
                OpenStreamInfo(BOB.peer_id, "bob", "web", True, path, 5.0, 0, 5),
            ],
        )

    def test_events(self) -> None:
        """Events say who, what, how much and how, and nothing of what was said."""
        self.listen("web", "contacts")
        ours = self.opened()
        transport_of(ours).write(b"secret")
        self.settle()
        self.clock.advance(QUIET)
        transport_of(ours).loseConnection()
        self.settle()
        who = (ALICE.peer_id, "alice", "web", False, "direct")
        self.assertEqual(
            self.bob.told,
            [
                events.ServiceOffered("web", ("contacts",)),
                events.ServiceOpened(*who),
                events.ServiceClosed(*who, 6, 0, QUIET),
            ],
        )
        self.assertEqual(self.alice.names(), ["service_opened", "service_closed"])
        self.assertNotIn("secret", repr(self.bob.told))

    def test_many(self) -> None:
        """Many short streams of one are told to programs, and disturb no person but once."""
        self.listen("web", "contacts")
        for _ in range(100):
            transport_of(self.opened()).loseConnection()
            self.settle()
        told = self.bob.told[1:]
        self.assertEqual(len(told), 200)
        self.assertEqual([one.quiet for one in told], [False] + [True] * 199)

    def test_offered(self) -> None:
        """What is offered, and to whom; our own services aren't shown."""
        self.listen("web", "alice", "contacts")
        port = self.listen("all", "anyone")
        expected = [OfferedInfo("all", ("anyone",)), OfferedInfo("web", ("alice", "contacts"))]
        self.assertEqual(self.bob.services.offered(), expected)
        self.successResultOf(cast("Deferred[None]", port.stopListening()))
        self.assertEqual(self.bob.services.offered(), expected[1:])


class CatalogueTests(ServicesCase):
    """What a peer lets us open."""

    def asked(self, side: Side) -> list[str]:
        """Return what somebody is told that it may open at Bob's."""
        found = side.services.services_of(BOB.peer_id)
        self.settle()
        return self.successResultOf(found)

    def test_granted(self) -> None:
        """One is told what is granted to oneself, and of nothing else."""
        for name in ("web", "ssh", "git"):
            self.listen(name)
        self.bob.services.grant("web", "alice")
        self.bob.services.grant("git", "alice")
        self.bob.services.grant("ssh", CAROL.peer_id)
        self.bob.services.grant("absent", CAROL.peer_id)
        self.assertEqual(self.asked(self.alice), ["git", "web"])
        self.assertEqual(self.asked(self.carol), ["ssh"])

    def test_nothing(self) -> None:
        """Who may open nothing isn't told whether anything is there."""
        self.listen("web")
        for side in (self.alice, self.carol):
            self.assertEqual(self.asked(side), [])
        self.assertEqual([one[2] for one in self.bob.streams.asked], [False, False])

    def test_nobody_hears(self) -> None:
        """Questions disturb nobody."""
        self.listen("web", "contacts")
        self.asked(self.alice)
        self.assertEqual(self.bob.names(), ["offered"])


class OwnServiceTests(ServicesCase):
    """Services of the program itself."""

    def test_own(self) -> None:
        """They are for whom they say, and for nobody who is blocked; nobody grants them."""
        self.bob.services.serve_own(
            "p2pchat.test", self.factory(), lambda one: self.bob.contacts[one].is_contact
        )
        link(self.alice.streams, self.bob.streams)
        link(self.carol.streams, self.bob.streams)

        def ask(side: Side) -> Deferred[None]:
            return side.streams.open(BOB.peer_id, "p2pchat.test", Protocol())

        self.successResultOf(ask(self.alice))
        self.failureResultOf(ask(self.carol), NotGranted)
        self.bob.block(ALICE.peer_id)
        self.failureResultOf(ask(self.alice), NotGranted)
        self.assertFalse(self.bob.services.access.may_call(CAROL.peer_id))
